/**
 * The half of the store's contract that holds work. What contract.ts says of every method holds here, too.
 *
 * A job is in one state at a time:
 * - `delayed`: its time has not come, after sending or before another attempt;
 * - `ready`: it waits to be handed out; also behind another job of its key, or as a suspect;
 * - `held`: one holder works on it under a lease;
 * - in the dead letters, which are a queue of their own named `<queue>/dead`, with the same states;
 * - gone: settled `done`, removed, purged, or (dead letters) kept long enough.
 *
 * Places. When a job first falls due it gets the next place of its queue, drafts of a call in their order, delayed jobs by
 * time and then by the order of sending. It keeps its place through retries and lost leases; a released or redriven job
 * gets a new one. Jobs with the same `key` form a line in the order of their first places, and only the first of a line can
 * be handed out: nobody overtakes it while it is held or delayed, nor after a release. In `<queue>/dead` keys form no lines.
 *
 * Hand-outs. Of what can be handed out, the highest priority goes first and in it the lowest place; each tenth hand-out
 * of a queue, counted over all holders, takes the lowest place whatever the priority.
 *
 * Leases. A hand-out gives the job a new lease: a token nobody can guess, and a time at which it lapses. Its holder is
 * alone with it while, from this hand-out on, it never holds another job of the queue. When a lease lapses:
 * - at its cap, up to which it was extended, or its holder was alone with it: that is a failure (see below);
 * - otherwise nobody knows which of the holder's jobs was to blame: the job is a suspect, `ready` at once, no attempt.
 * A suspect is only handed to a holder with empty hands, which then gets nothing else before it is settled or lapses; such
 * a holder gets suspects before other jobs. Settling ends the suspicion, a late settlement too; an extension or a lapse
 * alone does not. Dead letters come without it.
 *
 * A failure raises `attempts`. At `policy.maxAttempts` the job goes to the dead letters (`max_attempts`), otherwise it is
 * `delayed` by `policy.backoffMs[attempts - 1]` (the last one for all further). A job with that many attempts, as the limit
 * was higher before, goes there in place of a hand-out. In `<queue>/dead` attempts rise and have no limit.
 *
 * Releases. A released job is `ready` at once, behind all that has a place. Where what befell it last are releases, and the
 * same holder is among them, it is `delayed`: by 100 ms, twice as long for each further one of that holder, 5 s at most.
 * What stands behind a `#` in a holder's name is not looked at.
 *
 * Expiry. A job that waits for `ttlMs` from when it is due, or until `replyBy` where that comes first, goes to the dead
 * letters (`expired`). Each time that it is due it counts anew: after a failure, a release, a lapse, a redrive; `dueAt` is
 * that time. Held jobs do not expire, nor do dead letters, which are gone
 * `policy.deadMs` after they came, held ones when they are so no more.
 *
 * Turning. What falls due by itself (delays, lapses, expiry) happens in a turn of the queue: `turn` is nothing else, and
 * `claim`, `settle`, `attach`, `detach` begin with one. A turn has a bound; nothing is handed out that is expired, and
 * nothing before its time, whatever the turn has reached. A turn of a queue is one of its dead letters, too, and the other
 * way round. Reads show the queue as the last turn left it. What is due in the moment of the call that makes it so (a
 * retry after 0 ms, a grace of 0 ms) is done in that call; what a turn makes due belongs to it.
 *
 * Books. `sent` counts jobs ever accepted, `done` those settled so, `removed` those removed, purged or dropped from the
 * dead letters by time, `dead` those in the dead letters now. At every moment
 * sent = ready + delayed + held + done + dead + removed. A dead letter that is settled `done` leaves `dead` for `done`; a
 * redriven one leaves it for `ready`. The books of `<queue>/dead` itself: `sent` counts what came, `removed` also what
 * was redriven, `dead` is 0.
 *
 * `queue` is `<queue>` or `<queue>/dead`, except where said; either is known when the other is. An unknown queue is
 * empty; only `enqueue`, `attach`, `pause(true)` and `bind` to a position make one.
 */

import type { Position } from '../../shared/positions.ts'
import type { Durability } from '../../shared/protocol.ts'
import type { Body, ListQuery, Owner } from './contract-basics.ts'

export type JobState = 'ready' | 'delayed' | 'held'

/** Why a job is in the dead letters; `gap`: not a job, but what a binding could not copy. */
export type DeadReason = 'max_attempts' | 'rejected' | 'expired' | 'gap'

export interface StoredJobDraft {
  /** As of events, without `id`: `{"data":…}` with `key` and `headers` where they are set. */
  readonly body: Body
  /** Deduplicated per (queue, subject, id), as events are; that of a request until its `replyBy` at least. */
  readonly id?: string
  readonly key?: string
  /** 0 to 9, higher first. */
  readonly priority: number
  /** Falls due so long after now, or at that time; at once without. */
  readonly due?: { readonly delayMs: number } | { readonly at: number }
  readonly ttlMs: number
  /** Makes it a request: `replyBy` is so long after now. */
  readonly replyMs?: number
  /** Goes to the dead letters at once; counted as sent. Of bindings only. */
  readonly dead?: DeadReason
}

export interface Enqueue {
  readonly subject: string
  readonly drafts: readonly StoredJobDraft[]
  /** `too_many` where the queue's ready, delayed and held jobs, or the bytes of their bodies, would exceed it. */
  readonly limit: { readonly jobs: number; readonly bytes: number }
  /**
   * As of topics' `append`, per (queue, subject, name): a number already taken is a duplicate and has the first one's id;
   * `conflict` as there. Ids of the last 1,024 drafts are kept, for 7 days after the last use. Never with a binding.
   */
  readonly producer?: { readonly name: string; readonly seq: number }
  /** Letters and digits that nobody can guess, made for this call: part of the ids that the store gives. */
  readonly nonce: string
  /**
   * The step of a binding: the drafts are what `topic` has between the two positions. `conflict` unless `from` is where
   * the binding stands (see `bind`); then it stands at `to`. `drafts` may be empty.
   */
  readonly binding?: { readonly topic: string; readonly from: Position; readonly to: Position }
}

export interface Enqueued {
  /** One for each draft, in their order; a duplicate has the id of the first one. */
  readonly ids: readonly string[]
  readonly duplicates: number
  /** Which drafts they were, from 0, rising; only where there are any. */
  readonly duplicatesAt?: readonly number[]
  readonly durability: Durability
}

/** What happens to jobs that fail, as values: the hub's settings at this moment. */
export interface QueuePolicy {
  readonly maxAttempts: number
  /** Never empty; jitter is in it already. */
  readonly backoffMs: readonly number[]
  /** How long dead letters are kept. */
  readonly deadMs: number
}

export interface Claim {
  readonly holder: Owner
  readonly session: number
  /** At most so many jobs, 1 or more. */
  readonly max: number
  /** Bytes of bodies; at least one job is handed out, however large. */
  readonly bytes: number
  readonly leaseMs: number
  /** A lease and its extensions end so long after the hand-out at the latest. */
  readonly capMs: number
  /** Hand-outs of the queue a second, over all holders; evenly, with a burst of a tenth of a second, 1 at least. */
  readonly rate?: number
  /** Letters and digits that nobody can guess, made for this call: part of the leases. */
  readonly nonce: string
  readonly policy: QueuePolicy
}

export interface HeldJob {
  readonly id: string
  readonly lease: string
  /** When the lease lapses. */
  readonly expiresAt: number
  /** Failures before this delivery. */
  readonly attempts: number
  /** Hand-outs, this one included. */
  readonly deliveries: number
  readonly sentAt: number
  readonly replyBy?: number
  readonly body: Body
}

export interface Claimed {
  /** In the order of their hand-out. */
  readonly jobs: readonly HeldJob[]
  /** Jobs that could have been handed out at this moment beside these, as many as the rate allows, suspects included; 0 while paused. */
  readonly waiting: number
  /** Suspects among them. */
  readonly suspects: number
  /** When something may be claimed that cannot now: a due time, a lapse, the rate. `undefined`: when a notification tells. */
  readonly nextAt?: number
}

export type Settlement = { readonly id: string; readonly lease: string } & (
  | { readonly as: 'done'; readonly reply?: Body }
  /** `delayMs` in place of the policy's backoff. */
  | { readonly as: 'retry'; readonly delayMs?: number; readonly error?: string }
  | { readonly as: 'release' }
  | { readonly as: 'dead'; readonly error?: string }
  | { readonly as: 'extend'; readonly leaseMs: number }
)

/** Of an extension that the cap has cut: when the lease lapses. */
export type Settled = 'ok' | 'lost' | { readonly expiresAt: number }

/** A lease that its holder has back. */
export interface KeptLease {
  readonly id: string
  readonly lease: string
  readonly expiresAt: number
}

export interface Attaching {
  readonly leaseMs: number
  readonly holding?: readonly string[]
  /** The holder's session when it was looked at last; where it is another one now, `conflict`, and nothing is done. */
  readonly since?: number
  readonly policy: QueuePolicy
}

export interface Attached {
  /** Higher than every earlier one of this holder at this queue. */
  readonly session: number
  /** All that it holds now. */
  readonly held: readonly KeptLease[]
}

/** How a holder goes. `keep`: it takes no more, what it holds stays held. `release`: all it holds is released. */
export type Leaving = 'keep' | 'release' | { readonly graceMs: number }

export interface HistoryEntry {
  readonly at: number
  /** `sent` is not among them: it is `sentAt`. */
  readonly what: 'retry' | 'lapsed' | 'suspect' | 'release' | 'dead' | 'redriven'
  /** Who held it. */
  readonly holder?: Owner
  /** The error's text, or the reason. */
  readonly why?: string
}

export interface JobInfo {
  readonly id: string
  readonly state: JobState
  readonly subject: string
  readonly key?: string
  readonly priority: number
  readonly attempts: number
  readonly deliveries: number
  readonly sentAt: number
  /** When it is due; of a `ready` job when it was. */
  readonly dueAt: number
  /** When it goes to the dead letters if it still waits. `undefined` in the dead letters. */
  readonly ttlAt?: number
  readonly replyBy?: number
  /** Of a held job. */
  readonly holder?: Owner
  readonly expiresAt?: number
  readonly suspect: boolean
  /** The id of the job that is first in its key's line, where that is another one. */
  readonly behind?: string
  /** In the dead letters. */
  readonly dead?: { readonly reason: DeadReason; readonly error?: string; readonly at: number }
  /** The last 20, oldest first. */
  readonly history: readonly HistoryEntry[]
  /** `undefined`: the record's checksum does not fit. Such a job is not handed out: it is dead-lettered (`rejected`, error `damaged`). */
  readonly body: Body | undefined
}

export interface QueueInfo {
  readonly queue: string
  readonly counts: {
    readonly sent: number
    readonly ready: number
    readonly delayed: number
    readonly held: number
    readonly done: number
    readonly dead: number
    readonly removed: number
  }
  /** Bytes of the bodies of ready, delayed and held jobs. */
  readonly bytes: number
  /** When the ready job with the lowest place fell due. */
  readonly oldestReadyAt?: number
  /** Attached holders that were touched within a minute. */
  readonly consumers: number
  readonly paused: boolean
  /** Where its bindings stand. */
  readonly bindings: readonly { readonly topic: string; readonly position: Position }[]
}

/** What became of a request. `undefined` of an unknown one, or when `replyBy` is over. */
export type Answer =
  | { readonly state: 'waiting'; readonly replyBy: number }
  | { readonly state: 'done'; readonly reply?: Body }
  | { readonly state: 'failed'; readonly reason: DeadReason | 'removed'; readonly error?: string }

/** What a watch of a queue is told. Hints: they may be late, twice, out of order or missing. */
export type QueueNotification =
  /** There may be something to claim from this time on. Told when there was nothing before, or it comes earlier. */
  | { readonly kind: 'work'; readonly at: number }
  /** Leases that lapsed, or that their holder lost when it attached anew. */
  | { readonly kind: 'lapsed'; readonly holder: Owner; readonly ids: readonly string[] }
  /** Leases of a holder that is attached, which another one has ended by settling them. */
  | { readonly kind: 'settled'; readonly holder: Owner; readonly leases: readonly string[] }
  /** A newer session of this holder began, at the queue or at its dead letters. */
  | { readonly kind: 'session'; readonly holder: Owner; readonly session: number; readonly isDead: boolean }
  /** The answer to this request can be read. */
  | { readonly kind: 'answered'; readonly id: string }
  /** Paused, resumed, or bindings changed. */
  | { readonly kind: 'changed' }
  /** Notifications may have been lost (a connection was rebuilt). */
  | { readonly kind: 'lost' }

export interface Queues {
  /**
   * Adds jobs, all or none. `queue` is no `/dead`. The id of a job is its draft's; where a job with that id is there
   * already (in the queue or its dead letters) or an answer is kept under it, `<id>~<number>`; without a draft's, one that the store gives. Ids are
   * remembered as topics remember them (5 minutes, 1 M a subject), until the job is removed or purged, as a dead letter too:
   * then its id is a new one. Jobs of a binding just get their id, and those of a producer keep their numbers.
   * `too_many`: over `limit`. `conflict`: see `binding`.
   */
  enqueue(queue: string, enqueue: Enqueue): Promise<Enqueued>

  /**
   * Hands out jobs. `taken_over`: a newer session is known; `not_found`: the holder is not attached any more,
   * or the store forgot this session: it attaches anew.
   */
  claim(queue: string, claim: Claim): Promise<Claimed>

  /**
   * Ends or changes leases, each settlement by itself and in their order; one answer for each. A lease counts while no
   * later one of its job was handed out, the job is neither gone nor dead-lettered, and no settlement but `extend` has
   * ended it: it may have lapsed. Others are `lost`, except that the same lease and outcome again within 5 minutes of the
   * first is `ok` (an extension never).
   * - `done`: gone; `reply` is kept for the request until its `replyBy`.
   * - `retry`: a failure, also in what follows `delayMs`. Of a lapsed lease: nothing more, `ok`.
   * - `release`: given back, see above; no attempt. Of a lapsed lease: nothing more, `ok`.
   * - `dead`: to the dead letters (`rejected`); in `<queue>/dead` a failure, as `retry` without `delayMs`.
   * - `extend`: the lease lapses at now + `leaseMs`, at its cap at the latest: then the answer is when. A lapsed one is
   *   held again, `lost` where its cap is over.
   *
   * `by`: who asks. Other holders that are attached are told of leases of theirs that it ends.
   */
  settle(queue: string, settlements: readonly Settlement[], policy: QueuePolicy, by?: Owner): Promise<Settled[]>

  /**
   * Begins a session of a holder, which counts as a consumer from now on, and tells the queue's watches. What it still
   * holds stays its own, each lease for `leaseMs` more (the cap holds); with `holding`, leases not named there lapse now.
   */
  attach(queue: string, holder: Owner, options: Attaching): Promise<Attached>

  /** The newest session that is known of the holder; 0 where there is none. */
  session(queue: string, holder: Owner): Promise<number>

  /**
   * Ends a session; `release` is as if the holder settled so, but each job is `ready` at its place. With `graceMs` the leases lapse after that, or sooner as
   * they would. Nothing for a session older than the known one, nor for one that has ended.
   */
  detach(queue: string, holder: Owner, session: number, leaving: Leaving, policy: QueuePolicy): Promise<void>

  /**
   * These holders are there: of the last minute, see `consumers`. Holders without it (or `attach`) for longer are not
   * attached any more, and a touch does not change that.
   */
  touch(queue: string, holders: readonly Owner[]): Promise<void>

  /** Does what is due, a bounded part. `more`: call again at once. `nextAt` as of `claim`, whether paused or not. */
  turn(queue: string, policy: QueuePolicy): Promise<{ readonly more: boolean; readonly nextAt?: number }>

  /** Names of queues (no `/dead`) with something to turn at this time, the most overdue first. */
  overdue(limit: number): Promise<string[]>

  /**
   * Jobs in a state behind the one with the id `after`, by place, those without one by due time. At most `limit`; none
   * behind an id that is not there.
   */
  jobs(
    queue: string,
    query: { readonly state: JobState; readonly after?: string; readonly limit: number },
  ): Promise<JobInfo[]>

  job(queue: string, id: string): Promise<JobInfo | undefined>

  /** Takes a job away that waits; a request among them is `failed` (`removed`). `false` where it is held or not there. */
  remove(queue: string, id: string): Promise<boolean>

  /** Removes up to `limit` waiting jobs that came until `before`, that millisecond included; answers how many, 0 at the end. */
  purge(queue: string, query: { readonly before: number; readonly limit: number }): Promise<number>

  /**
   * Moves waiting dead letters back to the queue, `ready` at its end, attempts 0, no request any more; a `gap` stays.
   * `queue` is no `/dead`. How many it found.
   */
  redrive(queue: string, ids: readonly string[], options: { readonly ttlMs: number }): Promise<number>

  /** A paused queue hands nothing out and takes jobs. `false` when it was so already. */
  pause(queue: string, paused: boolean): Promise<boolean>

  answer(queue: string, id: string): Promise<Answer | undefined>

  /** `undefined` for an unknown queue. */
  info(queue: string): Promise<QueueInfo | undefined>

  /** Queues in the order of their names' bytes, without `/dead`. Reads no more than the page. */
  list(query: ListQuery): Promise<QueueInfo[]>

  /** Makes a binding at a position unless there is one, or with `undefined` ends it; answers where it stands now. */
  bind(queue: string, topic: string, position: Position | undefined): Promise<Position | undefined>

  /** Calls `listener` for what happens to the queue and its dead letters from the moment this resolves. The result stops it. */
  watch(queue: string, listener: (notification: QueueNotification) => void): Promise<() => void>
}
