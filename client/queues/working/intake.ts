/**
 * How a worker asks for jobs: by `consume` with each connection, again where that is refused for now, and by its credit
 * while it is connected.
 */

import { RepriseError } from '../../../shared/errors.ts'
import type { Consuming } from '../../../shared/queues.ts'
import { fullJitter } from '../../connection/backoff.ts'
import { measure } from '../../outgoing/measure.ts'
import type { WorkerContext } from '../options.ts'

const AGAIN = { baseMs: 100, maxMs: 5_000 }
/** Leases that one `consume` may name. */
const MAX_HOLDING = 10_000

export interface IntakeOwner {
  /** `closing`: it takes no more, but is to be known as the holder of what still runs. */
  readonly state: 'open' | 'closing' | 'over'
  readonly running: number
  readonly credit: number
  /** The largest packet that the hub takes. */
  readonly packet: number
  /** Leases that it works under. */
  leases(): Iterable<string>
  /** The hub has answered; `asked` are the leases that it was told of. */
  consuming(answer: Consuming, asked: readonly string[]): void
  refused(error: RepriseError): void
}

export class Intake {
  readonly #context: Pick<WorkerContext, 'queue' | 'call'>
  readonly #lease: { readonly leaseMs?: number }
  readonly #owner: IntakeOwner
  /** Counts connections: what an older one answers is of no interest. */
  #visit = 0
  #refusals = 0
  #timer: ReturnType<typeof setTimeout> | undefined

  constructor(
    context: Pick<WorkerContext, 'queue' | 'call'>,
    lease: { readonly leaseMs?: number },
    owner: IntakeOwner,
  ) {
    this.#context = context
    this.#lease = lease
    this.#owner = owner
  }

  joined(): void {
    this.#visit++
    this.#refusals = 0
    this.#announce()
  }

  lost(): void {
    this.#visit++
    this.stop()
  }

  /** Nothing is asked again by itself. */
  stop(): void {
    clearTimeout(this.#timer)
  }

  credit(credit: number): void {
    this.#context.call('consume', this.#context.queue, { credit, ...this.#lease }).catch(() => {})
  }

  async cancel(): Promise<void> {
    await this.#context.call('cancel', this.#context.queue).catch(() => {})
  }

  #announce(): void {
    const { state, running } = this.#owner
    if (state === 'open') void this.#consume()
    else if (running > 0) {
      // With a credit that it has used up.
      void this.#consume()
      void this.cancel()
    }
  }

  async #consume(): Promise<void> {
    const visit = this.#visit
    const { state, packet } = this.#owner
    const holding = [...this.#owner.leases()].slice(-MAX_HOLDING)
    const credit = state === 'open' ? this.#owner.credit : 1
    try {
      const fits = measure(holding).bytes < packet / 2
      const options = { credit, ...(fits ? { holding } : {}), ...this.#lease }
      const consuming = await this.#context.call<Consuming>('consume', this.#context.queue, options)
      if (visit === this.#visit && this.#owner.state !== 'over') this.#owner.consuming(consuming, holding)
    } catch (error) {
      if (visit !== this.#visit || this.#owner.state === 'over') return
      const refusal = RepriseError.fromWire(error)
      if (!refusal.retryable) return this.#owner.refused(refusal)
      const delayMs = fullJitter(this.#refusals++, AGAIN, refusal.retryAfterMs)
      this.#timer = setTimeout(() => this.#announce(), delayMs)
    }
  }
}
