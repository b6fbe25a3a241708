/**
 * The half of the store's contract that is about jobs. What store.ts says of every method holds here, too.
 *
 * A job is in one state at a time. queue-states.md has them all, and what becomes of a job by what happens to it. The dead
 * letters are a queue of their own named `<queue>/dead`, with the same states.
 *
 * Places. When a job first falls due it gets the next place of its queue: drafts of a call in their order, delayed jobs
 * by time and then by the order of sending. It keeps its place through retries and lost leases. A released or redriven
 * job gets a new place. Jobs with the same `key` form a line in the order of their first places, and only the first of
 * a line can be delivered: no job overtakes it while it is held or delayed, nor after a release. In `<queue>/dead`
 * keys form no lines.
 *
 * Deliveries. Of the jobs that can be delivered, the highest priority goes first, and within it the lowest sequence. Each
 * tenth delivery of a queue, counted over all consumers, takes the lowest sequence whatever the priority.
 *
 * Groups. The group of a job is its draft's `group`, else its `key`; jobs with neither are one group. Where the policy is
 * `grouped`, groups take turns: the next delivery is of the group whose turn came longest ago, and within a group the rule
 * above holds, each tenth delivery counted for the group. A group whose first job becomes deliverable has its turn after
 * all that are there. With `groupRate` a group that has used up its rate rests: its jobs are passed over until it allows
 * one more, and then its turn is the last. Suspects come before all turns, and count for their group. What stands in a
 * queue as the policy changes is taken over by its timers, a bounded part at a time. In `<queue>/dead` there are no groups.
 *
 * Leases. A delivery gives the job a new lease: a token nobody can guess, and a time at which it lapses. Its consumer is
 * alone with the job as long as, from this delivery on, it never holds another job of the queue. When a lease lapses:
 * - at its cap, up to which it was extended, or lent where the cap is the `runMs` of the job, or when its consumer was alone
 *   with the job: a failure (see below). The error of one that lapses at its `runMs` says so;
 * - otherwise nobody knows which of the consumer's jobs was the cause: the job is a suspect, `ready` at once, no attempt.
 * A suspect is only handed to a consumer that holds nothing. That consumer then gets nothing else until the suspect is
 * settled or lapses, and it gets suspects before other jobs. Settling ends the suspicion, and so does a late
 * settlement. An extension or a lapse alone does not. Jobs come to the dead letters without suspicion.
 *
 * A failure raises `attempts`. At `policy.maxAttempts` the job goes to the dead letters (`max_attempts`), otherwise it
 * is `delayed` by `policy.backoffMs[attempts - 1]` (the last one for all further). A job that already has that many
 * attempts, because the limit was higher before, goes there in place of a delivery. In `<queue>/dead` attempts rise
 * without limit. What the draft's `policy` has counts for its job in place of the queue's, also when it is redriven.
 *
 * Releases. A released job is `ready` at once, behind all jobs that have a place. When the last things that happened to
 * it are releases, and the same consumer made some of them, it is `delayed`: by 100 ms, doubled for each further release
 * by that consumer, 5 s at most. The part of a consumer's name after a `#` does not count.
 *
 * Expiry. A job that waits for `ttlMs` from when it is due, or until `replyBy` if that comes first, goes to the dead
 * letters (`expired`). The time counts anew whenever the job falls due: after a failure, a release, a lapse, a redrive.
 * `dueAt` is that time. Held jobs do not expire, and neither do dead letters. A dead letter is gone `policy.deadMs`
 * after it came. A held one is gone when it is no longer held.
 *
 * Breaker. Where the policy has one, a call that dead-letters jobs of the queue (`max_attempts`, `rejected`) pauses it at its
 * end, before it claims, when the breaker says so for the last minute; time counts in parts of ten seconds. `tripped` tells
 * of it until the queue is resumed, and then counting begins anew.
 *
 * Life. Where the policy has `events`, each step of a job is kept with it, numbered, until it is moved: see `life`. Who made
 * the step is told of it, and after 2 s who fires the timers. What is kept so is bounded: with 100,000 of them, or 32 MiB, the
 * life is full. While it is, `enqueue`, `purge` and `redrive` are refused with `unavailable`, `claim` delivers nothing (its
 * `nextAt` is in 2 s), nothing expires, and progress is not told. What is held can be settled, and adds to it. When there is
 * room again, listeners are told `changed`. What is to be carried to other queues (see children.ts) stands in the same row, also
 * in a queue without a life. It is never refused there but with the parent of a child.
 *
 * Timers. What falls due by itself (delays, lapses, expiry) happens when the timers of the queue are fired, a bounded
 * part at a time. `maintain` of the store does that; `claim`, `settle`, `attach`, `detach` begin with it. No expired job is
 * delivered, and no job before its time, however far that has come. The timers of a queue and of its dead letters are
 * fired together. Reads show the queue as the last firing left it. What a call makes due at that moment (a retry after
 * 0 ms, a grace of 0 ms) is done in that call; what a timer makes due is done with the timers.
 *
 * Counters. `sent` counts jobs ever accepted, `done` those settled as done, `removed` those removed, purged or dropped
 * from the dead letters by time, `dead` those in the dead letters now. At every moment
 * sent = ready + delayed + held + waiting + done + dead + removed. A dead letter that is settled `done` moves from `dead` to
 * `done`, and a redriven one moves to `ready`. The counters of `<queue>/dead` itself: `sent` counts the dead letters that
 * came, `removed` also those that were redriven, `dead` is 0.
 *
 * `queue` is `<queue>` or `<queue>/dead`, except where said. When one is known, so is the other. An unknown queue is
 * empty; only `enqueue`, `attach`, `pause(true)`, `bind` to a position and `putSchedule` make one.
 */

import type { Position } from '../../../shared/positions.ts'
import type { Durability } from '../../../shared/protocol.ts'
import type { ListQuery, Owner } from './basics.ts'
import type { StoredJobDraft } from './drafts.ts'
import type { Finished, Keeping } from './finished.ts'
import type { Answer, Dropped, JobInfo, JobState, QueueInfo, QueueNotification } from './jobs.ts'
import type {
  Attached,
  Attaching,
  Claim,
  Claimed,
  Leaving,
  Progress,
  Report,
  Settlement,
  SettleOutcome,
} from './leases.ts'
import type { Carried, EndedChild, LifeStep, StoredLife } from './life.ts'
import type { QueuePolicy } from './policy.ts'

export interface Enqueue {
  readonly subject: string
  readonly drafts: readonly StoredJobDraft[]
  /**
   * `too_many` when the queue's ready, delayed, held and waiting jobs, or the bytes of their bodies, would exceed it. What is
   * `carried` has none.
   */
  readonly limit: { readonly jobs: number; readonly bytes: number }
  /** Why children for other queues are refused: `too_many` with this text, where a draft that is no duplicate has some. */
  readonly noChildren?: string
  /** Both as in the policy. */
  readonly grouped?: boolean
  readonly events?: boolean
  /**
   * As in `append` of topics, per (queue, subject, name): a draft with a number already taken is a duplicate and has
   * the first one's id; `conflict` as there. Ids of the last 1,024 drafts are kept, for 7 days after the last use.
   * Never together with a binding.
   */
  readonly producer?: { readonly name: string; readonly seq: number }
  /**
   * The step of a binding: the drafts are the events of `topic` between the two positions. `conflict` unless the
   * binding is at `from` (see `bind`); afterwards it is at `to`. `drafts` may be empty.
   */
  readonly binding?: { readonly topic: string; readonly from: Position; readonly to: Position }
  /**
   * The drafts are children of jobs in another queue. Those that came before, by the row and number, are passed over: they
   * have an empty id. No limit and no full life refuses them.
   */
  readonly carried?: Carried
}

export interface Enqueued {
  /** One for each draft, in their order; a duplicate has the id of the first one. */
  readonly ids: readonly string[]
  readonly duplicates: number
  /** The places of the duplicates in the call, from 0, ascending; only when there are any. */
  readonly duplicatesAt?: readonly number[]
  /** All children of the drafts that are no duplicates, depth first; only where there are any. */
  readonly childIds?: readonly string[]
  /** Ids of the subject that were forgotten before their time, as it gave more than are remembered; only where there are any. */
  readonly forgottenIds?: number
  readonly durability: Durability
}

export type JobsQuery =
  | { readonly state: JobState; readonly after?: string | undefined; readonly limit: number }
  | { readonly line: string; readonly after?: string | undefined; readonly limit: number }
  | { readonly ids: readonly string[] }

export type PurgeQuery = { readonly before: number; readonly limit: number } | { readonly ids: readonly string[] }

export interface Queues extends Finished {
  /**
   * Adds jobs, all or none. `queue` is not a `/dead`. A job has the id of its draft. When a job with that id exists
   * already (in the queue or its dead letters), or an answer is kept under it, the id is `<id>~<number>`. When the
   * draft has none, the store gives one. Ids are remembered as topics remember them (5 minutes, 1 M a subject), until
   * the job is removed or purged, also as a dead letter: then its id is new again. Jobs of a binding just get their id,
   * and those of a producer keep their numbers. `too_many`: over `limit`. `conflict`: see `binding`.
   */
  enqueue(queue: string, enqueue: Enqueue): Promise<Enqueued>

  /**
   * Delivers jobs. `taken_over`: a newer session is known; `not_found`: the consumer is no longer attached, or the store
   * forgot this session: the consumer attaches anew.
   */
  claim(queue: string, claim: Claim): Promise<Claimed>

  /**
   * Ends or changes leases, each settlement by itself and in order; one answer for each. A lease counts while no later
   * lease of its job was delivered, the job is neither gone nor dead-lettered, and no settlement but `extend` has
   * ended it. It may have lapsed. Other leases are `lost`, except that the same lease and outcome again within 5
   * minutes of the first is `ok` (never for an extension).
   * - `done`: gone; `reply` is kept for the request until its `replyBy`.
   * - `retry`: a failure, with `delayMs` in place of the backoff if given. For a lapsed lease: nothing more, `ok`.
   * - `release`: given back, see above; no attempt. With `inPlace` it is `ready` at once, at its place. For a lapsed lease:
   *   nothing more, `ok`.
   * - `dead`: to the dead letters (`rejected`); in `<queue>/dead` a failure, as `retry` without `delayMs`.
   * - `extend`: the lease lapses at now + `leaseMs`, or at its cap if that is earlier: then the answer says when. A
   *   lapsed lease is held again, or `lost` when its cap is over.
   *
   * `by`: the caller. Other attached consumers are told of their leases that it ends.
   *
   * `next` claims behind them, in the same step: also what they have freed. Where it is refused they count all the same.
   */
  settle(
    queue: string,
    settlements: readonly Settlement[],
    policy: QueuePolicy,
    by?: Owner,
    next?: Claim,
  ): Promise<SettleOutcome>

  /**
   * Keeps what consumers tell of the jobs that they hold: `ok` as long as a settlement would be, also under a lease that has
   * lapsed while nobody else was given the job; afterwards `lost`, and nothing is kept. It stays with the job through attempts,
   * in the dead letters, and as long as the job is kept when it has ended. At most 100 lines and 64 KiB of them, the oldest go
   * first. Of one job there is at most one report in a call. With `events` each value is told to the queue's life, but not
   * where much of that waits already. `storage_full` as for `enqueue`.
   */
  progress(queue: string, reports: readonly Report[], policy: QueuePolicy): Promise<readonly Progress[]>

  /**
   * Begins a session of a consumer, which counts from now on, and tells the queue's listeners. The consumer
   * keeps what it still holds, each lease for `leaseMs` more (within the cap). With `holding`, leases not named there
   * lapse now.
   */
  attach(queue: string, consumer: Owner, options: Attaching): Promise<Attached>

  /** The newest known session of the consumer; 0 when there is none. */
  session(queue: string, consumer: Owner): Promise<number>

  /**
   * Ends a session. `release` is as if the consumer settled so, but each job is `ready` at its place. With `graceMs` the
   * leases lapse after that time, or sooner if they would anyway. A session that has ended may say so later of what it
   * still holds. Does nothing for a session that is older than the known one.
   */
  detach(queue: string, consumer: Owner, session: number, leaving: Leaving, policy: QueuePolicy): Promise<void>

  /**
   * Says that these consumers are present, see `consumers`. One without a touch (or `attach`) for more than a minute
   * is no longer attached, and a touch does not change that.
   */
  touch(queue: string, consumers: readonly Owner[]): Promise<void>

  /**
   * Jobs in a state after the one with the id `after`, by place; jobs without a place by due time. At most `limit`; none
   * when `after` is not there. Or those of a key that have a place, in their line, after one of them. Or those with these
   * ids, as far as they are there.
   */
  jobs(queue: string, query: JobsQuery): Promise<JobInfo[]>

  /**
   * Removes jobs that wait; requests are then `failed` (`removed`): those with these ids, or up to `limit` that came by
   * `before`, inclusive. Answers how many, so 0 at the end. They are kept as `keep` says.
   */
  purge(queue: string, query: PurgeQuery, keep?: Keeping): Promise<number>

  /**
   * Makes delayed jobs due now, those with these ids: `ready`, as if their time had come. Attempts stay, and so does a lease
   * that lapsed. One that was never due gets its place now, the others keep theirs. Answers how many it made ready.
   */
  runNow(queue: string, ids: readonly string[]): Promise<number>

  /**
   * Moves waiting dead letters back to the queue: `ready` at its end, attempts 0, no longer a request. A `gap` stays.
   * `queue` is not a `/dead`. Answers how many it found.
   */
  redrive(queue: string, ids: readonly string[], options: { readonly ttlMs: number }): Promise<number>

  /** A paused queue delivers nothing, but takes jobs. `false` when nothing changed. Resuming it forgets that it has tripped. */
  pause(queue: string, paused: boolean): Promise<boolean>

  /**
   * Forgets a queue that nobody uses, with its dead letters and all that is remembered: senders, ids, finished jobs, answers,
   * how leases ended. One in use is left as it is, but for what an earlier part has forgotten. `undefined` for an unknown one.
   * `queue` is not a `/dead`.
   */
  drop(queue: string): Promise<Dropped | undefined>

  answer(queue: string, id: string): Promise<Answer | undefined>

  /**
   * Forgets what was moved of the queue's life, and answers what is next; `undefined` where it never had any.
   */
  life(queue: string, step: LifeStep): Promise<StoredLife | undefined>

  /** Errands from other queues: children of jobs of this one have ended. Each counts once. */
  tellParents(queue: string, ended: readonly EndedChild[]): Promise<void>

  /** Queues that are known. A page is without `/dead`, and no more than it is read. */
  list(query: ListQuery): Promise<QueueInfo[]>

  /** Makes a binding at a position unless there is one; `undefined` ends it. Answers its position now. */
  bind(queue: string, topic: string, position: Position | undefined): Promise<Position | undefined>

  /** After this resolves, tells `listener` what happens to the queue and its dead letters. The result stops it. */
  watch(queue: string, listener: (notification: QueueNotification) => void): Promise<() => void>
}
