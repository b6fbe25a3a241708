/**
 * One subscription: keeps its place through reconnections, drops what comes twice, holds the queue before the handler
 * small, and reports. How packets reach it is the channel's affair, how the handler is called the runner's.
 */

import { RepriseError } from '../../shared/errors.ts'
import type { Position } from '../../shared/positions.ts'
import type { EventsPacket, From, Gap, Subscribed, SubscribeQuery } from '../../shared/protocol.ts'
import type { Ending, Failure, Handler, Progress, Received, Status, SubscribeOptions, Subscription } from '../api.ts'
import { type CloseOptions, Deadline } from '../connection/deadline.ts'
import { Emitter, type Undo } from '../connection/emitter.ts'
import { Standing } from '../connection/standing.ts'
import { check, drainMsOf } from '../optionChecks.ts'
import { Runner } from '../runner.ts'
import { Acks } from './acks.ts'
import { CatchUp } from './catchUp.ts'
import type { Subscriber } from './channel.ts'
import type { SubscriptionContext } from './context.ts'
import { Inbox, type Mark } from './inbox.ts'
import { checkFrom, isPosition, positionOf, queryOf } from './options.ts'
import { Resumption } from './resumption.ts'

export class TopicSubscription<T> implements Subscription<T>, Subscriber {
  readonly topic: string
  readonly ended: Promise<Ending>
  readonly #context: SubscriptionContext
  readonly #options: SubscribeOptions
  readonly #inbox: Inbox<T>
  readonly #runner: Runner<T>
  readonly #acks: Acks | undefined
  readonly #standing: Standing<Status, Ending>
  readonly #gapReports = new Emitter<Gap>()
  readonly #errorReports = new Emitter<Failure<T>>()
  /** All up to here is handled. */
  #position: Position | undefined
  /** All up to here has arrived. */
  #received: Position | undefined
  /** Packets of the present subscription are coming; between two subscriptions they belong to the old one. */
  #accepting = false
  /** The hub takes acknowledgements: from `subscribed` on, and until the next `subscribe` begins another session. */
  #sessionOpen = false
  /** The SDK has unsubscribed until the handler has caught up. */
  #paused = false
  #seeking = false
  readonly #resumption: Resumption
  #pumping = false
  #closing: Promise<void> | undefined
  readonly #deadline = new Deadline()
  readonly #catchUp = new CatchUp()

  constructor(handler: Handler<T>, options: SubscribeOptions, context: SubscriptionContext) {
    this.topic = context.topic
    this.#context = context
    this.#options = options
    this.#inbox = new Inbox(options)
    this.#standing = new Standing<Status, Ending>({ state: 'connecting' }, context.warnings)
    this.ended = this.#standing.ended
    this.#runner = new Runner(handler, options, {
      handled: (last) => this.#handled(last),
      failed: (failure) => this.#failed(failure),
      free: () => this.#pump(),
    })
    this.#resumption = new Resumption(context.channel, options, (error) => this.#end({ code: error.code, error }))
    if (context.client !== undefined) {
      this.#acks = new Acks({
        connected: () => this.#sessionOpen,
        send: (position) => context.channel.call<Position>('ack', position),
        forgotten: () => this.#forgotten(),
        refused: (error) => this.#end({ code: error.code, error }),
      })
    }
  }

  get status(): Status {
    const status = this.#standing.now
    return status.state === 'catching-up' ? { ...status, ...this.#catchUp.progress } : status
  }

  get position(): Position | undefined {
    return this.#position
  }

  onStatus(listener: (status: Status) => void): Undo {
    return this.#standing.on(listener)
  }

  onGap(listener: (gap: Gap) => void): Undo {
    return this.#gapReports.on(listener)
  }

  onProgress(listener: (progress: Progress) => void): Undo {
    return this.#catchUp.reports.on(listener)
  }

  onError(listener: (failure: Failure<T>) => void): Undo {
    return this.#errorReports.on(listener)
  }

  async ack(position: Position): Promise<Position> {
    check('position', position ?? null, isPosition(position), '{ epoch, offset }')
    if (this.#acks === undefined) {
      throw new RepriseError('bad_request', 'the hub keeps a cursor only where connect was given a `client`')
    }
    if (this.#standing.over) throw new RepriseError('unavailable', 'the subscription is over')
    return this.#acks.ack(positionOf(position))
  }

  seek(from: Exclude<From, 'none'>): Promise<void> {
    return this.#resumption.inTurn(() => this.#seek(from))
  }

  async #seek(from: Exclude<From, 'none'>): Promise<void> {
    checkFrom(from ?? null)
    this.#checkOpen()
    await this.#context.channel.joined()
    this.#checkOpen()
    this.#accepting = this.#sessionOpen = this.#paused = false
    this.#seeking = true
    this.#inbox.clear()
    try {
      await this.#resumption.seek(from)
    } catch (error) {
      // It goes on behind what the handler was given: what waited for it was dropped.
      if (this.#seeking) {
        this.#seeking = false
        const place = this.#runner.last ?? this.#position
        this.#received = place && positionOf(place)
        if (this.#context.channel.connected && !this.#standing.over && !this.#closing) this.#resume()
      }
      throw error
    }
  }

  #checkOpen(): void {
    if (!this.#standing.over && this.#closing === undefined) return
    throw new RepriseError('unavailable', 'the subscription is over')
  }

  async close(options: CloseOptions = {}): Promise<void> {
    this.#deadline.within(drainMsOf(options, this.#closing ? Infinity : this.#context.drainMs))
    this.#closing ??= this.#close()
    if (!this.calling) await this.#closing
  }

  /** Whether this is asked in its handler: who waits there for the end waits for itself. */
  get calling(): boolean {
    return this.#runner.calling
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  prepare(token: string | undefined): Promise<void> | undefined {
    return this.#context.place?.prepare?.(token)?.catch((error: RepriseError) => this.refused(error))
  }

  introduce(): SubscribeQuery {
    const { place } = this.#context
    const from = this.#options.from
    return queryOf(this.#received ?? (place === undefined ? from : place.start(from)), this.#options)
  }

  joined(): void {
    this.#paused = false
  }

  lost(reason: RepriseError): void {
    this.#accepting = this.#sessionOpen = false
    this.#inbox.forgetPages()
    this.#resumption.stop()
    this.#standing.report({ state: 'offline', reason })
  }

  refused(error: RepriseError): void {
    // A gap that ends the subscription still has its place behind the events that came before it.
    if (error.code === 'gap') this.#inbox.mark({ kind: 'end', error })
    else this.#end({ code: error.code, error })
    this.#pump()
  }

  subscribed({ position, behind }: Subscribed): void {
    if (this.#resumption.leaving) return
    this.#accepting = this.#sessionOpen = true
    this.#resumption.begun()
    const instead = this.#received || this.#seeking ? undefined : this.#context.place?.instead?.(position)
    if (instead !== undefined) {
      this.#accepting = false
      this.#resume(instead)
      return
    }
    const received = this.#received
    // What has arrived before stays ahead of a hub that starts a little earlier: the difference comes twice.
    const ahead = received?.epoch === position.epoch && received.offset > position.offset
    if (this.#seeking || received === undefined || !ahead) this.#received = position
    if (this.#seeking || this.#position === undefined) this.#position = position
    this.#seeking = false
    this.#catchUp.begin(this.#position.offset, behind + this.#inbox.size)
    this.#standing.report({ state: 'catching-up', ...this.#catchUp.progress })
    this.#acks?.joined()
  }

  gap(gap: Gap): void {
    if (!this.#accepting) return
    this.#received = gap.position
    this.#inbox.mark({ kind: 'gap', gap })
    this.#pump()
  }

  events({ epoch, events }: EventsPacket<T>, done?: () => void): void {
    if (!this.#accepting) return
    if (done !== undefined) this.#inbox.hold(done)
    const after = this.#received?.offset ?? 0
    const fresh = events.filter(({ offset }) => offset > after)
    const [next] = fresh
    const last = fresh.at(-1)
    if (next !== undefined && last !== undefined) {
      const [from, to] = [after + 1, next.offset - 1]
      // The hub never leaves a hole; should it, the program hears of it like of any other loss.
      if (from <= to) this.gap({ epoch, from, to, count: to - after, reason: 'reset', position: { epoch, offset: to } })
      this.#received = { epoch, offset: last.offset }
      this.#inbox.add(epoch, fresh)
    }
    this.#pump()
    // Pages wait for `done`; only what comes live can become too much.
    if (done === undefined && this.#inbox.isFull) this.#pause()
  }

  live(): void {
    if (!this.#accepting) return
    this.#inbox.mark({ kind: 'live' })
    this.#pump()
  }

  behind(): void {
    if (this.#accepting) this.#standing.report({ state: 'behind', slow: 'connection' })
  }

  /** Hands out what waits, as far as the handler takes it. */
  #pump(): void {
    if (this.#pumping) return
    this.#pumping = true
    while (!this.#standing.over && this.#closing === undefined && this.#inbox.next !== undefined) {
      if (this.#inbox.next === 'events') {
        if (this.#runner.full) break
        const event = this.#inbox.takeEvent()
        if (event !== undefined) this.#runner.run(event)
      } else {
        if (this.#runner.busy) break
        const mark = this.#inbox.takeMark()
        if (mark !== undefined) this.#reached(mark)
      }
    }
    this.#pumping = false
    if (this.#standing.over || this.#closing !== undefined || !this.#inbox.hasRoom) return
    if (this.#paused) this.#resume()
    else this.#inbox.release()
  }

  #reached(mark: Mark): void {
    switch (mark.kind) {
      case 'gap':
        this.#catchUp.skip(mark.gap.position.offset)
        this.#move(mark.gap.position)
        this.#gapReports.emit(mark.gap)
        return
      case 'live':
        this.#catchUp.end()
        this.#reportProgress()
        this.#standing.report({ state: 'live' })
        void this.#acks?.flush()
        return
      case 'end':
        this.#end({ code: mark.error.code, error: mark.error })
    }
  }

  #move(position: Position): void {
    this.#position = position
    if (this.#options.ack === 'manual') return
    this.#context.place?.move(position)
    this.#acks?.move(position)
  }

  #handled(last: Received<T>): void {
    this.#move(positionOf(last))
    this.#catchUp.reach(last.offset)
    this.#reportProgress()
  }

  #failed(failure: Failure<T>): void {
    const { event, then, error } = failure
    if (!this.#errorReports.heard) this.#context.warnings.failed(this.topic, `event ${event.offset}`, then, error)
    this.#errorReports.emit(failure)
    if (then !== 'stop') return
    this.#end({ code: 'handler_failed', error, position: positionOf(event) })
  }

  #reportProgress(): void {
    if (this.#standing.now.state === 'catching-up' && this.#catchUp.report()) this.#standing.report(this.status)
  }

  #pause(): void {
    this.#paused = true
    this.#accepting = false
    this.#context.channel.call('unsubscribe').catch(() => {})
    this.#standing.report({ state: 'behind', slow: 'handler' })
  }

  /** The cursor was deleted, or lost with the store: another one begins behind what is handled. */
  #forgotten(): void {
    if (this.#standing.over || this.#closing !== undefined || !this.#sessionOpen) return
    this.#accepting = this.#sessionOpen = false
    if (!this.#paused) this.#resume(this.#position)
  }

  /** Reads on from what has arrived. */
  #resume(from: From | undefined = this.#received): void {
    this.#paused = this.#sessionOpen = false
    this.#resumption.begin(from)
  }

  /** Ends now, whatever still runs. */
  abandon(): void {
    this.#end({ code: 'closed' })
  }

  async #close(): Promise<void> {
    const handled = this.#runner.stop().then(() => this.#acks?.flush())
    if (!this.#standing.over) await this.#deadline.first([handled, this.ended])
    this.#deadline.end()
    this.#end({ code: 'closed' })
  }

  #end(ending: Ending): void {
    if (this.#standing.over) return
    this.#resumption.stop()
    this.#accepting = false
    this.#inbox.clear()
    void this.#runner.stop()
    const detach = () => {
      this.#acks?.close(new RepriseError('unavailable', `the subscription is over: ${ending.code}`))
      this.#context.detach()
    }
    // What was handled before the failure should not come again.
    if (ending.code === 'handler_failed' && this.#acks !== undefined) void this.#acks.flush().then(detach)
    else detach()
    this.#standing.end(`the subscription of ${this.topic}`, { state: 'ended', reason: ending })
  }
}
