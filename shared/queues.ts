/** The wire's types of queues, as docs/protocol.md describes them: the namespace `/queues`. */

import type { WireError } from './errors.ts'
import type { Draft, Durability, Headers, Limits, ProducerSeq, Respond } from './protocol.ts'
import type { JobChild } from './queues/children.ts'
import type { JobBackoff, JobOptions } from './queues/jobOptions.ts'
import type { JobReport, LogLine, Reported } from './queues/progress.ts'

export { type JobChild, MAX_GENERATIONS } from './queues/children.ts'
export { type JobBackoff, type JobOptions, MAX_BACKOFFS, overrunText } from './queues/jobOptions.ts'
export { LIFE_KINDS, type LifeEvent, type LifeKind } from './queues/life.ts'
export type { JobReport, LogLine, Reported } from './queues/progress.ts'

/** Where the queues live. */
export const QUEUES_NAMESPACE = '/queues'

/** What a producer sends. */
export interface JobDraft<T = unknown> extends Draft<T>, JobOptions {
  /** Whose job it is, in a queue that is `fair` or has a `groupRate`. Default: its `key`. */
  readonly group?: string
  /** 0 to 9, higher first. Default 4. */
  readonly priority?: number
  /** Falls due so many milliseconds after the hub has it; at most a year. Not together with `at`. */
  readonly delayMs?: number
  /** Falls due at this time, milliseconds since 1970; at once when it is over. */
  readonly at?: number
  /** Dead-lettered when it still waits so long after falling due. Default 7 days. */
  readonly ttlMs?: number
  /** Jobs that are stored with it, in one step, or carried to other queues then. It falls due when all of them have ended, and gets their results. */
  readonly children?: readonly ChildDraft[]
  /**
   * When a child is dead-lettered or removed: `fail` (the default) takes it to the dead letters, too; `skip` lets it go on
   * without the child.
   */
  readonly onDeadChild?: 'fail' | 'skip'
}

/** A job that another one waits for. */
export interface ChildDraft<T = unknown> extends Omit<JobDraft<T>, 'id'> {
  /** Default: the queue of its parent. To another one it is carried when the parent is stored, once. */
  readonly queue?: string
}

/** What a consumer gets. Times by the store's clock. */
export interface Job<T = unknown> {
  readonly queue: string
  readonly id: string
  /** The right to work on it; goes with every settlement. */
  readonly lease: string
  /** Failures before this delivery. */
  readonly attempts: number
  /** Hand-outs, this one included. */
  readonly deliveries: number
  readonly sentAt: number
  /** When the lease lapses. */
  readonly expiresAt: number
  readonly data: T
  readonly key?: string
  readonly headers?: Headers
  /** Of a request: until then somebody waits for the reply. */
  readonly replyBy?: number
  /** Where its draft had it: so long after this delivery the lease ends for good. */
  readonly runMs?: number
  /** What became of the jobs that it waited for, in the order of their drafts. */
  readonly children?: readonly JobChild[]
}

export interface Sent {
  readonly ids: readonly string[]
  /** How many of the drafts were there already. */
  readonly duplicates: number
  /** Which ones, by their place in the call, from 0; only where there are any. */
  readonly duplicatesAt?: readonly number[]
  readonly durability: Durability
}

export interface ConsumeOptions {
  /** How many unsettled jobs the consumer takes, 1 to 10,000. */
  readonly credit: number
  /** Default: the queue's setting. */
  readonly leaseMs?: number
  /**
   * Leases that the consumer still works under, of those it had before a reconnection. With it, others that the hub
   * keeps for this `client` lapse at once; without it they all stay.
   */
  readonly holding?: readonly string[]
}

/** A lease that stays with its consumer through a reconnection. */
export interface KeptLease {
  readonly id: string
  readonly lease: string
  readonly expiresAt: number
}

export interface Consuming {
  readonly queue: string
  readonly credit: number
  readonly leaseMs: number
  readonly limits: Limits
  /** Held from before; counted against the credit. */
  readonly held: readonly KeptLease[]
}

export type Settlement = { readonly id: string; readonly lease: string } & (
  | { readonly as: 'done'; readonly reply?: unknown }
  | { readonly as: 'retry'; readonly delayMs?: number; readonly error?: string }
  | { readonly as: 'release' }
  | { readonly as: 'dead'; readonly reason?: string }
  | { readonly as: 'extend'; readonly leaseMs: number }
)

/** Of an extension that the queue's `maxLeaseMs` has cut: when the lease lapses. */
export type Settled = 'ok' | 'lost' | { readonly expiresAt: number }

/** In which state jobs are looked at: as they wait or are held, and as they ended. */
export const LOOK_STATES = ['ready', 'delayed', 'held', 'waiting', 'dead', 'done', 'removed'] as const
export type LookState = (typeof LOOK_STATES)[number]

/** A job as it is looked at. Times by the store's clock. */
export interface JobLook<T = unknown> {
  readonly queue: string
  readonly id: string
  readonly state: LookState
  readonly subject: string
  readonly key?: string
  readonly group?: string
  readonly priority: number
  /** Failures. */
  readonly attempts: number
  /** What its draft says; absent where it goes by the queue's settings. */
  readonly maxAttempts?: number
  readonly backoff?: JobBackoff
  readonly runMs?: number
  readonly keepDone?: JobOptions['keepDone']
  readonly deliveries: number
  readonly sentAt: number
  /** When its consumer began with it; of one that has ended, with its last run. */
  readonly startedAt?: number
  /** Of one that has ended. */
  readonly endedAt?: number
  /** What its consumer answered. */
  readonly result?: unknown
  /** Why it is a dead letter, or was one. */
  readonly error?: string
  /** Of one that waits: when it is due, or fell due. */
  readonly dueAt?: number
  readonly ttlAt?: number
  readonly replyBy?: number
  readonly holder?: { readonly subject: string; readonly client: string }
  readonly expiresAt?: number
  readonly suspect?: boolean
  readonly behind?: string
  /** How many children it has, and how many of them have not ended. */
  readonly children?: { readonly count: number; readonly open: number }
  /** The job that has it as a child. */
  readonly parent?: string
  /** The queue of that one, where it is another. */
  readonly parentQueue?: string
  readonly dead?: { readonly reason: string; readonly error?: string; readonly at: number }
  /** The last 20 things that happened to it. */
  readonly history: readonly {
    readonly at: number
    readonly what: string
    readonly why?: string
    /** Who had it. */
    readonly holder?: JobLook['holder']
  }[]
  /** Of one that waits or is held, and of dead letters. */
  readonly data?: T
  readonly headers?: Headers
  /** What its consumers told: the last value, and the last lines of its log. */
  readonly progress?: unknown
  readonly log?: readonly LogLine[]
  /** The record of its data is damaged. */
  readonly damaged?: boolean
}

export interface JobsPage<T = unknown> {
  readonly jobs: readonly JobLook<T>[]
  /** There may be more behind this one. */
  readonly next?: string
}

export interface JobsQuery {
  /** Default `ready`. */
  readonly state?: LookState
  /** `next` of the page before. */
  readonly after?: string
  /** Default 100, at most 500. */
  readonly limit?: number
}

/** What became of a job. */
export interface JobEnding {
  readonly state: 'done' | 'dead' | 'removed'
  readonly result?: unknown
  readonly error?: string
}

export type JobCounts = Readonly<
  Record<'sent' | 'ready' | 'delayed' | 'held' | 'waiting' | 'done' | 'dead' | 'removed', number>
>

export interface RequestOptions {
  /** How long the answer is waited for. Default 30 s, at most an hour. */
  readonly timeoutMs?: number
}

/** The handshake's `auth` of the namespace. */
export interface QueuesAuth {
  readonly token?: string
  /** Names the holder of jobs; without it nobody can take them up again. */
  readonly client?: string
  readonly protocol?: number
}

/** Calls of a client in the namespace. */
export interface QueueCalls {
  send(queue: string, drafts: readonly JobDraft[], options: ProducerSeq | null, respond: Respond<Sent>): void
  consume(queue: string, options: ConsumeOptions, respond: Respond<Consuming>): void
  cancel(queue: string, respond: Respond<null>): void
  settle(queue: string, settlements: readonly Settlement[], respond: Respond<readonly Settled[]>): void
  progress(queue: string, reports: readonly JobReport[], respond: Respond<readonly Reported[]>): void
  request(queue: string, draft: JobDraft, options: RequestOptions | null, respond: Respond<unknown>): void
  remove(queue: string, id: string, respond: Respond<boolean>): void
  job(queue: string, id: string, respond: Respond<JobLook>): void
  jobs(queue: string, query: JobsQuery | null, respond: Respond<JobsPage>): void
  waitFor(queue: string, id: string, options: RequestOptions | null, respond: Respond<JobEnding>): void
  counts(queue: string, respond: Respond<JobCounts>): void
  pause(queue: string, respond: Respond<null>): void
  resume(queue: string, respond: Respond<null>): void
  putSchedule(queue: string, name: string, spec: ScheduleSpec, respond: Respond<Schedule>): void
  getSchedule(queue: string, name: string, respond: Respond<Schedule>): void
  listSchedules(queue: string, query: ScheduleListQuery | null, respond: Respond<SchedulesPage>): void
  runSchedule(
    queue: string,
    name: string,
    options: ScheduleRunOptions | null,
    respond: Respond<{ readonly id: string }>,
  ): void
  removeSchedule(queue: string, name: string, respond: Respond<boolean>): void
  /** The hub disconnects the namespace, and keeps its jobs for the grace, as after a lost connection. */
  away(respond: Respond<null>): void
  auth(credentials: { readonly token: string }, respond: Respond<null>): void
}

/** Packets of the hub in the namespace. */
export interface QueuePackets {
  /** The first packet where the handshake asks for it. */
  limits(limits: Limits): void
  jobs(queue: string, jobs: readonly Job[]): void
  lost(queue: string, ids: readonly string[]): void
  /** The token ends by itself so soon. */
  expiring(left: { readonly inMs: number }): void
  /** The consumer of this queue is over (`taken_over`). After the connection's last one the hub disconnects the namespace. */
  error(error: WireError & { readonly queue: string }): void
}

/** Why dead letters that can be brought back were dead-lettered. */
export const REDRIVE_REASONS = ['max_attempts', 'rejected', 'expired', 'child'] as const

export const REDRIVE_REASON_RULE =
  'max_attempts, rejected, expired or child: a gap stands for events that were not copied, so there is no job to bring back'

/** What becomes of due times that nobody saw: one job for all of them, one for each, none. */
export type Missed = 'one' | 'all' | 'none'

/** What adds jobs to a queue again and again. Has either `cron` or `everyMs`. Times are milliseconds since 1970. */
export interface ScheduleSpec<T = unknown> {
  /** Five fields (minute, hour, day, month, weekday), or six with the second first. */
  readonly cron?: string
  /** At least 100; counted from `startAt`, or from when the schedule is made. */
  readonly everyMs?: number
  /** Of `cron`, such as `Europe/Berlin`. Default `UTC`. */
  readonly timeZone?: string
  /** What each of its jobs is, without `id` and `at`. */
  readonly draft: ScheduleDraft<T>
  /** It is not due before this. */
  readonly startAt?: number
  /** It is not due after this. */
  readonly endAt?: number
  /** It is over after so many jobs. */
  readonly limit?: number
  /** Default `one`. */
  readonly missed?: Missed
}

export type ScheduleDraft<T = unknown> = Omit<JobDraft<T>, 'id' | 'at' | 'children' | 'onDeadChild'>

export interface Schedule<T = unknown> extends ScheduleSpec<T> {
  readonly queue: string
  readonly name: string
  readonly missed: Missed
  /** The next five due times; none when it is over. */
  readonly next: readonly number[]
  /** The last due time that had a job; `null` before the first one. */
  readonly lastAt: number | null
  /** How many due times had a job. */
  readonly fired: number
  /** How many had none. */
  readonly missedCount: number
}

/** A part of the schedules of a queue, in the order of their names. */
export interface SchedulesPage {
  readonly schedules: readonly Schedule[]
  /** Give it as `after` for those behind; absent at the end. */
  readonly next?: string
}

export interface ScheduleListQuery {
  readonly after?: string
  readonly limit?: number
}

export interface ScheduleRunOptions {
  /** Of the job: the same id again within 5 minutes adds no second one. */
  readonly id?: string
}

/** Headers of the jobs of schedules: the schedule's name, and the due time in milliseconds since 1970. */
export const SCHEDULE_HEADER = 'reprise-schedule'
export const DUE_HEADER = 'reprise-due'
