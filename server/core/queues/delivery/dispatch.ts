/**
 * Delivers a queue's jobs to its consumers on this node: by credit, and in turns, and to nobody who is silent. Woken by
 * notifications, returned credit and due times; looks again every few seconds, as hints can be lost. Knows nothing of what
 * a job is, nor who may consume.
 */

import { RepriseError } from '../../../../shared/errors.ts'
import type { Claimed, QueueNotification, Store } from '../../../store/contract/store.ts'
import type { StoreClock } from '../../clock.ts'
import type { Telemetry } from '../../telemetry.ts'
import { isDead, policyOf, type QueueSettings } from '../settings.ts'
import { type Consumer, keyOf, type Leased } from './consumer.ts'
import { jobsPackets } from './packet.ts'
import { Rounds } from './rounds.ts'
import type { Turns } from './sharing.ts'
import type { Silence } from './silence.ts'

/** Waiting work and silent leases are looked at again after this time. */
const LOOK_MS = 2_000
/** Consumers are named to the store so often. */
const TOUCH_MS = 15_000
/** After a store that failed. */
const RETRY_MS = 500
/** What one claim may carry. */
const CLAIM_BYTES = 1_048_576
const CLAIM_JOBS = 1_000
/** How far this node's idea of the store's clock may be off. */
const CLOCK_MS = 50
/** A lease that should have lapsed is asked for after this time more. */
const SILENCE_MS = 1_000
/** Leases of one consumer that are asked for at one look. */
const MAX_LOOKED_AFTER = 100
/** What is due already is waited for a moment, so that a store that has not got to it is not asked without end. */
const MIN_TIMER_MS = 2
const MAX_TIMER_MS = 2 ** 31 - 1

export interface DispatchContext {
  readonly store: Pick<Store, 'queues' | 'maintain'>
  readonly clock: StoreClock
  readonly telemetry: Telemetry
  readonly settings: () => QueueSettings
  readonly turns: Turns
  readonly silence: Silence
  /** The consumer attaches anew: the store has forgotten it. Rejects with `unavailable` where it is gone. */
  readonly reattach: (consumer: Consumer) => Promise<void>
  /** The consumer is over, for everybody. */
  readonly ended: (consumer: Consumer, error: RepriseError) => void
}

export class Dispatch {
  readonly queue: string
  readonly #context: DispatchContext
  readonly #consumers = new Map<string, Consumer>()
  /** The one that takes no more until its hands are empty, so that it can be given a suspect. */
  #aside: Consumer | undefined
  #unwatch: (() => void) | undefined
  #due: NodeJS.Timeout | undefined
  #dueAt = Number.POSITIVE_INFINITY
  #look: NodeJS.Timeout | undefined
  #touch: NodeJS.Timeout | undefined
  readonly #rounds = new Rounds(
    () => this.#handOut(),
    (error) => this.#failed(error),
  )
  #throttledUntil = 0
  /** Jobs that wait, as far as is known: what is delivered at once is shared among those who take. */
  #expected = 0
  #stopped = false

  constructor(queue: string, context: DispatchContext) {
    this.queue = queue
    this.#context = context
  }

  async start(): Promise<void> {
    const unwatch = await this.#context.store.queues.watch(this.queue, (notification) => this.#told(notification))
    if (this.#stopped) {
      unwatch()
      return
    }
    this.#unwatch = unwatch
    this.#look = setInterval(() => void this.#lookAgain(), LOOK_MS)
    this.#touch = setInterval(() => void this.#tellThatTheyAreThere(), TOUCH_MS)
  }

  stop(): void {
    this.#stopped = true
    this.#unwatch?.()
    clearInterval(this.#look)
    clearInterval(this.#touch)
    clearTimeout(this.#due)
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
    if (this.#aside === consumer) this.#aside = undefined
    this.kick()
  }

  /** A lease was settled, most likely by `by`: its credit is free. */
  settled(leased: Leased, by: Consumer | undefined): void {
    if (this.#holderOf(leased, by)?.gave(leased.lease) === true) this.kick()
  }

  /** It was found lost when more time was asked for, before word of that came. */
  lost(leased: Leased, by: Consumer | undefined): void {
    const holder = this.#holderOf(leased, by)
    if (holder?.gave(leased.lease) !== true) return
    holder.client.outlet.lost(this.queue, [leased.id])
    this.kick()
  }

  #holderOf(leased: Leased, by: Consumer | undefined): Consumer | undefined {
    return by?.has(leased) === true ? by : [...this.#consumers.values()].find((one) => one.has(leased))
  }

  extended(lease: string, expiresAt: number): void {
    for (const consumer of this.#consumers.values()) consumer.extended(lease, expiresAt)
  }

  capped(lease: string, capAt: number): void {
    for (const consumer of this.#consumers.values()) consumer.capped(lease, capAt)
  }

  settingsChanged(): void {
    this.#throttledUntil = 0
    void this.#lookAgain()
  }

  /** There may be something to deliver; so many jobs are on their way. */
  kick(jobs = 0): void {
    this.#expected += jobs
    this.#rounds.kick()
  }

  /** Resolves when a round that begins now or later is over: whoever takes has what there was. Rejects if it fails. */
  round(): Promise<void> {
    return this.#rounds.next()
  }

  #failed(error: unknown): void {
    const { telemetry, clock } = this.#context
    if (!(error instanceof RepriseError) || !error.retryable) {
      telemetry.failed(`handing out jobs of ${this.queue}`, error)
    }
    this.#wakeAt(clock.now + RETRY_MS)
  }

  /** Claims until nothing waits or nobody takes. */
  async #handOut(): Promise<void> {
    let expected = this.#expected
    this.#expected = 0
    while (!this.#stopped) {
      if (this.#context.clock.now < this.#throttledUntil) {
        // A timer may fire a little early, and nobody else wakes what the rate holds back.
        this.#wakeAt(this.#throttledUntil)
        return
      }
      const able = this.#able()
      const waiting = Math.max(1, expected)
      const takers = this.#takers(able, waiting)
      if (takers.length === 0) {
        this.#expected = Math.max(this.#expected, expected)
        return await this.#fireLapsed()
      }
      const share = able.length === 1 ? CLAIM_JOBS : Math.ceil(waiting / takers.length)
      const most = Math.min(share, CLAIM_JOBS)
      const outcomes = await Promise.all(takers.map((taker) => this.#claim(taker, Math.min(taker.free, most))))
      const last = outcomes.findLast((outcome) => outcome !== undefined)
      if (last === undefined) return
      expected = last.waiting
      this.#setAside(last.suspects)
      if (last.nextAt !== undefined) this.#wakeAt(last.nextAt)
      if (expected === 0) return
    }
  }

  async #fireLapsed(): Promise<void> {
    const { store, settings, clock } = this.#context
    if (![...this.#consumers.values()].some((consumer) => consumer.hasLapsed(clock.now))) return
    const { nextAt } = await store.maintain(() => policyOf(settings()), this.queue)
    if (nextAt !== undefined) this.#wakeAt(nextAt)
  }

  /** Who can be given something now. What is asked for in the other round may still be free. */
  #able(): Consumer[] {
    const { silence, clock } = this.#context
    const able: Consumer[] = []
    const silent: Consumer[] = []
    let isSomebodyThere = false
    for (const consumer of this.#consumers.values()) {
      if (consumer.credit === 0) continue
      if (consumer.hasLapsed(clock.now + CLOCK_MS)) silence.begin(consumer.client)
      if (silence.has(consumer.client)) {
        if (this.#aside === consumer) this.#aside = undefined
        silent.push(consumer)
        continue
      }
      isSomebodyThere = true
      // Of a session that is over nothing is claimed.
      if (consumer.attaching > 0) continue
      if (consumer.free + consumer.asked === 0 || consumer.stuck || consumer.over) continue
      if (consumer.client.outlet.overfull) continue
      if (consumer === this.#aside && consumer.holds + consumer.asked > 0) continue
      able.push(consumer)
    }
    if (!isSomebodyThere) for (const { client } of silent) silence.ask(client)
    return able
  }

  /** In their turns; no more of them than there are jobs. */
  #takers(able: Consumer[], waiting: number): Consumer[] {
    const first = this.#context.turns.order(able).slice(0, waiting)
    // One in doubt has to see first what the other claim brings.
    const takers = first.filter((consumer) => consumer.free > 0 && !(consumer.doubtful && consumer.asked > 0))
    if (takers.length < first.length) this.#rounds.passOver()
    return takers
  }

  async #claim(consumer: Consumer, max: number): Promise<Claimed | undefined> {
    const { store, settings, ended, reattach, clock, silence } = this.#context
    const { leaseMs, doubtful, freed } = consumer
    const now = settings()
    const capMs = Math.max(now.maxLeaseMs, leaseMs)
    let claimed: Claimed
    consumer.asked += max
    try {
      if (doubtful) {
        await reattach(consumer)
        consumer.doubtful = false
      }
      claimed = await store.queues.claim(this.queue, {
        consumer: consumer.owner,
        session: consumer.session,
        max,
        bytes: CLAIM_BYTES,
        leaseMs,
        capMs,
        policy: policyOf(now),
        ...(now.rate === Number.POSITIVE_INFINITY ? {} : { rate: now.rate }),
      })
    } catch (error) {
      if (!(error instanceof RepriseError)) throw error
      if (error.code === 'taken_over') {
        ended(consumer, error)
        return undefined
      }
      consumer.doubtful = true
      // It is attached anew, and a connection that is dead without anybody knowing must not take the place of a newer one.
      silence.doubt(consumer.client)
      if (error.code !== 'not_found' || doubtful) throw error
      // The store has forgotten it: it attaches with its next claim.
      this.#rounds.again()
      return undefined
    } finally {
      consumer.asked -= max
    }
    const { jobs, waiting, nextAt } = claimed
    if (jobs.length === 0 && waiting > 0 && consumer.freed === freed) consumer.stuck = true
    if (jobs.length < max && waiting === 0 && nextAt !== undefined && nextAt > clock.now) {
      // What is further away is a due time, which holds up nothing that comes meanwhile.
      if (nextAt <= clock.now + 1_000 / now.rate) this.#throttledUntil = nextAt
    }
    if (consumer.over) {
      // It has left meanwhile and never sees them.
      const back = jobs.map(({ id, lease }) => ({ id, lease, as: 'release' }) as const)
      if (back.length > 0) await store.queues.settle(this.queue, back, policyOf(now))
      return claimed
    }
    if (jobs.length > 0) this.#context.turns.given(consumer.client)
    this.#tellReplaced(consumer, jobs)
    for (const job of jobs) consumer.took(job, job.expiresAt - leaseMs + capMs)
    for (const packet of jobsPackets(this.queue, jobs)) consumer.client.outlet.jobs(packet)
    return claimed
  }

  /** Word of a lapse may come after the job has: then the consumer would take its new lease for lost. */
  #tellReplaced(consumer: Consumer, jobs: Claimed['jobs']): void {
    const again = jobs.filter(({ deliveries }) => deliveries > 1).map(({ id }) => id)
    const replaced = again.length === 0 ? [] : consumer.replaced(new Set(again))
    if (replaced.length > 0) consumer.client.outlet.lost(this.queue, replaced)
  }

  /** Suspects go to empty hands only: one consumer is kept from taking more, the one that is done first. */
  #setAside(suspects: number): void {
    if (suspects === 0) {
      this.#aside = undefined
      return
    }
    if (this.#aside !== undefined) return
    for (const consumer of this.#consumers.values()) {
      if (consumer.credit === 0 || this.#context.silence.has(consumer.client)) continue
      if (this.#aside === undefined || consumer.holds < this.#aside.holds) this.#aside = consumer
    }
  }

  #wakeAt(at: number): void {
    if (at >= this.#dueAt || this.#stopped) return
    clearTimeout(this.#due)
    this.#dueAt = at
    const waitMs = Math.max(MIN_TIMER_MS, Math.ceil(at - this.#context.clock.now))
    this.#due = setTimeout(
      () => {
        this.#dueAt = Number.POSITIVE_INFINITY
        for (const consumer of this.#consumers.values()) consumer.stuck = false
        this.kick()
      },
      Math.min(waitMs, MAX_TIMER_MS),
    )
  }

  #told(notification: QueueNotification): void {
    switch (notification.kind) {
      case 'work':
        if (notification.at <= this.#context.clock.now) this.kick()
        else this.#wakeAt(notification.at)
        return
      case 'lapsed': {
        const consumer = this.#consumers.get(keyOf(notification.consumer))
        const ids = new Set(notification.ids)
        const now = this.#context.clock.now + CLOCK_MS
        if (consumer?.hasLapsed(now, ids)) this.#context.silence.begin(consumer.client)
        const lost = consumer?.lost(ids, now) ?? []
        if (consumer !== undefined && lost.length > 0) {
          const told = { queue: this.queue, client: consumer.owner.client, jobs: lost.length } as const
          this.#context.telemetry.happened({ kind: 'consumerLost', ...told, reason: 'lease lapsed' })
          consumer.client.outlet.lost(this.queue, lost)
        }
        // At the cap a lease ends sooner than its last extension said.
        if (consumer !== undefined) void this.#lookAfter(consumer, consumer.leasesOf(ids))
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
        this.#context.ended(consumer, new RepriseError('taken_over', 'a newer consumer of this client took over'))
        return
      }
      case 'changed':
      case 'lost':
        void this.#lookAgain()
        return
      default:
    }
  }

  async #lookAgain(): Promise<void> {
    for (const consumer of this.#consumers.values()) consumer.stuck = false
    this.kick()
    const before = this.#context.clock.now - SILENCE_MS
    for (const consumer of [...this.#consumers.values()]) {
      await this.#lookAfter(consumer, consumer.silent(before).slice(0, MAX_LOOKED_AFTER))
    }
  }

  /** Asks the store whether the consumer has these leases still; of those that it has not it is told. */
  async #lookAfter(consumer: Consumer, leases: readonly Leased[]): Promise<void> {
    const { store, clock, telemetry } = this.#context
    try {
      for (const { id, lease } of leases) {
        const [job] = await store.queues.jobs(this.queue, { ids: [id] })
        const { holder, expiresAt = 0 } = job ?? {}
        if (holder !== undefined && keyOf(holder) === keyOf(consumer.owner) && expiresAt > clock.now) {
          consumer.extended(lease, expiresAt)
        } else if (consumer.gave(lease)) {
          consumer.client.outlet.lost(this.queue, [id])
          this.kick()
        }
      }
    } catch (error) {
      if (!(error instanceof RepriseError) || !error.retryable) telemetry.failed(`leases of ${this.queue}`, error)
    }
  }

  async #tellThatTheyAreThere(): Promise<void> {
    const owners = [...this.#consumers.values()].map(({ owner }) => owner)
    if (owners.length === 0) return
    // Told again soon; a consumer that the store forgot meanwhile attaches anew with its next claim.
    await this.#context.store.queues.touch(this.queue, owners).catch(() => {})
  }
}
