/**
 * One worker of a queue: takes jobs by credit, calls the handler, settles what comes of it, and keeps its leases through
 * reconnections. How it reaches the hub is the link's affair.
 */

import { RepriseError } from '../../shared/errors.ts'
import type { Consuming, Job, Settled } from '../../shared/queues.ts'
import { Calling } from '../calling.ts'
import { fullJitter } from '../connection/backoff.ts'
import { atMost, type CloseOptions } from '../connection/deadline.ts'
import { Emitter, type Undo } from '../connection/emitter.ts'
import { Standing } from '../connection/standing.ts'
import { drainMsOf } from '../optionChecks.ts'
import { measure } from '../outgoing/measure.ts'
import { isPromiseLike } from '../runner.ts'
import type { ConsumeOptions, HeldJob, Work, Worker, WorkerEnding, WorkerStatus, WorkFailure } from './api.ts'
import { checkLease, closedError, Lease, LeasedJob, lostError } from './leasedJob.ts'
import { Renewal } from './leases.ts'
import type { Consumer } from './namespace.ts'
import { checkConsume, type WorkerContext } from './options.ts'
import { type Decision, decisionOf, failed } from './outcome.ts'
import { Prefetch } from './prefetch.ts'
import { replying } from './reply.ts'
import { type Item, Settlements } from './settlements.ts'
import { Standstill } from './standstill.ts'
import { WaitingJobs } from './waitingJobs.ts'

const CONSUME_AGAIN = { baseMs: 100, maxMs: 5_000 }
/** Leases that one `consume` may name. */
const MAX_HOLDING = 10_000
/** What is given back at the end has at least so long to be answered. */
const GOODBYE_MS = 1_000

export class QueueWorker<T> implements Worker<T>, Consumer {
  readonly queue: string
  readonly ended: Promise<WorkerEnding>
  readonly #handler: Calling<HeldJob<T>>
  readonly #context: WorkerContext
  readonly #concurrency: number
  readonly #askedLease: { readonly leaseMs?: number }
  readonly #standing: Standing<WorkerStatus>
  readonly #errorReports = new Emitter<WorkFailure<T>>()
  readonly #settlements: Settlements<T>
  readonly #renewal: Renewal<T>
  readonly #prefetch: Prefetch
  readonly #standstill = new Standstill()
  readonly #waiting = new WaitingJobs<T>()
  /** By lease: waiting, running, or settled and not answered. */
  readonly #held = new Map<string, LeasedJob<T>>()
  #running = 0
  #leaseMs: number
  /** Counts connections: what an older one answers is of no interest. */
  #visit = 0
  #refusals = 0
  #timer: ReturnType<typeof setTimeout> | undefined
  #closing: Promise<void> | undefined
  #rested: (() => void)[] = []
  readonly #cancel = () => this.#context.call('cancel', this.queue).catch(() => {})
  #resolveEnded: (ending: WorkerEnding) => void = () => {}

  constructor(handler: Work<T>, options: ConsumeOptions, context: WorkerContext) {
    const { concurrency, leaseMs, asked } = checkConsume(handler, options)
    this.queue = context.queue
    this.#handler = new Calling(handler)
    this.#context = context
    this.#concurrency = concurrency
    this.#askedLease = asked
    this.#leaseMs = leaseMs
    this.#prefetch = new Prefetch(concurrency)
    this.#standstill.watch(this.#leaseMs)
    this.#standing = new Standing<WorkerStatus>({ state: 'connecting' }, context.warnings)
    this.ended = new Promise((resolve) => {
      this.#resolveEnded = resolve
    })
    this.#settlements = new Settlements<T>({
      get connected() {
        return context.connected
      },
      send: (settlements) => context.call<readonly Settled[]>('settle', context.queue, settlements),
      answered: (item, result) => this.#answered(item, result),
      travelled: (ms) => this.#travelled(ms),
    })
    this.#renewal = new Renewal<T>({
      held: () => this.#held.values(),
      renew: (job) => this.#renew(job, LeasedJob.leaseOf(job).leaseMs),
      expired: (job) => this.#lose(job, new RepriseError('timeout', 'the lease has run out')),
    })
  }

  get status(): WorkerStatus {
    return this.#standing.now
  }

  get running(): number {
    return this.#running
  }

  onStatus(listener: (status: WorkerStatus) => void): Undo {
    return this.#standing.on(listener)
  }

  onError(listener: (failure: WorkFailure<T>) => void): Undo {
    return this.#errorReports.on(listener)
  }

  close(options: CloseOptions = {}): Promise<void> {
    const drainMs = drainMsOf(options, this.#context.drainMs)
    // A listener of its first report may call this again.
    this.#closing ??= Promise.resolve().then(() => this.#close(drainMs))
    return this.calling ? Promise.resolve() : this.#closing
  }

  /** Whether this is asked in its handler: who waits there for the end waits for itself. */
  get calling(): boolean {
    return this.#handler.now
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  joined(): void {
    this.#visit++
    this.#refusals = 0
    this.#settlements.limits = this.#context.limits ?? this.#settlements.limits
    this.#announce()
    this.#settlements.joined()
  }

  lost(reason: RepriseError): void {
    this.#visit++
    clearTimeout(this.#timer)
    if (this.#closing === undefined) this.#standing.report({ state: 'offline', reason })
  }

  refused(error: RepriseError): void {
    this.#end({ code: error.code, error })
  }

  jobs(jobs: readonly Job[]): void {
    if (this.#standing.over) return
    const now = performance.now()
    const late = this.#standstill.longerThan(this.#leaseMs / 2)
    for (const job of jobs as readonly Job<T>[]) {
      if (this.#held.has(job.lease)) continue
      const lease = new Lease(this.#leaseMs, now, (one, leaseMs) => this.#extend(one as LeasedJob<T>, leaseMs))
      const held = new LeasedJob<T>(job, lease)
      this.#held.set(job.lease, held)
      this.#renewal.watch(lease)
      if (this.#closing !== undefined) this.#settle(held, { as: 'release' })
      else if (late) {
        // It may have lain here for longer than its lease: not begun before the hub says that it is still ours.
        lease.doubtful = true
        this.#renew(held, lease.leaseMs)
      } else this.#waiting.push(held)
    }
    this.#pump()
  }

  lostJobs(ids: readonly string[]): void {
    const gone = new Set(ids)
    for (const job of [...this.#held.values()]) if (gone.has(job.id)) this.#lose(job, lostError(), true)
    if (this.#standing.now.state === 'working') this.#announceCredit(this.#prefetch.credit)
  }

  #announceCredit(credit: number): void {
    this.#context.call('consume', this.queue, { credit, ...this.#askedLease }).catch(() => {})
  }

  #announce(): void {
    if (this.#closing === undefined) void this.#consume()
    else if (this.#running > 0) {
      // Only to be known again as the holder of what still runs: with a credit that it has used up.
      void this.#consume()
      void this.#cancel()
    }
  }

  async #consume(): Promise<void> {
    const visit = this.#visit
    const holding = [...this.#held.keys()].slice(-MAX_HOLDING)
    const credit = this.#closing === undefined ? this.#prefetch.credit : 1
    try {
      const fits = measure(holding).bytes < this.#settlements.limits.packet / 2
      const options = { credit, ...(fits ? { holding } : {}), ...this.#askedLease }
      const consuming = await this.#context.call<Consuming>('consume', this.queue, options)
      if (visit === this.#visit && !this.#standing.over) this.#consuming(consuming, holding)
    } catch (error) {
      if (visit !== this.#visit || this.#standing.over) return
      const refusal = RepriseError.fromWire(error)
      if (!refusal.retryable) return this.#end({ code: refusal.code, error: refusal })
      const delayMs = fullJitter(this.#refusals++, CONSUME_AGAIN, refusal.retryAfterMs)
      this.#timer = setTimeout(() => this.#announce(), delayMs)
    }
  }

  #consuming({ leaseMs, limits, held }: Consuming, holding: readonly string[]): void {
    this.#settlements.limits = limits
    if (leaseMs !== this.#leaseMs) {
      this.#leaseMs = leaseMs
      this.#standstill.watch(leaseMs)
      for (const job of this.#held.values()) {
        LeasedJob.renewed(job, leaseMs, performance.now(), undefined)
        this.#renewal.watch(LeasedJob.leaseOf(job))
      }
    }
    const kept = new Set(held.map(({ lease }) => lease))
    for (const lease of holding) {
      const job = this.#held.get(lease)
      if (job !== undefined && !kept.has(lease)) this.#lose(job, lostError(), true)
    }
    if (this.#closing === undefined) this.#standing.report({ state: 'working' })
  }

  /** Hands out what waits, as far as there are places. */
  #pump(): void {
    while (this.#running < this.#concurrency && this.#closing === undefined && !this.#standing.over) {
      const job = this.#waiting.take(performance.now())
      if (job === undefined) return
      this.#run(job)
    }
  }

  #run(job: LeasedJob<T>): void {
    const lease = LeasedJob.leaseOf(job)
    lease.stage = 'running'
    lease.startedAt = performance.now()
    this.#running++
    let result: unknown
    try {
      result = this.#handler.call(job)
    } catch (error) {
      this.#threw(job, error)
      return
    }
    // Awaiting what is no promise would cost a turn for every job.
    if (isPromiseLike(result)) {
      Promise.resolve(result).then(
        (value) => {
          this.#finished(job, decisionOf(value) ?? this.#done(job, value))
          this.#pump()
        },
        (error: unknown) => {
          this.#threw(job, error)
          this.#pump()
        },
      )
    } else this.#finished(job, decisionOf(result) ?? this.#done(job, result))
  }

  #threw(job: LeasedJob<T>, error: unknown): void {
    const told = !LeasedJob.leaseOf(job).gone && !this.#standing.over
    this.#finished(job, failed(error))
    if (told) this.#tell(error, job, 'retry')
  }

  #done(job: LeasedJob<T>, reply: unknown): Decision {
    // Nobody waits for it otherwise.
    if (job.replyBy === undefined) return { as: 'done' }
    return replying(reply, this.#settlements.limits.payload, (error) => this.#tell(error, job, 'dead'))
  }

  #finished(job: LeasedJob<T>, decision: Decision): void {
    const lease = LeasedJob.leaseOf(job)
    this.#prefetch.ran(performance.now() - lease.startedAt)
    if (lease.stage === 'running') this.#stopped()
    // It was given back already.
    else if (lease.stage !== 'lost') return
    // A result is still good as long as nobody else has the job; a failure is told by the lapse itself.
    if (lease.gone && decision.as !== 'done' && decision.as !== 'dead') return
    this.#settle(job, decision)
  }

  #settle(job: LeasedJob<T>, decision: Decision): void {
    const lease = LeasedJob.leaseOf(job)
    if (lease.stage !== 'lost') lease.stage = 'settling'
    this.#settlements.add(job, { id: job.id, lease: job.lease, ...decision })
  }

  #renew(job: LeasedJob<T>, leaseMs: number, extended?: Item<T>['extended']): void {
    LeasedJob.leaseOf(job).renewAt = Infinity
    this.#settlements.add(job, { id: job.id, lease: job.lease, as: 'extend', leaseMs }, extended)
  }

  #extend(job: LeasedJob<T>, leaseMs: number | undefined): Promise<boolean> {
    const lease = LeasedJob.leaseOf(job)
    return new Promise((resolve, reject) => {
      if (leaseMs !== undefined) checkLease(leaseMs)
      if (!lease.live) return resolve(false)
      this.#renew(job, leaseMs ?? lease.leaseMs, { resolve, reject })
    })
  }

  #answered({ job, settlement, sentAt, extended }: Item<T>, result: Settled | RepriseError): void {
    const lease = LeasedJob.leaseOf(job)
    if (settlement.as === 'extend') {
      if (result instanceof RepriseError) {
        if (extended !== undefined && lease.live) this.#renewal.watch(lease.kept())
        if (lease.doubtful && lease.live) this.#settle(job, { as: 'release' })
        extended?.reject(result)
      } else if (result === 'lost') this.#lose(job, lostError(), lease.live)
      else if (lease.live) {
        LeasedJob.renewed(job, settlement.leaseMs, sentAt, result === 'ok' ? undefined : result.expiresAt)
        this.#renewal.watch(lease)
        this.#trusted(job)
      }
      if (!(result instanceof RepriseError)) extended?.resolve(result !== 'lost')
      return
    }
    const known = lease.stage === 'lost'
    lease.stage = 'over'
    this.#held.delete(job.lease)
    if (result === 'ok' || known || this.#standing.over || settlement.as === 'release') return
    this.#tell(result === 'lost' ? lostError() : result, job, 'lost')
  }

  /** The hub has said that it is ours. */
  #trusted(job: LeasedJob<T>): void {
    const lease = LeasedJob.leaseOf(job)
    if (!lease.doubtful) return
    lease.doubtful = false
    if (this.#closing === undefined) this.#waiting.push(job)
    else this.#settle(job, { as: 'release' })
    this.#pump()
  }

  /** `told`: by the hub. Otherwise it may still turn out to be ours. */
  #lose(job: LeasedJob<T>, error: RepriseError, told = false): void {
    const lease = LeasedJob.leaseOf(job)
    if (told) lease.gone = true
    // What is settled waits for its answer.
    if (!lease.live) return
    const ran = lease.stage === 'running'
    lease.stage = 'lost'
    this.#held.delete(job.lease)
    lease.abort(error)
    if (!ran) return
    this.#stopped()
    this.#tell(error, job, 'lost')
    this.#pump()
  }

  #stopped(): void {
    this.#running--
    if (this.#running > 0) return
    for (const resolve of this.#rested.splice(0)) resolve()
  }

  #travelled(ms: number): void {
    this.#prefetch.travelled(ms)
    const credit = this.#standing.now.state === 'working' ? this.#prefetch.tune() : undefined
    if (credit !== undefined) this.#announceCredit(credit)
  }

  async #close(drainMs: number): Promise<void> {
    if (this.#standing.over) return
    this.#standing.report({ state: 'closing' })
    clearTimeout(this.#timer)
    const endsAt = performance.now() + drainMs
    const cancelled = this.#cancel()
    this.#giveBack('waiting')
    if (this.#running > 0) await atMost(drainMs, [new Promise<void>((rested) => this.#rested.push(rested)), this.ended])
    this.#giveBack('running')
    const leftMs = endsAt - performance.now()
    await atMost(this.#context.connected ? Math.max(leftMs, GOODBYE_MS) : leftMs, [
      // What was handed out before the hub knew comes ahead of this answer, and goes back.
      cancelled.then(() => this.#settlements.drained()),
      this.ended,
    ])
    this.#end({ code: 'closed' })
  }

  #giveBack(stage: 'waiting' | 'running'): void {
    for (const job of [...this.#held.values()]) {
      const lease = LeasedJob.leaseOf(job)
      if (lease.stage !== stage) continue
      if (stage === 'running') this.#running--
      this.#settle(job, { as: 'release' })
      lease.abort(closedError())
    }
  }

  #end(ending: WorkerEnding): void {
    if (this.#standing.over) return
    clearTimeout(this.#timer)
    this.#renewal.stop()
    this.#standstill.stop()
    const error = 'error' in ending ? ending.error : closedError()
    this.#standing.end(`the worker of ${this.queue}`, { state: 'ended', reason: ending })
    for (const job of [...this.#held.values()]) this.#lose(job, error, true)
    this.#settlements.end(error)
    this.#context.detach()
    this.#resolveEnded(ending)
  }

  #tell(error: unknown, job: LeasedJob<T>, then: WorkFailure['then']): void {
    if (!this.#errorReports.heard) this.#context.warnings.failed(this.queue, `job ${job.id}`, then, error)
    this.#errorReports.emit({ error, job, then })
  }
}
