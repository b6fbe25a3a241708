/** What is told of jobs and queues: to those who ask, and to those who listen. */

import type { Position } from '../../../shared/positions.ts'
import type { Body, Owner } from './basics.ts'
import type { ChildCounts } from './children.ts'
import type { JobPolicy } from './jobPolicy.ts'

export type JobState = 'ready' | 'delayed' | 'held' | 'waiting'

/**
 * Why a job is in the dead letters; `child`: a child of it is there, or was removed; `gap`: not a job, but events that a
 * binding could not copy.
 */
export type DeadReason = 'max_attempts' | 'rejected' | 'expired' | 'child' | 'gap'

export interface HistoryEntry {
  readonly at: number
  /** `sent` is not among them: it is `sentAt`. */
  readonly what: 'retry' | 'lapsed' | 'suspect' | 'release' | 'dead' | 'redriven' | 'run'
  /** The consumer at that time. */
  readonly holder?: Owner
  /** The error's text, or the reason. */
  readonly why?: string
}

/** A line of a job's log. */
export interface LogLine {
  readonly at: number
  readonly text: string
}

/** What consumers told of a job, each where there is any: the last value, the last lines. */
export interface Told {
  readonly progress?: Body
  readonly log?: readonly LogLine[]
}

export interface JobInfo extends Told {
  readonly id: string
  readonly state: JobState
  readonly subject: string
  readonly key?: string
  /** Where it is another one than `key`. */
  readonly group?: string
  readonly priority: number
  readonly attempts: number
  /** As its draft had it. */
  readonly policy?: JobPolicy
  readonly deliveries: number
  readonly sentAt: number
  /** When its consumer began with it; of a dead letter, with the run that made it one. */
  readonly startedAt?: number
  /** When it is due; for a `ready` job, when it fell due. */
  readonly dueAt: number
  /** When it goes to the dead letters if it still waits. `undefined` in the dead letters. */
  readonly ttlAt?: number
  readonly replyBy?: number
  /** Of a held job. */
  readonly holder?: Owner
  readonly expiresAt?: number
  readonly suspect: boolean
  /** The id of the job that is first in its key's line, when that is another job. */
  readonly behind?: string
  readonly children?: ChildCounts
  /** The id of the job that has it as a child. */
  readonly parent?: string
  /** That of its parent, where it is another one. */
  readonly parentQueue?: string
  /** In the dead letters. */
  readonly dead?: { readonly reason: DeadReason; readonly error?: string; readonly at: number }
  /** The last 20, oldest first. */
  readonly history: readonly HistoryEntry[]
  /** `undefined`: the checksum is wrong. */
  readonly body: Body | undefined
}

export interface QueueInfo {
  readonly queue: string
  readonly counts: {
    readonly sent: number
    readonly ready: number
    readonly delayed: number
    readonly held: number
    /** For their children. */
    readonly waiting: number
    readonly done: number
    readonly dead: number
    readonly removed: number
  }
  /** Bytes of the bodies of ready, delayed and held jobs. */
  readonly bytes: number
  /** When the ready job with the lowest sequence fell due. */
  readonly oldestReadyAt?: number
  /** Attached consumers that were touched within a minute. */
  readonly consumers: number
  readonly paused: boolean
  /** It has paused itself: when, and what of the jobs that ended in the minute before went to the dead letters. */
  readonly tripped?: { readonly at: number; readonly dead: number; readonly ended: number }
  /** Of its life so much waits to be moved that it takes no jobs and delivers none. */
  readonly lifeFull?: { readonly events: number; readonly bytes: number }
  /** The position of each binding. */
  readonly bindings: readonly { readonly topic: string; readonly position: Position }[]
}

/** What a queue is used for; of its life, what waits to be moved. */
export interface QueueUse {
  /** Ready, delayed, held and waiting. */
  readonly jobs: number
  readonly dead: number
  /** Attached, at the queue and at its dead letters. */
  readonly consumers: number
  readonly bindings: number
  readonly schedules: number
  readonly life: number
}

/** What became of a drop. `more`: of what it remembers only a part is forgotten, and it is to be asked again. */
export type Dropped = { readonly more: boolean } | { readonly use: QueueUse }

/** What became of a request. `undefined` for an unknown one, or when `replyBy` has passed. */
export type Answer =
  | { readonly state: 'waiting'; readonly replyBy: number }
  | { readonly state: 'done'; readonly reply?: Body }
  | { readonly state: 'failed'; readonly reason: DeadReason | 'removed'; readonly error?: string }

/** Jobs that went to the dead letters, leases that nobody settled or extended in time, and what has come of that. */
export type JobLoss =
  | { readonly kind: 'dead'; readonly reason: DeadReason; readonly jobs: number }
  | { readonly kind: 'lapsed'; readonly consumer: Owner; readonly jobs: number }
  /** So many records of the queue's life wait to be moved. */
  | { readonly kind: 'life'; readonly jobs: number }
  /** The queue has paused itself: of so many jobs that ended, `jobs` went to the dead letters. */
  | { readonly kind: 'tripped'; readonly jobs: number; readonly ended: number }

/** What a watch of a queue is told. These are hints: they may come late, twice, out of order or not at all. */
export type QueueNotification =
  /** There may be something to claim from this time on. Told when there was nothing before, or this is earlier. */
  | { readonly kind: 'work'; readonly at: number }
  /** Leases that lapsed, or that their consumer lost when it attached anew. */
  | { readonly kind: 'lapsed'; readonly consumer: Owner; readonly ids: readonly string[] }
  /** Leases of an attached consumer that another consumer has ended by settling them. */
  | { readonly kind: 'settled'; readonly consumer: Owner; readonly leases: readonly string[] }
  /** A newer session of this consumer began, at the queue or at its dead letters. */
  | { readonly kind: 'session'; readonly consumer: Owner; readonly session: number; readonly isDead: boolean }
  /** The answer to this request can be read. */
  | { readonly kind: 'answered'; readonly id: string }
  /** Paused, resumed, dropped, or bindings changed. */
  | { readonly kind: 'changed' }
  /** Notifications may have been lost (a connection was rebuilt). */
  | { readonly kind: 'lost' }

/** What happens to a job: `done` to `removed` may be the last of it, and what was dead-lettered may be redriven. */
