/**
 * What a handler tells of its jobs, on its way to the hub. What is told of a job meanwhile is one report: of its values only
 * the last one goes. A worker makes at most ten calls a second of them all, but those whose answer is awaited go at once, and
 * a job's report leaves before its end does.
 */

import { RepriseError } from '../../../shared/errors.ts'
import { DEFAULT_LIMITS } from '../../../shared/protocol.ts'
import {
  type JobReport,
  MAX_LOG_BYTES,
  MAX_LOG_LENGTH,
  MAX_LOG_LINES,
  MAX_PROGRESS_BYTES,
  type Reported,
} from '../../../shared/queues/progress.ts'
import { fullJitter } from '../../connection/backoff.ts'
import { packed } from '../../outgoing/joining.ts'
import { measure } from '../../outgoing/measure.ts'
import type { WorkerContext } from '../options.ts'
import type { Lease } from './leasedJob.ts'

const GAP_MS = 100
const MAX_PACKET = 1_000
const MAX_PACKET_BYTES = 524_288
/** About what a line takes besides its text. */
const LINE_BYTES = 256
const RETRY = { baseMs: 100, maxMs: 5_000 }

interface Told {
  readonly value: unknown
  readonly valueBytes: number
  readonly lines: readonly string[]
}

/** What was told of one job since the last call. */
class Report<T> implements Told {
  readonly lease: Lease<T>
  value: unknown
  lines: string[] = []
  valueBytes = 0
  /** Somebody waits for the answer. */
  awaited = false
  /** A packet with it was refused: it goes alone. */
  alone = false
  /** Whether the hub has kept it. */
  readonly kept: Promise<boolean>
  resolve: (kept: boolean | Promise<boolean>) => void = () => {}
  reject: (error: unknown) => void = () => {}
  #characters = 0

  constructor(lease: Lease<T>) {
    this.lease = lease
    this.kept = new Promise((resolve, reject) => {
      this.resolve = resolve
      this.reject = reject
    })
    // Whoever does not wait for it is not to fail for it.
    this.kept.catch(() => {})
  }

  /** What is told later goes with it. */
  add({ value, valueBytes, lines }: Told): void {
    if (value !== undefined) {
      this.value = value
      this.valueBytes = valueBytes
    }
    for (const line of lines) {
      this.lines.push(line)
      this.#characters += line.length
    }
    // The hub would keep no more of them either.
    while (this.lines.length > MAX_LOG_LINES || this.#characters > MAX_LOG_BYTES) {
      this.#characters -= this.lines.shift()?.length ?? 0
    }
  }

  follow(later: Report<T>): void {
    this.add(later)
    this.awaited ||= later.awaited
    later.resolve(this.kept)
  }

  /** About what it takes in a packet. */
  get bytes(): number {
    return this.valueBytes + this.#characters + LINE_BYTES * Math.max(1, this.lines.length)
  }

  items(): JobReport[] {
    const { id, lease } = this.lease.job
    const [first, ...others] = this.lines
    const head: JobReport = {
      ...{ id, lease },
      ...(this.value !== undefined && { value: this.value }),
      ...(first !== undefined && { log: first }),
    }
    return [head, ...others.map((log) => ({ id, lease, log }))]
  }
}

export class Reports<T> {
  readonly #context: WorkerContext
  readonly #pending = new Map<Lease<T>, Report<T>>()
  #inFlight = 0
  #failures = 0
  #sentAt = -Infinity
  #timer: ReturnType<typeof setTimeout> | undefined
  #waitsForRetry = false
  #scheduled = false
  #over = false

  constructor(context: WorkerContext) {
    this.#context = context
  }

  /** Throws `bad_request` or `too_large` for what cannot travel. */
  progress(lease: Lease<T>, value: unknown): Promise<boolean> {
    const valueBytes = this.#checked(value)
    return this.#tell(lease, { value, valueBytes, lines: [] })
  }

  log(lease: Lease<T>, text: string): Promise<boolean> {
    if (typeof text !== 'string') throw new RepriseError('bad_request', 'log takes a text')
    // One more than it keeps, so that the hub sees that it is cut, and marks it.
    return this.#tell(lease, { value: undefined, valueBytes: 0, lines: [text.slice(0, MAX_LOG_LENGTH + 1)] })
  }

  /** There is a connection again. */
  joined(): void {
    this.#rest()
    this.#flush()
  }

  /** Sends what was told of jobs that are on their way to the hub as settled. */
  leaving(): void {
    const ending = [...this.#pending.values()].filter(({ lease }) => lease.stage !== 'running')
    while (ending.length > 0) void this.#send(this.#take(ending))
  }

  /** Nobody is to wait for an answer about a job that is another's by now. */
  drop(lease: Lease<T>): void {
    this.#pending.get(lease)?.resolve(false)
    this.#pending.delete(lease)
  }

  /** Nothing is sent any more. */
  end(): void {
    this.#over = true
    this.#rest()
    for (const lease of this.#pending.keys()) this.drop(lease)
  }

  #checked(value: unknown): number {
    const { bytes } = measure(value)
    const most = Math.min((this.#context.limits ?? DEFAULT_LIMITS).payload, MAX_PROGRESS_BYTES)
    if (bytes > most) throw new RepriseError('too_large', `the progress has ${bytes} bytes of JSON; at most ${most}`)
    return bytes
  }

  #tell(lease: Lease<T>, told: Told): Promise<boolean> {
    if (!lease.live || this.#over) return Promise.resolve(false)
    const report = this.#pending.get(lease) ?? new Report(lease)
    this.#pending.set(lease, report)
    report.add(told)
    this.#schedule()
    return new Telling(() => {
      report.awaited = true
      this.#schedule(true)
      return report.kept
    })
  }

  /** Two turns of microtasks later, so that what is told in one tick travels together; later where nobody waits for it. */
  #schedule(soon = false): void {
    if (this.#scheduled || this.#waitsForRetry || this.#inFlight > 0 || this.#pending.size === 0) return
    if (this.#timer !== undefined && !soon) return
    const leftMs = this.#sentAt + GAP_MS - performance.now()
    if (soon || leftMs <= 0) {
      this.#scheduled = true
      queueMicrotask(() => queueMicrotask(() => this.#flush()))
    } else {
      this.#timer = setTimeout(() => {
        this.#timer = undefined
        this.#flush()
      }, leftMs)
    }
  }

  #rest(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#waitsForRetry = false
  }

  #flush(): void {
    this.#scheduled = false
    if (this.#waitsForRetry || this.#inFlight > 0 || !this.#context.connected) return
    this.#rest()
    const all = [...this.#pending.values()]
    if (all.length > 0) void this.#send(this.#take(all))
  }

  /** As many of these as go with one call; takes them out of the list, too. */
  #take(reports: Report<T>[]): Report<T>[] {
    const { batch, packet } = this.#context.limits ?? DEFAULT_LIMITS
    const mostItems = Math.min(batch, MAX_PACKET)
    const mostBytes = Math.min(packet / 2, MAX_PACKET_BYTES)
    const taken: Report<T>[] = []
    let items = 0
    let bytes = 0
    while (reports[0] !== undefined) {
      const [report] = reports
      items += Math.max(1, report.lines.length)
      bytes += report.bytes
      if (taken.length > 0 && (report.alone || items > mostItems || bytes > mostBytes)) break
      reports.shift()
      this.#pending.delete(report.lease)
      taken.push(report)
      if (report.alone) break
    }
    return taken
  }

  async #send(taken: readonly Report<T>[]): Promise<void> {
    // A value may have changed since it was told, and be none that can travel.
    let attachments = 0
    const reports = taken.filter((report) => {
      try {
        attachments += measure(report.value ?? null).attachments
        return true
      } catch (error) {
        this.#refuse(report, error)
        return false
      }
    })
    if (reports.length === 0) return this.#schedule()
    this.#inFlight++
    this.#sentAt = performance.now()
    try {
      const items = reports.map((report) => report.items())
      const reported = packed(items.flat(), attachments)
      const answers = await this.#context.call<readonly Reported[]>('progress', this.#context.queue, reported)
      this.#failures = 0
      let at = 0
      for (const [i, report] of reports.entries()) {
        report.resolve(answers[at] === 'ok')
        at += items[i]?.length ?? 0
      }
    } catch (error) {
      this.#failed(reports, RepriseError.fromWire(error))
    }
    this.#inFlight--
    this.#schedule([...this.#pending.values()].some(({ awaited }) => awaited))
  }

  #refuse(report: Report<T>, error: unknown): void {
    report.reject(error)
    const { queue, warnings } = this.#context
    if (!report.awaited) warnings.tell(`progress ${queue}`, `what handlers of ${queue} tell of jobs is not kept`, error)
  }

  #failed(reports: readonly Report<T>[], error: RepriseError): void {
    if (this.#over) {
      for (const report of reports) report.resolve(false)
      return
    }
    const [first] = reports
    if (!error.retryable && reports.length === 1 && first !== undefined) {
      this.#refuse(first, error)
      return
    }
    for (const report of reports) {
      if (report.lease.stage === 'lost') {
        report.resolve(false)
        continue
      }
      report.alone = !error.retryable
      const later = this.#pending.get(report.lease)
      if (later !== undefined) report.follow(later)
      this.#pending.set(report.lease, report)
    }
    // Without a connection the next one is what to wait for.
    if (!error.retryable || !this.#context.connected || this.#waitsForRetry) return
    this.#rest()
    this.#waitsForRetry = true
    this.#timer = setTimeout(() => this.joined(), fullJitter(this.#failures++, RETRY, error.retryAfterMs))
  }
}

/** A promise that knows when somebody waits for it: what is told goes sooner then. */
class Telling implements Promise<boolean> {
  readonly [Symbol.toStringTag] = 'Promise'
  readonly #awaited: () => Promise<boolean>

  constructor(awaited: () => Promise<boolean>) {
    this.#awaited = awaited
  }

  // biome-ignore lint/suspicious/noThenProperty: it is how `await` asks
  get then(): Promise<boolean>['then'] {
    const kept = this.#awaited()
    return kept.then.bind(kept)
  }

  get catch(): Promise<boolean>['catch'] {
    const kept = this.#awaited()
    return kept.catch.bind(kept)
  }

  get finally(): Promise<boolean>['finally'] {
    const kept = this.#awaited()
    return kept.finally.bind(kept)
  }
}
