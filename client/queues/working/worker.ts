/**
 * One worker of a queue: takes jobs by credit, calls the handler, settles what comes of it, and keeps its leases through
 * reconnections. How it reaches the hub is the link's affair.
 */

import { RepriseError } from '../../../shared/errors.ts'
import type { Consuming, Job, Settled } from '../../../shared/queues.ts'
import { type CloseOptions, Deadline } from '../../connection/deadline.ts'
import { Emitter, type Undo } from '../../connection/emitter.ts'
import { Standing } from '../../connection/standing.ts'
import { drainMsOf } from '../../optionChecks.ts'
import type { ConsumeOptions, Work, Worker, WorkerEnding, WorkerStatus, WorkFailure } from '../api.ts'
import type { Consumer } from '../namespace.ts'
import { checkConsume, type WorkerContext } from '../options.ts'
import { type Decision, decisionOf, failed } from '../outcome.ts'
import { Intake } from './intake.ts'
import { checkLease, closedError, type Hands, Lease, type LeasedJob, lostError, overrunError } from './leasedJob.ts'
import { Renewal } from './leases.ts'
import { LeaseTimes } from './leaseTimes.ts'
import { Prefetch } from './prefetch.ts'
import { Reports } from './reports.ts'
import { Running } from './running.ts'
import { type Item, replying, Settlements } from './settlements.ts'

/** What is given back at the end has at least so long to be answered. */
const GOODBYE_MS = 1_000

export class QueueWorker<T> implements Worker<T>, Consumer {
  readonly queue: string
  readonly ended: Promise<WorkerEnding>
  readonly #context: WorkerContext
  readonly #intake: Intake
  readonly #standing: Standing<WorkerStatus, WorkerEnding>
  readonly #errorReports = new Emitter<WorkFailure<T>>()
  readonly #reports: Reports<T>
  readonly #settlements: Settlements<T>
  readonly #hands: Hands<T>
  readonly #renewal: Renewal<T>
  readonly #prefetch: Prefetch
  readonly #times: LeaseTimes
  readonly #running: Running<T>
  /** By lease: waiting, running, or settled and not answered. */
  readonly #held = new Map<string, Lease<T>>()
  #closing: Promise<void> | undefined
  readonly #deadline = new Deadline()

  constructor(handler: Work<T>, options: ConsumeOptions, context: WorkerContext) {
    const { concurrency, leaseMs } = checkConsume(handler, options)
    this.queue = context.queue
    this.#context = context
    this.#times = new LeaseTimes(leaseMs, () => this.#retime())
    this.#prefetch = new Prefetch(concurrency)
    this.#standing = new Standing<WorkerStatus, WorkerEnding>({ state: 'connecting' }, context.warnings)
    this.ended = this.#standing.ended
    this.#reports = new Reports<T>(context)
    this.#hands = { extend: (lease, leaseMs) => this.#extend(lease, leaseMs), reports: this.#reports }
    this.#settlements = new Settlements<T>(context, this.#reports, {
      answered: (item, result) => this.#answered(item, result),
      travelled: (ms) => this.#tune(() => this.#prefetch.travelled(ms)),
    })
    this.#running = new Running<T>(handler, concurrency, {
      open: () => this.#closing === undefined && !this.#standing.over,
      returned: (lease, value) => this.#returned(lease, value),
      threw: (lease, error) => this.#threw(lease, error),
    })
    this.#renewal = new Renewal<T>({
      held: () => this.#held.values(),
      renew: (lease) => this.#renew(lease),
      expired: (lease) => this.#expired(lease),
    })
    this.#intake = new Intake(context, {
      times: this.#times,
      prefetch: this.#prefetch,
      running: this.#running,
      settlements: this.#settlements,
      state: () => (this.#standing.over ? 'over' : this.#closing === undefined ? 'open' : 'closing'),
      leases: () => this.#held.keys(),
      consuming: (...answer) => this.#consuming(...answer),
      refused: (error) => this.#end({ code: error.code, error }),
    })
  }

  get status(): WorkerStatus {
    return this.#standing.now
  }

  get running(): number {
    return this.#running.count
  }

  onStatus(listener: (status: WorkerStatus) => void): Undo {
    return this.#standing.on(listener)
  }

  onError(listener: (failure: WorkFailure<T>) => void): Undo {
    return this.#errorReports.on(listener)
  }

  async close(options: CloseOptions = {}): Promise<void> {
    this.#deadline.within(drainMsOf(options, this.#closing ? Infinity : this.#context.drainMs))
    // A listener of its first report may call this again.
    this.#closing ??= Promise.resolve().then(() => this.#close())
    if (!this.calling) await this.#closing
  }

  /** Whether this is asked in its handler: who waits there for the end waits for itself. */
  get calling(): boolean {
    return this.#running.calling
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  joined(): void {
    this.#settlements.limits = this.#context.limits ?? this.#settlements.limits
    this.#intake.joined()
    this.#settlements.joined()
  }

  lost(reason: RepriseError): void {
    this.#intake.lost()
    if (this.#closing === undefined) this.#standing.report({ state: 'offline', reason })
  }

  refused(error: RepriseError): void {
    this.#end({ code: error.code, error })
  }

  jobs(jobs: readonly Job[]): void {
    if (this.#standing.over) return
    const now = performance.now()
    const { grantedMs, isLate, isShort } = this.#times
    for (const job of jobs as readonly Job<T>[]) {
      if (this.#held.has(job.lease)) continue
      const lease = new Lease<T>(job, grantedMs, now, this.#hands)
      this.#held.set(job.lease, lease)
      this.#renewal.watch(lease)
      if (this.#closing !== undefined) this.#settle(lease, { as: 'release' })
      else {
        // It may have lain here for longer than its lease: not begun before the hub says that it is still ours.
        lease.doubtful = isLate
        if (isLate || isShort) this.#renew(lease)
        if (!isLate) this.#running.add(lease)
      }
    }
    this.#running.pump()
    if (jobs.some(({ runMs }) => runMs !== undefined)) this.#tune(() => this.#prefetch.plain())
  }

  lostJobs(ids: readonly string[]): void {
    const gone = new Set(ids)
    for (const lease of [...this.#held.values()]) if (gone.has(lease.job.id)) this.#lose(lease, lostError(), true)
    if (this.#standing.now.state === 'working') this.#intake.credit(this.#prefetch.credit)
  }

  #consuming({ leaseMs, limits, held }: Consuming, holding: readonly string[], askedAt: number): void {
    this.#settlements.limits = limits
    const kept = new Set(held.map(({ lease }) => lease))
    for (const name of holding) {
      const lease = this.#held.get(name)
      if (lease === undefined) continue
      // Whatever time it had before.
      if (kept.has(name)) this.#renewal.watch(lease.renewed(leaseMs, askedAt))
      else this.#lose(lease, lostError(), true)
    }
    if (this.#closing === undefined) this.#standing.report({ state: 'working' })
    this.#retime()
  }

  /** Leases are to have another time from now on: in a hidden page at once, else as each is renewed. */
  #retime(): void {
    if (this.#standing.now.state === 'working' && this.#times.isDue) this.#intake.credit(this.#prefetch.credit)
    const shortAt = performance.now() + this.#times.shortMs
    for (const lease of this.#held.values()) {
      if (lease.live && lease.endsAt < shortAt && lease.askingMs < this.#times.of()) this.#renew(lease)
    }
  }

  #threw(lease: Lease<T>, error: unknown): void {
    const told = !lease.gone && !lease.overran && !this.#standing.over
    this.#finished(lease, failed(error))
    if (told) this.#tell(error, lease.job, 'retry')
  }

  #returned(lease: Lease<T>, value: unknown): void {
    const unsent = (error: unknown): void => this.#tell(error, lease.job, 'dead')
    this.#finished(lease, decisionOf(value) ?? replying(lease.job, value, this.#settlements.limits, unsent))
  }

  #finished(lease: Lease<T>, decision: Decision): void {
    this.#prefetch.ran(performance.now() - lease.startedAt)
    if (lease.stage === 'running') this.#running.stopped()
    // It was given back already.
    else if (lease.stage !== 'lost') return
    // A result is still good as long as nobody else has the job; a failure is told by the lapse itself.
    if (lease.gone && decision.as !== 'done' && decision.as !== 'dead') return
    this.#settle(lease, decision)
  }

  #settle(lease: Lease<T>, decision: Decision): void {
    if (lease.stage !== 'lost') lease.stage = 'settling'
    this.#settlements.add(lease, decision)
  }

  #renew(lease: Lease<T>, extended?: Item<T>['extended'], wantedMs = lease.wantedMs): void {
    lease.renewAt = Infinity
    lease.askingMs = this.#times.of(wantedMs)
    this.#settlements.add(lease, { as: 'extend', leaseMs: lease.askingMs }, extended)
  }

  #extend(lease: Lease<T>, leaseMs: number | undefined): Promise<boolean> {
    return new Promise((resolve, reject) => {
      if (leaseMs !== undefined) checkLease(leaseMs)
      if (!lease.live) return resolve(false)
      this.#renew(lease, { resolve, reject, wantedMs: leaseMs }, leaseMs)
    })
  }

  #answered({ lease, settlement, sentAt, extended }: Item<T>, result: Settled | RepriseError): void {
    if (settlement.as === 'extend') {
      if (lease.askingMs === settlement.leaseMs) lease.askingMs = 0
      if (result instanceof RepriseError) {
        if (extended !== undefined && lease.live) this.#renewal.watch(lease.kept())
        if (lease.doubtful && lease.live) this.#settle(lease, { as: 'release' })
        extended?.reject(result)
        return
      }
      if (result === 'lost') this.#lose(lease, lostError(), lease.live)
      else if (lease.live) {
        lease.wantedMs = extended?.wantedMs ?? lease.wantedMs
        this.#renewal.watch(lease.renewed(settlement.leaseMs, sentAt, result === 'ok' ? undefined : result.expiresAt))
        this.#trusted(lease)
      }
      extended?.resolve(result !== 'lost')
      return
    }
    const known = lease.stage === 'lost' || lease.overran
    lease.stage = 'over'
    this.#held.delete(lease.job.lease)
    if (result === 'ok' || known || this.#standing.over || settlement.as === 'release') return
    this.#tell(result === 'lost' ? lostError() : result, lease.job, 'lost')
  }

  /** The hub has said that it is ours. */
  #trusted(lease: Lease<T>): void {
    if (!lease.doubtful) return
    lease.doubtful = false
    if (this.#closing === undefined) this.#running.add(lease)
    else this.#settle(lease, { as: 'release' })
    this.#running.pump()
  }

  #expired(lease: Lease<T>): void {
    if (lease.stage === 'running' && lease.isOverrun(performance.now())) this.#overran(lease)
    // It cannot begin any more, and may not fail for that.
    else if (lease.stage === 'waiting' && performance.now() < lease.endsAt) this.#settle(lease, { as: 'release' })
    else this.#lose(lease, new RepriseError('timeout', 'the lease has run out'))
  }

  /** The run has failed, whether the hub has noticed it already or not. */
  #overran(lease: Lease<T>): void {
    const error = overrunError(lease.job)
    lease.overran = true
    this.#finished(lease, { as: 'retry', error: error.message })
    lease.abort(error)
    this.#tell(error, lease.job, 'retry')
    this.#running.pump()
  }

  /** `told`: by the hub. Otherwise it may still turn out to be ours. */
  #lose(lease: Lease<T>, error: RepriseError, told = false): void {
    if (told && lease.stage === 'running' && lease.isOverrun(performance.now())) {
      this.#overran(lease)
      return
    }
    if (told) lease.gone = true
    // What is settled waits for its answer.
    if (!lease.live) return
    const ran = lease.stage === 'running'
    lease.stage = 'lost'
    this.#held.delete(lease.job.lease)
    this.#reports.drop(lease)
    lease.abort(error)
    if (!ran) return
    this.#running.stopped()
    this.#tell(error, lease.job, 'lost')
    this.#running.pump()
  }

  #tune(learn: () => void): void {
    learn()
    const credit = this.#standing.now.state === 'working' ? this.#prefetch.tune() : undefined
    if (credit !== undefined) this.#intake.credit(credit)
  }

  async #close(): Promise<void> {
    if (this.#standing.over) return this.#deadline.end()
    this.#standing.report({ state: 'closing' })
    this.#intake.stop()
    const cancelled = this.#intake.cancel()
    this.#giveBack('waiting')
    await this.#deadline.first([this.#running.rested(), this.ended])
    this.#giveBack('running')
    const goodbye = new Deadline().within(this.#context.connected ? GOODBYE_MS : 0)
    // What was handed out before the hub knew comes ahead of this answer, and goes back.
    const answered = [cancelled.then(() => this.#settlements.drained()), this.ended]
    await Promise.all([this.#deadline.first(answered), goodbye.first(answered)])
    goodbye.end()
    this.#deadline.end()
    this.#end({ code: 'closed' })
  }

  #giveBack(stage: 'waiting' | 'running'): void {
    for (const lease of [...this.#held.values()]) {
      if (lease.stage !== stage) continue
      if (stage === 'running') this.#running.stopped()
      this.#settle(lease, { as: 'release' })
      lease.abort(closedError())
    }
  }

  #end(ending: WorkerEnding): void {
    if (this.#standing.over) return
    this.#intake.stop()
    this.#renewal.stop()
    this.#times.stop()
    const error = 'error' in ending ? ending.error : closedError()
    this.#standing.end(`the worker of ${this.queue}`, { state: 'ended', reason: ending })
    for (const lease of [...this.#held.values()]) this.#lose(lease, error, true)
    this.#settlements.end(error)
    this.#context.detach()
  }

  #tell(error: unknown, job: LeasedJob<T>, then: WorkFailure['then']): void {
    if (!this.#errorReports.heard) this.#context.warnings.failed(this.queue, `job ${job.id}`, then, error)
    this.#errorReports.emit({ error, job, then })
  }
}
