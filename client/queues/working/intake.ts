/**
 * How a worker asks for jobs: by `consume` with each connection, again where that is refused for now, and by its credit
 * while it is connected.
 */

import { RepriseError } from '../../../shared/errors.ts'
import type { Limits } from '../../../shared/protocol.ts'
import type { Consuming } from '../../../shared/queues.ts'
import { fullJitter } from '../../connection/backoff.ts'
import { measure } from '../../outgoing/measure.ts'
import type { WorkerContext } from '../options.ts'
import type { LeaseTimes } from './leaseTimes.ts'

const AGAIN = { baseMs: 100, maxMs: 5_000 }
/** Leases that one `consume` may name. */
const MAX_HOLDING = 10_000

export interface IntakeOwner {
  /** `closing`: it takes no more, but is to be known as the holder of what still runs. */
  state(): 'open' | 'closing' | 'over'
  readonly times: LeaseTimes
  readonly prefetch: { readonly credit: number }
  readonly running: { readonly count: number }
  readonly settlements: { readonly limits: Limits }
  /** Leases that it works under. */
  leases(): Iterable<string>
  /** The hub has answered; `asked` are the leases that it was told of. */
  consuming(answer: Consuming, asked: readonly string[], askedAt: number): void
  refused(error: RepriseError): void
}

export class Intake {
  readonly #context: Pick<WorkerContext, 'queue' | 'call'>
  readonly #owner: IntakeOwner
  /** Counts connections: what an older one answers is of no interest. */
  #visit = 0
  #refusals = 0
  #timer: ReturnType<typeof setTimeout> | undefined

  constructor(context: Pick<WorkerContext, 'queue' | 'call'>, owner: IntakeOwner) {
    this.#context = context
    this.#owner = owner
  }

  joined(): void {
    this.#visit++
    this.#refusals = 0
    this.#announce()
  }

  lost(): void {
    this.#visit++
    this.#owner.times.lost()
    this.stop()
  }

  /** Nothing is asked again by itself. */
  stop(): void {
    clearTimeout(this.#timer)
  }

  credit(credit: number): void {
    const visit = this.#visit
    const said = this.#owner.times.say()
    this.#context.call<Consuming>('consume', this.#context.queue, { credit, ...said }).then(
      ({ leaseMs }) => {
        if (visit === this.#visit) this.#owner.times.granted(leaseMs, said)
      },
      () => {},
    )
  }

  async cancel(): Promise<void> {
    await this.#context.call('cancel', this.#context.queue).catch(() => {})
  }

  #announce(): void {
    if (this.#owner.state() === 'open') void this.#consume()
    else if (this.#owner.running.count > 0) {
      // With a credit that it has used up.
      void this.#consume()
      void this.cancel()
    }
  }

  async #consume(): Promise<void> {
    const visit = this.#visit
    const { times, prefetch, settlements } = this.#owner
    const holding = [...this.#owner.leases()].slice(-MAX_HOLDING)
    const credit = this.#owner.state() === 'open' ? prefetch.credit : 1
    try {
      const fits = measure(holding).bytes < settlements.limits.packet / 2
      const askedAt = performance.now()
      const said = times.say()
      const options = { credit, ...(fits ? { holding } : {}), ...said }
      const consuming = await this.#context.call<Consuming>('consume', this.#context.queue, options)
      if (visit !== this.#visit || this.#owner.state() === 'over') return
      times.granted(consuming.leaseMs, said)
      this.#owner.consuming(consuming, holding, askedAt)
    } catch (error) {
      if (visit !== this.#visit || this.#owner.state() === 'over') return
      const refusal = RepriseError.fromWire(error)
      if (!refusal.retryable) return this.#owner.refused(refusal)
      const delayMs = fullJitter(this.#refusals++, AGAIN, refusal.retryAfterMs)
      this.#timer = setTimeout(() => this.#announce(), delayMs)
    }
  }
}
