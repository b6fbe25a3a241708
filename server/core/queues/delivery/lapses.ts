/**
 * Tells consumers of leases that they have no more: by what the store tells, and by asking it where nothing was heard.
 * Who lets a lease lapse is silent from then on.
 */

import type { HeldJob, Store } from '../../../store/contract/store.ts'
import type { StoreClock } from '../../clock.ts'
import { isPassing } from '../../refusal.ts'
import type { Telemetry } from '../../telemetry.ts'
import { type Consumer, keyOf, type Leased } from './consumer.ts'
import type { Silence } from './silence.ts'

/** How far this node's idea of the store's clock may be off. */
export const CLOCK_MS = 50
/** A lease that should have lapsed is asked for after this time more. */
const SILENCE_MS = 1_000
/** Leases of one consumer that are asked for at one look. */
const MAX_LOOKED_AFTER = 100

export interface LapsesContext {
  readonly store: Pick<Store, 'queues' | 'maintain'>
  readonly clock: Pick<StoreClock, 'now'>
  readonly telemetry: Telemetry
  readonly silence: Silence
}

export class Lapses {
  readonly #queue: string
  readonly #context: LapsesContext
  readonly #freed: () => void

  /** `freed` is told when a place is free that was not. */
  constructor(queue: string, context: LapsesContext, freed: () => void) {
    this.#queue = queue
    this.#context = context
    this.#freed = freed
  }

  /** The store says that these jobs lapsed, or that the consumer lost them as it attached anew. */
  told(consumer: Consumer, ids: ReadonlySet<string>): void {
    const { clock, silence, telemetry } = this.#context
    const by = clock.now + CLOCK_MS
    if (consumer.hasLapsed(by, ids)) silence.begin(consumer.client)
    const lost = consumer.lost(ids, by)
    if (lost.length > 0) {
      const told = { queue: this.#queue, client: consumer.owner.client, jobs: lost.length } as const
      telemetry.happened({ kind: 'consumerLost', ...told, reason: 'lease lapsed' })
      consumer.client.outlet.lost(this.#queue, lost)
    }
    // At the cap a lease ends sooner than its last extension said.
    void this.#lookAfter(consumer, consumer.leasesOf(ids))
  }

  /** Word of a lapse may come after the job has: then the consumer would take its new lease for lost. */
  replaced(consumer: Consumer, jobs: readonly HeldJob[]): void {
    const again = jobs.filter(({ deliveries }) => deliveries > 1).map(({ id }) => id)
    const replaced = again.length === 0 ? [] : consumer.replaced(new Set(again))
    if (replaced.length > 0) consumer.client.outlet.lost(this.#queue, replaced)
  }

  async look(consumers: readonly Consumer[]): Promise<void> {
    const before = this.#context.clock.now - SILENCE_MS
    for (const consumer of consumers) {
      await this.#lookAfter(consumer, consumer.silent(before).slice(0, MAX_LOOKED_AFTER))
    }
  }

  /** Asks the store whether the consumer has these leases still; of those that it has not it is told. */
  async #lookAfter(consumer: Consumer, leases: readonly Leased[]): Promise<void> {
    const { store, clock, telemetry } = this.#context
    try {
      for (const { id, lease } of leases) {
        const [job] = await store.queues.jobs(this.#queue, { ids: [id] })
        const { holder, expiresAt = 0 } = job ?? {}
        if (holder !== undefined && keyOf(holder) === keyOf(consumer.owner) && expiresAt > clock.now) {
          consumer.extended(lease, expiresAt)
        } else if (consumer.gave(lease)) {
          consumer.client.outlet.lost(this.#queue, [id])
          this.#freed()
        }
      }
    } catch (error) {
      if (!isPassing(error)) telemetry.failed(`leases of ${this.#queue}`, error)
    }
  }
}
