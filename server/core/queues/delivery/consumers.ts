/** Who consumes on this node: makes consumers, changes and ends them, and keeps a dispatch for each queue they take from. */

import type { RepriseError } from '../../../../shared/errors.ts'
import type { Limits } from '../../../../shared/protocol.ts'
import type { ConsumeOptions, Consuming } from '../../../../shared/queues.ts'
import type { Attached, KeptLease, Leaving, Owner, Settled, Settlement, Store } from '../../../store/contract/store.ts'
import { authorize, refusalFor } from '../../access.ts'
import { type Asker, beginSession } from '../../beginning.ts'
import type { StoreClock } from '../../clock.ts'
import { isPassing } from '../../refusal.ts'
import type { Telemetry } from '../../telemetry.ts'
import { checkQueue } from '../draft.ts'
import { type HubQueueSettings, policyOf } from '../settings.ts'
import { Consumer, connectionGone, givenBack, keyOf, notHeard, ownerOf, takenOver } from './consumer.ts'
import { Dispatch } from './dispatch.ts'
import type { JobClient } from './outlet.ts'
import { Seats } from './seats.ts'
import { Turns } from './sharing.ts'
import { Silence } from './silence.ts'

export interface ConsumersContext {
  readonly store: Store
  readonly settings: HubQueueSettings
  readonly limits: Limits
  readonly clock: Pick<StoreClock, 'now'>
  readonly telemetry: Telemetry
  /** Fires when the hub begins to drain. */
  readonly draining: AbortSignal
}

type Heard = Omit<Asker, 'check'>

interface Desk {
  readonly dispatch: Dispatch
  readonly started: Promise<void>
  /** Consumers, and those on their way in. */
  users: number
}

interface Attachment {
  /** What the store says that it holds. */
  readonly held: readonly KeptLease[]
  /** What this node knew of. */
  readonly known: readonly KeptLease[]
}

export class Consumers {
  readonly #context: ConsumersContext
  readonly #desks = new Map<string, Desk>()
  readonly #seats = new Seats()
  readonly #leaving = new Set<Promise<unknown>>()
  /** Consumers whose sessions are being begun; their queues may not know them yet. */
  readonly #attaching = new Set<Consumer>()
  readonly #turns = new Turns()
  readonly #silence = new Silence((client) => {
    for (const queue of this.#seats.of(client)?.consumers.keys() ?? []) this.#desks.get(queue)?.dispatch.kick()
  })
  readonly #unlisten: () => void

  constructor(context: ConsumersContext) {
    this.#context = context
    this.#unlisten = context.settings.onChange(() => {
      for (const { dispatch } of this.#desks.values()) dispatch.settingsChanged()
    })
  }

  /** Makes the client a consumer, or changes its credit. */
  consume(client: JobClient, queue: string, options: ConsumeOptions): Promise<Consuming> {
    checkQueue(queue, 'dead')
    authorize(client.caller, 'consume', queue)
    const { outlet } = client
    const heard = { heardAt: performance.now(), present: outlet.present?.bind(outlet) }
    return this.#seats.inTurn(client, queue, async (seat) => {
      const known = seat.consumers.get(queue)
      const { credit, holding } = options
      const askedLeaseMs = options.leaseMs ?? known?.askedLeaseMs
      const leaseMs = Math.ceil(askedLeaseMs ?? this.#context.settings.forQueue(queue).leaseMs)
      const answer = { queue, credit, leaseMs, limits: this.#context.limits }
      if (known !== undefined) {
        const cancelled = known.credit === 0
        known.leaseMs = leaseMs
        known.askedLeaseMs = askedLeaseMs
        // Less holds at once: it is given jobs as soon as it is attached.
        known.credit = Math.min(known.credit, credit)
        const isKept = holding === undefined && !cancelled
        const held = isKept ? known.kept : (await this.#attach(known, queue, heard, holding)).held
        known.credit = credit
        this.#desks.get(queue)?.dispatch.kick()
        return { ...answer, held }
      }
      const consumer = new Consumer(client, credit, leaseMs)
      consumer.askedLeaseMs = askedLeaseMs
      const desk = this.#enter(queue)
      try {
        await desk.started
        const { held } = await this.#attach(consumer, queue, heard, holding)
        if (seat.gone) throw connectionGone()
        seat.consumers.set(queue, consumer)
        const replaced = desk.dispatch.add(consumer)
        if (replaced !== undefined) this.#ended(replaced, queue, takenOver())
        return { ...answer, held }
      } catch (error) {
        this.#exit(queue, desk)
        const leaving = seat.gone === false ? 'keep' : this.#leavingOf(queue, seat.gone.deliberate, client)
        await this.#detach(consumer, queue, leaving).catch(() => {})
        throw error
      }
    })
  }

  /** Resolves when the queue's consumers on this node were given what there is. Rejects with what the store fails with. */
  async round(queue: string): Promise<void> {
    await this.#desks.get(queue)?.dispatch.round()
  }

  /** What the client consumes. */
  *of(client: JobClient): Generator<readonly [queue: string, consumer: Consumer]> {
    yield* this.#seats.of(client)?.consumers ?? []
  }

  /** Whether the consumer is a consumer of this node, which is told of its leases. */
  has(queue: string, holder: Owner): boolean {
    for (const { consumer } of this.on(queue)) if (keyOf(consumer.owner) === keyOf(holder)) return true
    return false
  }

  /** Who consumes from the queue on this node. */
  *on(queue: string): Generator<{ readonly consumer: Consumer; readonly isSilent: boolean }> {
    for (const { consumers } of this.#seats.all()) {
      const consumer = consumers.get(queue)
      if (consumer !== undefined) yield { consumer, isSilent: this.#silence.has(consumer.client) }
    }
  }

  /** The client takes no more jobs of the queue; what it holds stays its own until it is settled. */
  cancel(client: JobClient, queue: string): Promise<void> {
    checkQueue(queue, 'dead')
    // At once: what it gives back with the next call is not to come again.
    const known = this.#seats.of(client)?.consumers.get(queue)
    if (known !== undefined) known.credit = 0
    return this.#seats.inTurn(client, queue, async (seat) => {
      const consumer = seat.consumers.get(queue)
      if (consumer === undefined) return
      if (consumer.kept.length === 0) return await this.#leave(consumer, queue, 'keep')
      // It stays here to be told of leases that are lost.
      consumer.credit = 0
      await this.#detach(consumer, queue, 'keep')
    })
  }

  /** The client's credentials are other ones now: where they allow no consuming any more, it ends. */
  review(client: JobClient): void {
    for (const [queue, consumer] of [...(this.#seats.of(client)?.consumers ?? [])]) {
      const refusal = refusalFor(client.caller, 'consume', queue)
      if (refusal === undefined) continue
      this.#ended(consumer, queue, refusal)
      this.#detach(consumer, queue, 'release').catch(() => {})
    }
  }

  /** The client is gone. `deliberate`: it said so, and does not come back for its jobs. */
  leave(client: JobClient, deliberate: boolean): void {
    const seat = this.#seats.of(client)
    if (seat === undefined) return
    seat.gone = { deliberate }
    const left = Promise.all(seat.turns.values())
      .then(async () => {
        const leavings = [...seat.consumers].map(([queue, consumer]) => {
          if (!deliberate) this.#tellLost(consumer, queue)
          return this.#leave(consumer, queue, this.#leavingOf(queue, deliberate, client))
        })
        this.#seats.delete(client)
        this.#silence.forget(client)
        await Promise.all(leavings)
      })
      .catch((error: unknown) => {
        // The leases lapse by themselves.
        if (!isPassing(error)) this.#context.telemetry.failed('a consumer that left', error)
      })
    this.#leaving.add(left)
    void left.then(() => this.#leaving.delete(left))
  }

  /** Of a draining hub the consumers come back, and are not lost. */
  #tellLost({ client: { once }, owner, kept, over }: Consumer, queue: string): void {
    if (once || over || kept.length === 0 || this.#context.draining.aborted) return
    const { client } = owner
    const [jobs, reason] = [kept.length, 'connection lost'] as const
    this.#context.telemetry.happened({ kind: 'consumerLost', queue, client, jobs, reason })
  }

  #leavingOf(queue: string, deliberate: boolean, { once }: JobClient): Leaving {
    const { settings, draining } = this.#context
    if (deliberate) return 'release'
    // Of a draining hub the leases stay as they are: the consumers come back, to it or to another node. A claim is over, and
    // who made it has its jobs.
    return draining.aborted || once ? 'keep' : { graceMs: settings.forQueue(queue).reconnectGraceMs }
  }

  /** Jobs are on their way into the store: whoever takes asks for them in the same turn, so that one write does both. */
  sending(queue: string, jobs: number): void {
    this.#desks.get(queue)?.dispatch.kick(jobs)
  }

  /** Settles in the store. Who held the leases has room again, which the same call may have filled. */
  async settle(
    queue: string,
    settlements: readonly Settlement[],
    client: JobClient | undefined,
  ): Promise<readonly Settled[]> {
    const { store, settings } = this.#context
    const consumer = client && this.#seats.of(client)?.consumers.get(queue)
    const dispatch = this.#desks.get(queue)?.dispatch
    const policy = policyOf(settings.forQueue(queue))
    const { settled } =
      consumer !== undefined && dispatch !== undefined
        ? await dispatch.settle(consumer, consumer.settling(settlements))
        : await store.queues.settle(queue, settlements, policy, client && ownerOf(client))
    this.#settled(queue, settlements, settled, client)
    return settled
  }

  /** `client`: who sent the settlements. */
  #settled(queue: string, settlements: readonly Settlement[], answers: readonly Settled[], client?: JobClient): void {
    const dispatch = this.#desks.get(queue)?.dispatch
    if (dispatch === undefined) return
    const by = client && this.#seats.of(client)?.consumers.get(queue)
    for (const consumer of this.#attaching) {
      for (const { as, lease } of settlements) if (as !== 'extend' && consumer.ended(lease)) dispatch.kick()
    }
    for (const [i, settlement] of settlements.entries()) dispatch.settled(settlement, answers[i] ?? 'lost', by)
  }

  /** Resolves when those that left have left in the store, too. */
  async close(): Promise<void> {
    while (this.#leaving.size > 0) await Promise.all(this.#leaving)
    this.#unlisten()
    for (const { dispatch } of this.#desks.values()) dispatch.stop()
    this.#desks.clear()
  }

  /** Waits while the store is away. */
  async #attach(consumer: Consumer, queue: string, heard: Heard, holding?: readonly string[]): Promise<Attachment> {
    consumer.attaching += 1
    this.#attaching.add(consumer)
    try {
      const { session, held } = await this.#beginSession(consumer, queue, heard, holding)
      const known = consumer.kept
      consumer.attached(session, held)
      return { held, known }
    } finally {
      consumer.attaching -= 1
      // Its queue knows it at the end of this turn.
      setImmediate(() => {
        if (consumer.attaching === 0) this.#attaching.delete(consumer)
      })
      this.#desks.get(queue)?.dispatch.kick()
    }
  }

  #beginSession(consumer: Consumer, queue: string, heard: Heard, holding?: readonly string[]): Promise<Attached> {
    const { client, owner, leaseMs } = consumer
    const { queues } = this.#context.store
    const policy = policyOf(this.#context.settings.forQueue(queue))
    const options = { leaseMs, policy, ...(holding !== undefined && { holding }) }
    const check = (): void => {
      if (consumer.over || this.#seats.of(client)?.gone !== false) throw connectionGone()
    }
    return beginSession(
      { ...heard, check },
      () => queues.session(queue, owner),
      (since) => queues.attach(queue, owner, { ...options, since }),
    )
  }

  /** What the store gave it and it never saw goes back, what it lost meanwhile is told. */
  async #reattach(consumer: Consumer, queue: string): Promise<void> {
    const { held, known } = await this.#attach(consumer, queue, { heardAt: performance.now(), present: notHeard })
    const lost = new Map(known.map(({ id, lease }) => [lease, id]))
    const unseen = held.filter(({ lease }) => !lost.delete(lease))
    if (lost.size > 0) consumer.client.outlet.lost(queue, [...lost.values()])
    if (unseen.length === 0) return
    const { store, settings } = this.#context
    await store.queues.settle(queue, givenBack(unseen), policyOf(settings.forQueue(queue)))
    for (const { lease } of unseen) consumer.gave(lease)
  }

  async #leave(consumer: Consumer, queue: string, leaving: Leaving): Promise<void> {
    if (this.#end(consumer, queue)) await this.#detach(consumer, queue, leaving)
  }

  /** Takes it out on this node; `false` when it was out already. */
  #end(consumer: Consumer, queue: string): boolean {
    if (consumer.over) return false
    consumer.over = true
    const seat = this.#seats.of(consumer.client)
    if (seat?.consumers.get(queue) === consumer) seat.consumers.delete(queue)
    const desk = this.#desks.get(queue)
    desk?.dispatch.remove(consumer)
    if (desk !== undefined) this.#exit(queue, desk)
    return true
  }

  async #detach({ owner, session }: Consumer, queue: string, leaving: Leaving): Promise<void> {
    if (session === 0) return
    const { store, settings } = this.#context
    await store.queues.detach(queue, owner, session, leaving, policyOf(settings.forQueue(queue)))
  }

  /** Another consumer took its place; the store knows. */
  #ended(consumer: Consumer, queue: string, error: RepriseError): void {
    if (!this.#end(consumer, queue)) return
    const { client, owner } = consumer
    if (error.code === 'taken_over') {
      this.#context.telemetry.happened({ kind: 'takeover', queue, client: owner.client })
    }
    client.outlet.end(queue, error.toWire(), this.#seats.of(client)?.consumers.size === 0)
  }

  #enter(queue: string): Desk {
    let desk = this.#desks.get(queue)
    if (desk === undefined) {
      const { store, clock, telemetry, settings } = this.#context
      const dispatch = new Dispatch(queue, {
        store,
        clock,
        telemetry,
        settings: () => settings.forQueue(queue),
        turns: this.#turns,
        silence: this.#silence,
        reattach: (consumer) => this.#reattach(consumer, queue),
        ended: (consumer, error) => this.#ended(consumer, queue, error),
      })
      const started = dispatch.start()
      // Each consumer on its way in meets the failure.
      started.catch(() => {})
      desk = { dispatch, started, users: 0 }
      this.#desks.set(queue, desk)
    }
    desk.users += 1
    return desk
  }

  #exit(queue: string, desk: Desk): void {
    desk.users -= 1
    if (desk.users > 0) return
    desk.dispatch.stop()
    if (this.#desks.get(queue) === desk) this.#desks.delete(queue)
  }
}
