/** What a program sees of the SDK's queues: options, handles and reports. No behaviour lives here. */

import type { ErrorCode, RepriseError } from '../../shared/errors.ts'
import type { Durability, Headers } from '../../shared/protocol.ts'
import type {
  ChildDraft,
  Job,
  JobCounts,
  JobEnding,
  JobLook,
  JobOptions,
  JobsPage,
  JobsQuery,
  LifeEvent,
  LifeKind,
} from '../../shared/queues.ts'

import type { CloseOptions } from '../connection/deadline.ts'
import type { Undo } from '../connection/emitter.ts'
import type { QueueSchedules } from '../schedules/api.ts'
import type { Outcome } from './outcome.ts'

export interface SendOptions extends JobOptions {
  /** Not stored again when seen within 5 minutes. 1 to 256 characters. */
  readonly id?: string
  /** Jobs of one key are worked on in order, one at a time. 1 to 256 characters. */
  readonly key?: string
  readonly headers?: Headers
  /** Whose job it is, in a queue that is `fair` or has a `groupRate`. Default: its `key`. */
  readonly group?: string
  /** 0 to 9, higher first. Default 4. */
  readonly priority?: number
  /** Falls due so many milliseconds after the hub has it; at most a year. Not together with `at`. */
  readonly delayMs?: number
  /** Falls due at this time, milliseconds since 1970. */
  readonly at?: number
  /** Dead-lettered when it still waits so long after falling due. Default 7 days. */
  readonly ttlMs?: number
  /**
   * Jobs that are stored with it, in one step. It falls due when all of them have ended, and its handler gets their results
   * as `job.children`. With them the call is as `sendAll`: it rejects with `timeout` after 30 s by default.
   */
  readonly children?: readonly ChildDraft[]
  /** When a child is dead-lettered or removed: `fail` (the default) takes this job to the dead letters, `skip` goes on. */
  readonly onDeadChild?: 'fail' | 'skip'
  /**
   * Rejects with `timeout` after so many milliseconds. A job that was not sent by then never is; of one that was sent
   * the outcome is unknown. Default: waits as long as it takes, also for room in a full queue.
   */
  readonly timeoutMs?: number
}

/** A job of `sendAll`. */
export interface BulkDraft<T = unknown> extends Omit<SendOptions, 'timeoutMs'> {
  readonly data: T
}

export interface RequestOptions extends Omit<SendOptions, 'timeoutMs' | 'children' | 'onDeadChild'> {
  /** How long the answer is waited for. Default 30,000 ms, at most an hour. */
  readonly timeoutMs?: number
}

/** The id under which a job was stored, and how far it is kept. */
export interface SendReceipt {
  readonly id: string
  readonly durability: Durability
  /** The `id` was sent before: nothing was stored now. */
  readonly duplicate?: true
}

/** A job as a handler gets it. `expiresAt` is when its lease ends as the hub said last; renewals move it. */
export interface HeldJob<T = unknown> extends Job<T> {
  /** Fires when the lease is lost or the worker closes without waiting longer: another may have the job now. */
  readonly signal: AbortSignal
  /**
   * Renews the lease, from now on for so long a time (default: as before). `false` when it was lost. Only needed before
   * work that blocks the event loop for longer than a third of the lease.
   */
  readonly extend: (leaseMs?: number) => Promise<boolean>
  /**
   * Tells how far the job is, in place of what was told before: JSON or binary, 64 KiB at most. May be called as often as one
   * likes: the SDK sends the last value, ten times a second for all jobs of a worker, or at once where it is awaited. `true`
   * when the hub keeps this value or a later one, `false` when the job is over or may be another's. Throws `bad_request` or
   * `too_large` for what cannot travel.
   */
  readonly progress: (value: unknown) => Promise<boolean>
  /** Writes a line into the job's log, of which the hub keeps the last 100. As with `progress`. */
  readonly log: (text: string) => Promise<boolean>
}

/**
 * May be asynchronous. What it returns is the reply where one is awaited, and the job is done; throwing means `retry`;
 * `retry(ms)`, `release()` or `dead(why)` say otherwise.
 */
export type Work<T> = (job: HeldJob<T>) => unknown | Outcome

export interface ConsumeOptions {
  /** Handler calls at a time. Default 1. A call whose lease was lost does not count any more. */
  readonly concurrency?: number
  /**
   * How long a job stays with a worker that is not heard of. Default: the queue's setting, 30 s. A page that is hidden asks for
   * 4 minutes at least.
   */
  readonly leaseMs?: number
}

/** Why a worker is over. */
export type WorkerEnding =
  | { readonly code: 'closed' }
  /** The hub refused: `taken_over`, `forbidden`, `unauthorized`, `bad_request`, … */
  | { readonly code: ErrorCode; readonly error: RepriseError }

export type WorkerStatus =
  | { readonly state: 'connecting' }
  /** Takes jobs as they come. */
  | { readonly state: 'working' }
  /** Handlers go on, and what they settle is kept; comes back by itself. */
  | { readonly state: 'offline'; readonly reason: RepriseError }
  /** Takes nothing any more and waits for its handlers. */
  | { readonly state: 'closing' }
  | { readonly state: 'ended'; readonly reason: WorkerEnding }

/** A job that was not done, and what follows. */
export interface WorkFailure<T = unknown> {
  readonly error: unknown
  readonly job: HeldJob<T>
  /** `lost`: its lease is gone, and another may have it. */
  readonly then: 'retry' | 'dead' | 'lost'
}

export interface Worker<T = unknown> {
  readonly queue: string
  readonly status: WorkerStatus
  /** Handler calls now. */
  readonly running: number
  /** Resolves with the reason when the worker is over; never rejects. */
  readonly ended: Promise<WorkerEnding>
  /** The listener is called at each change. Every `on…` returns its undo. */
  onStatus(listener: (status: WorkerStatus) => void): Undo
  /** Each handler that threw, each reply that cannot travel, each lease that was lost. */
  onError(listener: (failure: WorkFailure<T>) => void): Undo
  /**
   * Takes no more, waits for the running handlers within `drainMs`, gives the rest back, and leaves. Called in its own
   * handler, it resolves at once and ends behind it: see `ended`.
   */
  close(options?: CloseOptions): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

export interface Queue<T = unknown> extends QueueSchedules<T> {
  readonly name: string
  /**
   * Resolves once the hub keeps the job. Sends of one tick travel together, connections may come and go meanwhile, and
   * what is sent again after a lost reply is kept once. `data` must not be changed until then. Rejects as `publish` does.
   */
  send(data: T, options?: SendOptions): Promise<SendReceipt>
  /**
   * Sends a job and waits for its reply. Comes back to the same request after a reconnection, on any node. Rejects with
   * `timeout`, with `failed` when the job was dead-lettered, or as `send` does.
   */
  request<R = unknown>(data: T, options?: RequestOptions): Promise<R>
  /** `true` when the job was still waiting and is gone. Rejects with `timeout` after `readTimeoutMs`. */
  remove(id: string): Promise<boolean>
  /** Sends all of them in one step, or none. Rejects as `send` does, and with `timeout` after `timeoutMs` (30 s). */
  sendAll(drafts: readonly BulkDraft<T>[], options?: { readonly timeoutMs?: number }): Promise<SendReceipt[]>
  /** A job as it is: waiting, held, a dead letter, or ended and still kept. `undefined` where there is none (any more). */
  job(id: string): Promise<JobLook<T> | undefined>
  /** A page of the jobs in one state, `ready` by default; finished ones from the last one on. */
  jobs(query?: JobsQuery): Promise<JobsPage<T>>
  counts(): Promise<JobCounts>
  /** Nothing is delivered any more, on any node; jobs are still taken in. */
  pause(): Promise<void>
  resume(): Promise<void>
  /**
   * Resolves with what became of a job, at once where it has ended. Rejects with `timeout` after `timeoutMs` (30 s, at most
   * an hour), and with `not_found` for a job that never was, or is not kept any more.
   */
  waitFor(id: string, options?: { readonly timeoutMs?: number }): Promise<JobEnding>
  /**
   * Resolves when the queue is empty: no job is ready, delayed, held or waits for its children. Waits as long as it takes, or
   * rejects with `timeout` after `timeoutMs`. What comes meanwhile is waited for, too; dead letters are not.
   */
  drain(options?: { readonly timeoutMs?: number }): Promise<void>
  /**
   * Works: calls the handler for jobs as they come, renews their leases, settles them. The first worker of a queue uses
   * the shared connection; further ones at the same time get a connection and a name of their own.
   */
  consume(handler: Work<T>, options?: ConsumeOptions): Worker<T>
  /**
   * Calls the handler with what happens to jobs of the queue from now on; the result stops that. The queue has to have
   * `events: true`, and the caller `read` on it. What happened before is in the topic `$queue.<name>`.
   */
  on<K extends LifeKind>(kind: K, handler: (event: LifeEvent & { readonly kind: K }) => unknown): () => void
  /** Closes the workers, empties the outbox within `drainMs`, ends requests with `unavailable`. */
  close(options?: CloseOptions): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}
