/**
 * One claim: a consumer of its own that takes the first delivery and no more. For edges without an open connection,
 * which learn only afterwards whether their answer could be written.
 */

import { randomBytes } from 'node:crypto'
import { RepriseError, type WireError } from '../../../../shared/errors.ts'
import type { Caller } from '../../access.ts'
import type { Consumers } from './consumers.ts'
import type { ReadableJob } from './damaged.ts'
import type { JobClient, JobOutlet } from './outlet.ts'
import type { JobsPacket } from './packet.ts'

export interface ClaimQuery {
  /** Shown as the consumer's name, in front of one that nobody else has. */
  readonly client?: string
  readonly max: number
  /** Default: the queue's setting. */
  readonly leaseMs?: number
  /** How long to wait where there is nothing. With 0 the store is asked once. */
  readonly waitMs: number
}

/** Ends with one of the two calls. */
export interface Claimed {
  readonly jobs: readonly ReadableJob[]
  /** The jobs are with who asked for them; they stay held until they are settled. */
  keep(): void
  /** They never were: all return at once, and no attempt is spent. */
  giveBack(): void
}

/** Where nothing came until `over` fires it is no failure: there are no jobs. */
export async function claim(
  consumers: Consumers,
  caller: Caller,
  queue: string,
  { client, max, leaseMs, waitMs }: ClaimQuery,
  over: AbortSignal,
): Promise<Claimed> {
  const id = randomBytes(9).toString('hex')
  const { client: _own, ...nameless } = caller
  const named = client === undefined ? nameless : { ...nameless, client: `${client}#${id}` }
  const hand = new Hand()
  const consumer: JobClient = { caller: named, id, outlet: hand, once: true }
  const deadline = performance.now() + waitMs
  // What it was handed in this moment is released with the rest.
  const giveBack = () => consumers.leave(consumer, true)
  try {
    await consumers.consume(consumer, queue, leaseMs === undefined ? { credit: max } : { credit: max, leaseMs })
    await Promise.race([hand.filled, consumers.round(queue)])
    await hand.filledWithin(deadline - performance.now(), over)
  } catch (error) {
    giveBack()
    throw error
  }
  // What comes from now on is given back.
  const jobs = [...hand.taken]
  if (jobs.length === 0) giveBack()
  return {
    jobs,
    keep() {
      // Where the store is away the consumer is forgotten there after a while; its leases hold all the same.
      consumers.cancel(consumer, queue).catch(() => {})
      consumers.leave(consumer, false)
    },
    giveBack,
  }
}

/** Takes one delivery. */
class Hand implements JobOutlet {
  readonly taken: ReadableJob[] = []
  readonly filled: Promise<void>
  #ring: () => void = () => {}
  #fail: (error: unknown) => void = () => {}

  constructor() {
    this.filled = new Promise((resolve, reject) => {
      this.#ring = resolve
      this.#fail = reject
    })
    // Nobody may be waiting when it fails.
    this.filled.catch(() => {})
  }

  /** Resolves with empty hands, too: after `ms`, or when `over` fires. */
  async filledWithin(ms: number, over: AbortSignal): Promise<void> {
    if (this.taken.length > 0 || over.aborted || ms <= 0) return
    const ring = this.#ring
    const timer = setTimeout(ring, ms)
    over.addEventListener('abort', ring)
    try {
      await this.filled
    } finally {
      clearTimeout(timer)
      over.removeEventListener('abort', ring)
    }
  }

  /** All packets of a delivery come in one turn, so who waits sees all of them. */
  jobs({ jobs }: JobsPacket): void {
    this.taken.push(...jobs)
    this.#ring()
  }

  lost(): void {}

  end(_queue: string, error: WireError): void {
    this.#fail(RepriseError.fromWire(error))
  }

  get overfull(): boolean {
    return this.taken.length > 0
  }
}
