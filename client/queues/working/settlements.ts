/**
 * Settlements on their way to the hub: those of one tick in one packet, kept and sent again until they are answered.
 * The hub answers the same one the same for some minutes, so a lost reply costs nothing.
 */

import { RepriseError } from '../../../shared/errors.ts'
import { DEFAULT_LIMITS, type Limits } from '../../../shared/protocol.ts'
import type { Settled, Settlement } from '../../../shared/queues.ts'
import { fullJitter } from '../../connection/backoff.ts'
import { packed } from '../../outgoing/joining.ts'
import { checkSize, measure, tooLarge } from '../../outgoing/measure.ts'
import { Tally } from '../../tally.ts'
import type { WorkerContext } from '../options.ts'
import { type Decision, textOf } from '../outcome.ts'
import type { Lease } from './leasedJob.ts'
import type { Reports } from './reports.ts'

/** Packets in flight. What comes meanwhile travels together. */
const WINDOW = 2
const MAX_PACKET = 1_000
const MAX_PACKET_BYTES = 524_288
/** About what a settlement takes without its reply. */
const ITEM_BYTES = 256
const RETRY = { baseMs: 100, maxMs: 5_000 }

interface Extension {
  readonly as: 'extend'
  readonly leaseMs: number
}

interface Extended {
  readonly wantedMs: number | undefined
  resolve(ok: boolean): void
  reject(error: RepriseError): void
}

export interface Item<T> {
  readonly lease: Lease<T>
  settlement: Settlement
  bytes: number
  attachments: number
  /** Of the last try. */
  sentAt: number
  /** A packet with it was refused: it goes alone. */
  alone: boolean
  /** Asked for by the handler, which wants so much of it. */
  readonly extended: Extended | undefined
}

export interface SettlementsOwner<T> {
  answered(item: Item<T>, result: Settled | RepriseError): void
  /** How long an answer took. */
  travelled(ms: number): void
}

export class Settlements<T> {
  limits: Limits = DEFAULT_LIMITS
  readonly #context: WorkerContext
  readonly #reports: Reports<T>
  readonly #owner: SettlementsOwner<T>
  #queue: Item<T>[] = []
  #inFlight = 0
  readonly #unanswered = new Tally()
  #failures = 0
  #timer: ReturnType<typeof setTimeout> | undefined
  #scheduled = false
  #over: RepriseError | undefined

  /** `reports`: what is told of the jobs while they run; it leaves first. */
  constructor(context: WorkerContext, reports: Reports<T>, owner: SettlementsOwner<T>) {
    this.#context = context
    this.#reports = reports
    this.#owner = owner
  }

  add(lease: Lease<T>, decision: Decision | Extension, extended?: Item<T>['extended']): void {
    const { job } = lease
    const settlement: Settlement = { id: job.id, lease: job.lease, ...decision }
    const { bytes, attachments } = measure(settlement)
    const item: Item<T> = { lease, settlement, bytes, attachments, sentAt: 0, alone: false, extended }
    this.#unanswered.add()
    if (this.#over !== undefined) this.#answer(item, this.#over)
    else {
      this.#queue.push(item)
      this.#schedule()
    }
  }

  /** There is a connection again. */
  joined(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#flush()
    this.#reports.joined()
  }

  /** Resolves when everything is answered. */
  drained(): Promise<void> {
    return this.#unanswered.none()
  }

  /** Nothing is sent any more. */
  end(error: RepriseError): void {
    this.#over = error
    this.#reports.end()
    clearTimeout(this.#timer)
    for (const item of this.#queue.splice(0)) this.#answer(item, error)
  }

  /** Two turns of microtasks later, so that what ends in answer to one packet travels together. */
  #schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    queueMicrotask(() => queueMicrotask(() => this.#flush()))
  }

  #flush(): void {
    this.#scheduled = false
    if (this.#timer !== undefined) return
    while (this.#inFlight < WINDOW && this.#queue.length > 0 && this.#context.connected) void this.#send(this.#take())
  }

  #take(): Item<T>[] {
    const most = Math.min(this.limits.batch, MAX_PACKET)
    const mostBytes = Math.min(this.limits.packet / 2, MAX_PACKET_BYTES)
    let count = 0
    let bytes = 0
    for (const item of this.#queue) {
      bytes += item.bytes
      if (count > 0 && (count === most || bytes > mostBytes || item.alone)) break
      count++
      if (item.alone) break
    }
    const items = this.#queue.slice(0, count)
    this.#queue = count === this.#queue.length ? [] : this.#queue.slice(count)
    return items
  }

  /** A reply that the hub does not take any more, as it takes less than the one before: the job of a request says so. */
  #fit(item: Item<T>): void {
    const { id, lease, as } = item.settlement
    const refusal = as === 'done' ? tooLarge(item.bytes - ITEM_BYTES, this.limits, 'reply') : undefined
    if (refusal === undefined || this.#leaveOut(item)) return
    const reason = textOf(refusal)
    Object.assign(item, { settlement: { id, lease, as: 'dead', reason }, bytes: ITEM_BYTES, attachments: 0 })
  }

  /** Nobody waits for the result of a job that is no request: without it the job is done all the same. */
  #leaveOut(item: Item<T>): boolean {
    const { id, lease, as } = item.settlement
    if (as !== 'done' || !('reply' in item.settlement) || item.lease.job.replyBy !== undefined) return false
    Object.assign(item, { settlement: { id, lease, as }, bytes: ITEM_BYTES, attachments: 0 })
    return true
  }

  async #send(items: Item<T>[]): Promise<void> {
    this.#inFlight++
    const sentAt = performance.now()
    for (const item of items) {
      item.sentAt = sentAt
      this.#fit(item)
    }
    try {
      const settlements = packed(
        items.map((item) => item.settlement),
        items.reduce((sum, item) => sum + item.attachments, 0),
      )
      this.#reports.leaving()
      const answers = await this.#context.call<readonly Settled[]>('settle', this.#context.queue, settlements)
      this.#failures = 0
      this.#inFlight--
      this.#owner.travelled(performance.now() - sentAt)
      for (const [i, item] of items.entries()) this.#answer(item, answers[i] ?? 'lost')
    } catch (error) {
      this.#inFlight--
      this.#failed(items, RepriseError.fromWire(error))
    }
    if (this.#queue.length > 0) this.#schedule()
  }

  #failed(items: Item<T>[], error: RepriseError): void {
    const [first] = items
    const isRefused = !error.retryable && items.length === 1
    if (this.#over === undefined && isRefused && first !== undefined && this.#leaveOut(first)) {
      this.#queue = [first, ...this.#queue]
      return
    }
    if (this.#over !== undefined || isRefused) {
      for (const item of items) this.#answer(item, error)
      return
    }
    // One of them is at fault; the others should not pay for it.
    if (!error.retryable) for (const item of items) item.alone = true
    const left: Item<T>[] = []
    for (const item of items) {
      // What is settled needs no renewal.
      if (item.settlement.as === 'extend' && !item.lease.live) this.#answer(item, 'lost')
      else left.push(item)
    }
    this.#queue = [...left, ...this.#queue]
    // Without a connection the next one is what to wait for.
    if (!error.retryable || !this.#context.connected || this.#timer !== undefined) return
    const delayMs = fullJitter(this.#failures++, RETRY, error.retryAfterMs)
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      this.#flush()
    }, delayMs)
  }

  #answer(item: Item<T>, result: Settled | RepriseError): void {
    this.#owner.answered(item, result)
    this.#unanswered.remove()
  }
}

/**
 * Done with a reply. Of a request whose reply cannot travel: dead with the reason, which `tell` hears; it would be the same
 * the next time. Of another job, such a result is left out: many a handler returns what it got from elsewhere.
 */
export function replying(
  { replyBy }: { readonly replyBy?: number },
  reply: unknown,
  limits: Limits,
  tell: (error: unknown) => void,
): Decision {
  if (reply === undefined) return { as: 'done' }
  try {
    checkSize(measure(reply).bytes, limits, 'reply')
    return { as: 'done', reply }
  } catch (error) {
    if (replyBy === undefined) return { as: 'done' }
    tell(error)
    return { as: 'dead', reason: textOf(error) }
  }
}
