/**
 * Delivers a queue's jobs to its consumers on this node: by credit, and in turns, and to nobody who is silent. Woken by
 * notifications, returned credit and due times; looks again every few seconds, as hints can be lost. Knows nothing of what
 * a job is, nor who may consume.
 */

import { RepriseError } from '../../../../shared/errors.ts'
import type {
  Claim,
  Claimed,
  QueueNotification,
  Settled,
  Settlement,
  SettleOutcome,
} from '../../../store/contract/store.ts'
import { isPassing } from '../../refusal.ts'
import { isDead, policyOf, type QueueSettings } from '../settings.ts'
import { Alarm } from './alarm.ts'
import { type Consumer, givenBack, keyOf, takenOver } from './consumer.ts'
import { endingsOf, isReadable, type ReadableJob } from './damaged.ts'
import { Lapses, type LapsesContext } from './lapses.ts'
import { jobsPackets } from './packet.ts'
import { Rounds } from './rounds.ts'
import { Sharing, type Turns } from './sharing.ts'

/** Waiting work and silent leases are looked at again after this time. */
const LOOK_MS = 2_000
/** Consumers are named to the store so often. */
const TOUCH_MS = 15_000
/** After a store that failed. */
const RETRY_MS = 500
/** What one claim may carry. */
const CLAIM_BYTES = 1_048_576

export interface DispatchContext extends LapsesContext {
  readonly settings: () => QueueSettings
  readonly turns: Turns
  /** The consumer attaches anew: the store has forgotten it. Rejects with `unavailable` where it is gone. */
  readonly reattach: (consumer: Consumer) => Promise<void>
  /** The consumer is over, for everybody. */
  readonly ended: (consumer: Consumer, error: RepriseError) => void
}

export class Dispatch {
  readonly queue: string
  readonly #context: DispatchContext
  readonly #consumers = new Map<string, Consumer>()
  readonly #sharing: Sharing
  readonly #alarm: Alarm
  readonly #lapses: Lapses
  #unwatch: (() => void) | undefined
  #look: NodeJS.Timeout | undefined
  #touch: NodeJS.Timeout | undefined
  readonly #rounds = new Rounds(
    () => this.#handOut(),
    (error) => this.#failed(error),
  )
  #throttledUntil = 0
  #stopped = false

  constructor(queue: string, context: DispatchContext) {
    this.queue = queue
    this.#context = context
    this.#sharing = new Sharing(context.turns, context.silence)
    this.#lapses = new Lapses(queue, context, () => this.kick())
    this.#alarm = new Alarm(context.clock, () => this.#kickAll())
  }

  async start(): Promise<void> {
    const unwatch = await this.#context.store.queues.watch(this.queue, (notification) => this.#told(notification))
    if (this.#stopped) {
      unwatch()
      return
    }
    this.#unwatch = unwatch
    this.#look = setInterval(() => this.#lookAgain(), LOOK_MS)
    this.#touch = setInterval(() => void this.#tellThatTheyAreThere(), TOUCH_MS)
  }

  stop(): void {
    this.#stopped = true
    this.#unwatch?.()
    clearInterval(this.#look)
    clearInterval(this.#touch)
    this.#alarm.stop()
    this.#rounds.stop()
  }

  /** The consumer whose place it takes, if any. */
  add(consumer: Consumer): Consumer | undefined {
    const key = keyOf(consumer.owner)
    const other = this.#consumers.get(key)
    this.#consumers.set(key, consumer)
    this.#context.turns.came(consumer.client)
    this.kick()
    return other === consumer ? undefined : other
  }

  remove(consumer: Consumer): void {
    const key = keyOf(consumer.owner)
    if (this.#consumers.get(key) === consumer) this.#consumers.delete(key)
    this.#sharing.left(consumer)
    this.kick()
  }

  /** A settlement was answered, most likely one of `by`: the lease is over, or longer. */
  settled(settlement: Settlement, answer: Settled, by: Consumer | undefined): void {
    const { id, lease, as } = settlement
    const holder = by?.has(settlement) ? by : [...this.#consumers.values()].find((one) => one.has(settlement))
    if (holder === undefined) return
    if (as !== 'extend' && answer === 'ok') this.#context.telemetry.meter.ran(this.queue, as, holder.heldFor(lease))
    if (as === 'extend' && answer !== 'lost') {
      if (answer === 'ok') holder.extended(lease, this.#context.clock.now + settlement.leaseMs)
      else holder.capped(lease, answer.expiresAt)
    } else if (holder.gave(lease)) {
      // It is found lost before word of that came.
      if (as === 'extend') holder.client.outlet.lost(this.queue, [id])
      this.kick()
    }
  }

  settingsChanged(): void {
    this.#throttledUntil = 0
    this.#lookAgain()
  }

  /** There may be something to deliver; so many jobs are on their way. */
  kick(jobs = 0): void {
    this.#sharing.expect(jobs)
    this.#rounds.kick()
  }

  /** Those too that could not be given what there was. */
  #kickAll(): void {
    for (const consumer of this.#consumers.values()) consumer.unstick()
    this.kick()
  }

  /** Resolves when a round that begins now or later is over: whoever takes has what there was. Rejects if it fails. */
  round(): Promise<void> {
    return this.#rounds.next()
  }

  #failed(error: unknown): void {
    const { telemetry, clock } = this.#context
    if (!isPassing(error)) telemetry.failed(`handing out jobs of ${this.queue}`, error)
    this.#alarm.ringAt(clock.now + RETRY_MS)
  }

  /** Settles for a consumer. The same call fills the places that this frees, where it is the consumer's turn. */
  async settle(consumer: Consumer, settlements: readonly Settlement[]): Promise<SettleOutcome> {
    const { store, settings, clock } = this.#context
    const given = consumer.giving(settlements.filter(({ as }) => as !== 'extend'))
    const max = given.length === 0 ? 0 : this.#turnOf(consumer)
    const next = max === 0 ? undefined : this.#claimOf(consumer, max)
    const settling = store.queues.settle(this.queue, settlements, policyOf(settings()), consumer.owner, next)
    try {
      // Only where it is awaited: nobody else takes its rejection.
      const claiming = next && settling.then(({ claimed }) => claimed)
      const claimed = claiming && (await this.#take(consumer, next, claiming))
      if (claimed !== undefined && this.#learn(claimed)) this.kick()
      return await settling
    } catch (error) {
      consumer.keeps(given)
      this.#alarm.ringAt(clock.now + RETRY_MS)
      throw error
    }
  }

  /** How many jobs the consumer takes now; 0 where it takes none. Others whose turn it is have theirs in a round. */
  #turnOf(consumer: Consumer): number {
    const takers = this.#takers()
    const max = consumer.doubtful ? 0 : (takers.get(consumer) ?? 0)
    if (max === 0 || takers.size > 1) this.kick()
    this.#sharing.asked(max)
    return max
  }

  #takers(): Map<Consumer, number> {
    const { now } = this.#context.clock
    if (now >= this.#throttledUntil) return this.#sharing.takers([...this.#consumers.values()], now)
    // A timer may fire a little early, and nobody else wakes what the rate holds back.
    this.#alarm.ringAt(this.#throttledUntil)
    return new Map()
  }

  /** Claims until nothing waits or nobody takes. */
  async #handOut(): Promise<void> {
    while (!this.#stopped) {
      const takers = [...this.#takers()]
      if (takers.length === 0) return await this.#fireLapsed()
      const outcomes = await Promise.all(takers.map(([consumer, max]) => this.#claim(consumer, max)))
      const last = outcomes.findLast((outcome) => outcome !== undefined)
      if (last === undefined || !this.#learn(last)) return
    }
  }

  /** Whether more waits. */
  #learn(claimed: Claimed): boolean {
    this.#sharing.learn(claimed, this.#consumers.values())
    if (claimed.nextAt !== undefined) this.#alarm.ringAt(claimed.nextAt)
    return claimed.waiting > 0
  }

  async #fireLapsed(): Promise<void> {
    const { store, settings, clock } = this.#context
    if (![...this.#consumers.values()].some((consumer) => consumer.hasLapsed(clock.now))) return
    const { nextAt } = await store.maintain(() => policyOf(settings()), this.queue)
    if (nextAt !== undefined) this.#alarm.ringAt(nextAt)
  }

  async #claim(consumer: Consumer, max: number): Promise<Claimed | undefined> {
    const { store, reattach } = this.#context
    const { doubtful } = consumer
    if (doubtful) {
      try {
        await reattach(consumer)
      } catch (error) {
        this.#doubt(consumer)
        throw error
      }
      consumer.doubtful = false
    }
    const claim = this.#claimOf(consumer, max)
    const claiming = store.queues.claim(this.queue, claim).catch((error: unknown) => {
      // One that is forgotten again at once has failed.
      const refusals = doubtful ? ['taken_over'] : ['taken_over', 'not_found']
      if (error instanceof RepriseError && refusals.includes(error.code)) return error
      throw error
    })
    return await this.#take(consumer, claim, claiming)
  }

  #claimOf({ owner, session, leaseMs }: Consumer, max: number): Claim {
    const settings = this.#context.settings()
    const { maxLeaseMs, rate, groupRate } = settings
    const lease = { leaseMs, capMs: Math.max(maxLeaseMs, leaseMs), policy: policyOf(settings) }
    const rates = { ...(rate < Infinity && { rate }), ...(groupRate < Infinity && { groupRate }) }
    return { consumer: owner, session, max, bytes: CLAIM_BYTES, ...lease, ...rates }
  }

  /** Delivers what a claim brings. */
  async #take(
    consumer: Consumer,
    { max, leaseMs, capMs, rate = Infinity }: Claim,
    claiming: Promise<Claimed | RepriseError | undefined>,
  ): Promise<Claimed | undefined> {
    const { clock, ended } = this.#context
    const { freed } = consumer
    let claimed: Claimed | RepriseError | undefined
    consumer.asked += max
    try {
      claimed = await claiming
    } catch (error) {
      this.#doubt(consumer)
      throw error
    } finally {
      consumer.asked -= max
    }
    if (claimed === undefined) return undefined
    if (claimed instanceof RepriseError) {
      if (claimed.code === 'taken_over') ended(consumer, claimed)
      // The store has forgotten it: it attaches with its next claim.
      else this.#doubt(consumer)
      this.kick()
      return undefined
    }
    const { jobs, waiting, nextAt } = claimed
    if (jobs.length === 0 && waiting > 0) consumer.gotNothing(freed)
    if (jobs.length < max && waiting === 0 && nextAt !== undefined && nextAt > clock.now) {
      // What is further away is a due time, which holds up nothing that comes meanwhile.
      if (nextAt <= clock.now + 1_000 / rate) this.#throttledUntil = nextAt
    }
    if (consumer.over) this.#endUnseen(givenBack(jobs))
    else {
      this.#deliver(consumer, jobs.filter(isReadable), { leaseMs, capMs })
      this.#endUnseen(endingsOf(jobs, isDead(this.queue)))
    }
    return claimed
  }

  /** It is attached anew, and a connection that is dead without anybody knowing must not take the place of a newer one. */
  #doubt(consumer: Consumer): void {
    consumer.doubtful = true
    this.#context.silence.doubt(consumer.client)
  }

  #deliver(consumer: Consumer, jobs: readonly ReadableJob[], bounds: Pick<Claim, 'leaseMs' | 'capMs'>): void {
    if (jobs.length > 0) this.#context.turns.given(consumer.client)
    this.#lapses.replaced(consumer, jobs)
    for (const job of jobs) consumer.delivered(job, bounds, performance.now())
    if (jobs.length > 0) this.#context.telemetry.meter.started(this.queue, jobs)
    for (const packet of jobsPackets(this.queue, jobs)) consumer.client.outlet.jobs(packet)
  }

  /** Jobs that their consumer never sees: it has left meanwhile, or they cannot be read. */
  #endUnseen(settlements: readonly Settlement[]): void {
    if (settlements.length === 0) return
    const { store, settings } = this.#context
    store.queues.settle(this.queue, settlements, policyOf(settings())).then(
      () => this.#kickAll(),
      (error: unknown) => this.#failed(error),
    )
  }

  #told(notification: QueueNotification): void {
    switch (notification.kind) {
      case 'work':
        if (notification.at <= this.#context.clock.now) this.kick()
        else this.#alarm.ringAt(notification.at)
        return
      case 'lapsed': {
        const consumer = this.#consumers.get(keyOf(notification.consumer))
        if (consumer !== undefined) this.#lapses.told(consumer, new Set(notification.ids))
        this.kick()
        return
      }
      case 'settled': {
        const consumer = this.#consumers.get(keyOf(notification.consumer))
        for (const lease of notification.leases) if (consumer?.gave(lease) === true) this.kick()
        return
      }
      case 'session': {
        if (notification.isDead !== isDead(this.queue)) return
        const consumer = this.#consumers.get(keyOf(notification.consumer))
        if (consumer === undefined || consumer.attaching > 0 || consumer.session >= notification.session) return
        this.#context.ended(consumer, takenOver())
        return
      }
      case 'changed':
      case 'lost':
        this.#lookAgain()
        return
      default:
    }
  }

  #lookAgain(): void {
    this.#kickAll()
    void this.#lapses.look([...this.#consumers.values()])
  }

  async #tellThatTheyAreThere(): Promise<void> {
    const owners = [...this.#consumers.values()].map(({ owner }) => owner)
    if (owners.length === 0) return
    // Told again soon; a consumer that the store forgot meanwhile attaches anew with its next claim.
    await this.#context.store.queues.touch(this.queue, owners).catch(() => {})
  }
}
