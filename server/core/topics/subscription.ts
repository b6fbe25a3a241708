/**
 * One subscription: reads from its position page by page, at its client's pace, until it can join the topic's feed; goes
 * back to reading when the client is too slow. Holds a position, never events.
 */

import type { Progress } from '../../../shared/console/protocol.ts'
import { RepriseError } from '../../../shared/errors.ts'
import { type Position, samePosition } from '../../../shared/positions.ts'
import type { From, Gap, OnGap, Subscribed, SubscribeQuery } from '../../../shared/protocol.ts'
import type { Owner, Store } from '../../store/contract/store.ts'
import { authorize, type Caller, refusalFor } from '../access.ts'
import type { Asker } from '../beginning.ts'
import type { CallerLimits } from '../guards/callers.ts'
import { isPassing } from '../refusal.ts'
import { Place } from '../seeing/place.ts'
import type { Telemetry } from '../telemetry.ts'
import type { Fanout } from './fanout.ts'
import type { Feed, Follower } from './feed.ts'
import { checkTopic, type Log } from './log.ts'
import type { Outlet } from './outlet.ts'
import type { Packet } from './packet.ts'
import type { Pages } from './pages.ts'
import { takenOver } from './sessions.ts'
import { gapMet, type Start, startOf } from './start.ts'
import { isSmall } from './tail.ts'

export interface SubscriptionContext {
  readonly store: Store
  readonly log: Log
  readonly pages: Pages
  readonly fanout: Fanout
  readonly callers: CallerLimits
  readonly telemetry: Telemetry
}

/** After the log could not be read, the next try comes after this long. */
const RETRY_MS = 500

export class Subscription implements Follower {
  readonly outlet: Outlet
  readonly #context: SubscriptionContext
  readonly #caller: Caller
  readonly #topic: string
  /** Stands from the first start to the close, so that a newer session is heard of. */
  #feed: Feed | undefined
  #onGap: OnGap = 'continue'
  /** One of the gaps that are being told in a row is of events. */
  #hasMissed = false
  readonly #place = new Place()
  #session = 0
  /** Raised by every start and stop: what an earlier run still awaits is then void. */
  #run = 0
  /** Gives back the place of what it reads. */
  #leave: () => void = () => {}
  #starting: Promise<void> | undefined
  #steered = false
  #closed = false

  constructor(context: SubscriptionContext, caller: Caller, topic: string, outlet: Outlet) {
    this.#context = context
    this.#caller = caller
    this.#topic = topic
    this.outlet = outlet
  }

  /** The session of the client's cursor, 0 before the first start and without a client. */
  get session(): number {
    return this.#session
  }

  get owner(): Owner {
    return { subject: this.#caller.subject, client: this.#caller.client ?? '' }
  }

  /**
   * Starts, or starts again. `again`: asked for by the client itself, so `from` may also lead back; in a handshake the
   * cursor has the last word.
   */
  start(query: SubscribeQuery, again: boolean): Promise<Omit<Subscribed, 'limits'>> {
    const started = this.#start(query, again, this.#starting)
    this.#starting = started.then(
      () => {},
      () => {},
    )
    return started
  }

  /** Resolves when no start is under way: an acknowledgement that came at once has its session then. */
  get started(): Promise<void> | undefined {
    return this.#starting
  }

  async #start(
    query: SubscribeQuery,
    again: boolean,
    before: Promise<void> | undefined,
  ): Promise<Omit<Subscribed, 'limits'>> {
    checkTopic(this.#topic)
    authorize(this.#caller, 'subscribe', this.#topic)
    this.#halt()
    if (again) this.#steered = true
    const run = this.#run
    const heardAt = performance.now()
    // One session after the other: a start still under way would take the next one's for another client's, and end.
    await before
    this.#checkRun(run)
    const feed = await this.#watch()
    const asker = { heardAt, check: () => this.#checkRun(run), present: this.outlet.present?.bind(this.outlet) }
    const start = await this.#open(feed, query.from, again, asker)
    this.#checkRun(run)
    const leave = this.#placeFor(start)
    this.#leave = leave
    this.#onGap = query.onGap ?? 'continue'
    this.#place.begins(start.position, { epoch: start.info.epoch, offset: start.info.last })
    const info = { topic: this.#topic, ...start.info }
    this.outlet.subscribed(info)
    this.#read(run, start)
      .catch((cause) => this.#context.telemetry.failed(`a subscription of ${this.#topic}`, cause))
      .finally(leave)
    return info
  }

  /** Whoever has seen all that is kept reads nothing. Throws `too_many`. */
  #placeFor({ position, info }: Start): () => void {
    if (samePosition(position, { epoch: info.epoch, offset: info.last })) return () => {}
    return this.#context.callers.take('replays', this.#caller)
  }

  /** Nothing more is sent; the place as the client's newest session is kept. */
  stop(): void {
    this.#steered = true
    this.#halt()
  }

  /** Whether the client has started or stopped it by a call of its own. */
  get steered(): boolean {
    return this.#steered
  }

  get progress(): Progress {
    return this.#place.seen(this.#feed?.follows(this) ?? false, this.#feed?.head)
  }

  /** The client is gone. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#halt()
    if (this.#feed === undefined) return
    this.#feed.sessions.release(this)
    this.#context.fanout.release(this.#feed)
  }

  /** Ended by the hub: the client is told why. */
  end(error: RepriseError): void {
    if (this.#closed) return
    if (error.code === 'taken_over') {
      this.#context.telemetry.happened({ kind: 'takeover', topic: this.#topic, client: this.#caller.client ?? '' })
    }
    this.close()
    this.outlet.end(error.toWire())
  }

  /** The caller's credentials are other ones now: where they allow no subscribing any more, it ends. */
  review(): void {
    const refusal = this.#feed && refusalFor(this.#caller, 'subscribe', this.#topic)
    if (refusal !== undefined) this.end(refusal)
  }

  fellBehind(position: Position): void {
    this.#context.telemetry.happened({ kind: 'slow', ...this.#who })
    const run = ++this.#run
    this.#place.fellBehind(position)
    // Nothing is sent before the client has taken what it was sent, not even this: it would have a packet more at each turn.
    this.outlet
      .drained()
      .then(() => {
        if (run !== this.#run) return
        this.outlet.behind(position.offset)
        return this.#read(run, { position })
      })
      .catch((cause) => this.#context.telemetry.failed(`a subscription of ${this.#topic}`, cause))
  }

  lost(gap: Gap): void {
    this.#gap(gap)
    if (this.#onGap === 'fail' && gap.count !== 0) this.end(gapMet(gap))
  }

  #gap(gap: Gap): void {
    const { from, to, count, reason } = gap
    // One of no events only says that the epoch is another one.
    if (count !== 0) this.#context.telemetry.happened({ kind: 'gap', ...this.#who, from, to, count, reason })
    this.outlet.gap(gap)
  }

  get #who(): { readonly topic: string; readonly client?: string } {
    const { client } = this.#caller
    return client === undefined ? { topic: this.#topic } : { topic: this.#topic, client }
  }

  #checkRun(run: number): void {
    if (run !== this.#run || this.#closed) throw new RepriseError('unavailable', 'the subscription was ended meanwhile')
  }

  #halt(): void {
    this.#run += 1
    this.#place.ends()
    this.#leave()
    this.#feed?.unfollow(this)
  }

  async #watch(): Promise<Feed> {
    if (this.#feed !== undefined) return this.#feed
    const feed = await this.#context.fanout.watch(this.#topic)
    if (this.#closed || this.#feed !== undefined) {
      this.#context.fanout.release(feed)
      if (this.#feed !== undefined) return this.#feed
      throw new RepriseError('unavailable', 'the connection is gone')
    }
    this.#feed = feed
    return feed
  }

  /** Begins the session and takes its place on this node, with nothing missed in between. */
  async #open(feed: Feed, from: From | undefined, again: boolean, asker: Asker): Promise<Start> {
    const { store, log } = this.#context
    if (this.#caller.client === undefined) return await startOf(store, log, this.#topic, undefined, from, again, asker)
    const { owner } = this
    // Its own newer session is not to end it.
    feed.sessions.release(this)
    feed.sessions.opening(owner)
    let start: Start | undefined
    try {
      start = await startOf(store, log, this.#topic, owner, from, again, asker)
    } finally {
      const newest = feed.sessions.opened(owner)
      if (start?.session !== undefined && !this.#closed) {
        this.#session = start.session
        if (newest > start.session) this.end(takenOver())
        else feed.sessions.hold(this)
      }
    }
    return start
  }

  async #read(run: number, start: Pick<Start, 'position' | 'gap'> & Partial<Start>): Promise<void> {
    const { position: from } = start
    let position = from
    if (start.gap !== undefined) position = await this.#tell(run, start.gap, true)
    // Whoever was away for a moment gets what the feed has sent last, without a look at the log.
    if (start.info !== undefined && (await this.#joins(run, position, start.info))) return
    const isThere = (): boolean => run === this.#run
    for (let read = 0; isThere(); read++) {
      const step = await this.#ask(run, ({ pages }) => pages.step(this.#topic, position, isThere))
      if (step === undefined) return
      for (const [index, item] of step.items.entries()) {
        if (run !== this.#run) return
        if ('events' in item) {
          position = { epoch: item.epoch, offset: item.last }
          this.#place.moved(position, step.head)
          const isAll = read === 0 && start.info !== undefined && samePosition(position, step.head)
          // Little is sent as the feed sends what it has at hand, with `live` behind it at once.
          if (isAll && isSmall(item) && !this.outlet.overfull) this.outlet.push(item)
          else {
            const taken = this.outlet.page(item)
            // For who has taken one already: nothing is made for who takes nothing.
            const isMore = index === step.items.length - 1 && !samePosition(position, step.head)
            if (read > 0 && isMore) this.#context.pages.ahead(this.#topic, position, isThere)
            await taken
          }
          this.#replayed(item)
          continue
        }
        // Gaps that follow each other are all told before anything is skipped.
        const following = step.items[index + 1]
        const isLast = following === undefined || 'events' in following
        const next = await this.#tell(run, item, isLast)
        const skipped = !samePosition(next, item.position)
        position = next
        if (skipped) break
      }
      if (run !== this.#run) return
      if (step.items.length === 0) position = step.position
      this.#place.moved(position, step.head)
      if (!samePosition(position, step.head)) continue
      // No await between a page that shows the head and the join: nothing can slip in between.
      const joined = this.#feed?.follow(position, step.head, this)
      if (joined === 'joined') return this.#caughtUp(from)
      if (joined === 'wait') await this.#feed?.reached()
    }
  }

  #replayed({ events }: Packet): void {
    const { meter, spans } = this.#context.telemetry
    meter.replayed(this.#topic, events)
    spans.delivered(this.#topic, events, 'replay', 1)
  }

  /** Joins the feed if it has all that lies between. */
  async #joins(run: number, position: Position, { epoch, first, last }: Start['info']): Promise<boolean> {
    if (position.epoch !== epoch || position.offset < first - 1) return false
    const follow = () => (run === this.#run ? this.#feed?.follow(position, { epoch, offset: last }, this) : undefined)
    let joined = follow()
    if (joined === 'wait') {
      await this.#feed?.reached()
      joined = follow()
    }
    if (joined === 'joined') this.#caughtUp(position)
    return joined === 'joined'
  }

  /** It is live, having begun after `from`. */
  #caughtUp(from: Position): void {
    const head = this.#feed?.head
    if (head !== undefined && !samePosition(from, head)) this.#context.telemetry.meter.caughtUp(this.#topic)
  }

  /** Asks until there is an answer: when the store is away the client stays. `undefined` when the run is over. */
  async #ask<T>(run: number, question: (context: SubscriptionContext) => Promise<T>): Promise<T | undefined> {
    const { telemetry } = this.#context
    while (run === this.#run) {
      try {
        const answer = await question(this.#context)
        return run === this.#run ? answer : undefined
      } catch (cause) {
        if (!isPassing(cause)) telemetry.failed('reading a log', cause)
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS))
      }
    }
    return undefined
  }

  /** Tells a gap while reading and answers where to go on. `isLast`: no other one follows at once. */
  async #tell(run: number, gap: Gap, isLast: boolean): Promise<Position> {
    // A log that begins anew, with nothing missed, is no reason to skip what it has.
    if (gap.count !== 0) this.#hasMissed = true
    if (this.#onGap === 'end' && isLast && this.#hasMissed) {
      this.#hasMissed = false
      const bounds = await this.#ask(run, ({ log }) => log.bounds(this.#topic))
      if (bounds === undefined) return gap.position
      const position = { epoch: bounds.epoch, offset: bounds.head }
      this.#gap({ ...gap, position })
      return position
    }
    if (isLast) this.#hasMissed = false
    this.lost(gap)
    return gap.position
  }
}
