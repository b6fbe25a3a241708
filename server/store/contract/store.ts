/**
 * What the hub asks of a store. The prose here is the specification: the conformance suite in `test/store` tests every
 * engine against it, and compares each engine with a model in memory over random operations.
 *
 * For every method:
 * - It is atomic: other calls, on any node, happen wholly before it or wholly after it. When it rejects, it has done
 *   nothing, except where `unavailable` says that the outcome is unknown.
 * - When a writing method resolves, what it wrote has the durability that the store names. Reading methods and
 *   notifications never show anything that has not reached that durability yet.
 * - It rejects only with a `RepriseError`: `unavailable` (store away or closed), `storage_full` (a write that needs
 *   more room; reads and cursor commits go on), and the codes named at the method.
 * - While the store is away, a call waits, up to 5 seconds from when it was made, as long as nothing of it can have been
 *   done. Then it rejects with `unavailable`. An engine that is in the hub's own process is never away.
 * - The store sends nothing twice without the caller: a call whose answer was lost rejects with `unavailable`.
 * - Time is the store's: milliseconds since 1970 by its clock.
 *
 * Names are valid, because the hub has checked them. Retention and limits come as values: the store has no settings.
 */

import type { DroppedLog, Lineage, Position } from '../../../shared/positions.ts'
import type { Durability } from '../../../shared/protocol.ts'
import type { Body, ListQuery, Owner, PayloadChange, PayloadPlace, Rewritten } from './basics.ts'
import type { JobLoss } from './jobs.ts'
import type { QueuePolicy } from './policy.ts'
import type { Queues } from './queues.ts'
import type { Schedules } from './schedules.ts'

export type * from './basics.ts'
export type * from './children.ts'
export type * from './drafts.ts'
export type * from './finished.ts'
export type * from './jobPolicy.ts'
export type * from './jobs.ts'
export type * from './leases.ts'
export type * from './life.ts'
export type * from './policy.ts'
export type * from './queues.ts'
export type * from './schedules.ts'

/** A kept event. `damaged`: the record's checksum is wrong; its body is never delivered. */
export type StoredEvent =
  | { readonly offset: number; readonly at: number; readonly body: Body }
  | { readonly offset: number; readonly damaged: true }

/** What a topic keeps. All three bounds hold at once; `Infinity` removes a bound. */
export interface Retention {
  readonly events: number
  /** Bytes of bodies, counted as the codec's records without what encryption adds: the same in every engine. */
  readonly bytes: number
  readonly ageMs: number
  /** How far holds (see `hold`) may extend the topic beyond this retention, in bytes of all its bodies. Default 0. */
  readonly holdBytes?: number
}

/**
 * What is known of a log without reading it. The store has its own epochs, each starting after 0: they are the lineage
 * of an unborn topic (`first` 1, `head` 0), and a topic's lineage begins with those that the store had at its birth.
 * After the store was opened, the first birth of any topic begins a new epoch. So it shows when a store was lost or
 * restored.
 */
export interface Bounds {
  /** The present epoch, the last one of the lineage. */
  readonly epoch: string
  readonly lineage: Lineage
  /** Offset of the earliest kept event; `head + 1` when nothing is kept. */
  readonly first: number
  /** Offset of the last durable event; 0 before the first one. Never goes back within an epoch, outlives the data. */
  readonly head: number
  /**
   * The dropped logs of this topic, oldest first, so that their readers can be told what they missed; with the last 100
   * epochs of all of them together. Absent when there are none.
   */
  readonly dropped?: readonly DroppedLog[]
}

export interface StoredDraft {
  readonly body: Body
  /** Deduplicated per (topic, subject, id). */
  readonly id?: string
}

export interface Append {
  readonly subject: string
  /** Without any, `retain` is applied and nothing else, which needs no room: positions stay, head and lineage outlive it. */
  readonly drafts: readonly StoredDraft[]
  /** `seq` is the number of `drafts[0]`; the next draft has the next number. */
  readonly producer?: { readonly name: string; readonly seq: number }
  /** Applied in the same step after the drafts are stored: the excess is trimmed. */
  readonly retain: Retention
}

export interface Appended {
  readonly epoch: string
  /** One for each draft, in their order; a duplicate has the offset of the first one. */
  readonly offsets: readonly number[]
  readonly duplicates: number
  /** The places of the duplicates in the call, from 0, ascending; only when there are any. */
  readonly duplicatesAt?: readonly number[]
  /** Ids of the subject that were forgotten before their time, as it gave more than are remembered; only where there are any. */
  readonly forgottenIds?: number
  readonly durability: Durability
}

export interface Page extends Bounds {
  /** Consecutive kept offsets, ascending, none left out: a damaged record is present as `damaged`. */
  readonly events: readonly StoredEvent[]
}

export interface ReadBound {
  readonly events: number
  /** Bytes of bodies. At least one event is read, however large. */
  readonly bytes: number
}

export interface TopicInfo extends Bounds {
  readonly topic: string
  /** Kept events. */
  readonly events: number
  /** Bytes of the kept bodies. */
  readonly bytes: number
  /** The holds, by name, each with the offset after which it keeps events from being trimmed. Absent when none. */
  readonly holds?: readonly { readonly name: string; readonly offset: number }[]
}

/**
 * Where a new cursor is put: a position as it is, or the log's end or start at the moment of opening. `place`: there a known
 * one is put as well, forward or back.
 */
export type CursorStart = 'end' | 'start' | Position | { readonly place: Position }

export interface OpenedCursor extends Bounds {
  readonly position: Position
  /** The session that this opening began; higher than every known one of this owner on this topic. */
  readonly session: number
  /** `true` when the cursor was made by this call. */
  readonly created: boolean
  /** `true` when an earlier cursor of this owner expired; only the opening that makes the cursor anew tells it. */
  readonly expired: boolean
}

export interface CursorInfo extends Owner {
  readonly position: Position
  readonly session: number
  /** When it was last opened, committed or placed. */
  readonly usedAt: number
  /** Kept or future events that it has not seen: `head` less what it saw of the present log (0: unknown epoch). */
  readonly lag: number
}

/** What a watch is told. Hints: they may come late, twice, out of order or not at all; the log is the truth. */
export type Notification =
  /** These events became durable: all of one epoch, consecutive. `events` is empty when they are too many to carry. */
  | {
      readonly kind: 'appended'
      readonly epoch: string
      readonly head: number
      readonly events: readonly StoredEvent[]
    }
  /** The log was dropped or its continuity changed without an append: read it. */
  | { readonly kind: 'changed' }
  /** A newer session of this owner began. */
  | { readonly kind: 'session'; readonly owner: Owner; readonly session: number }
  /** Notifications may have been lost (a connection was rebuilt): compare with the log. */
  | { readonly kind: 'lost' }

export interface Topics {
  /**
   * Adds drafts at the head with consecutive offsets, all or none, in one step with these checks:
   * - `id`: a draft is a duplicate when this subject gave its `id` to this topic less than 5 minutes ago, counted from
   *   when the first one was stored, or earlier in the same call. It is not stored, and is answered with the first
   *   one's offset. At most 1 M ids are remembered; after each call the oldest are forgotten first.
   * - `producer`: the store keeps, per (topic, subject, name), the next number and the offsets of its last 1,024 drafts
   *   at least, for 7 days after the last use. Drafts with a number below the next one are duplicates, whatever their
   *   content is now, and are answered with what the first drafts got. One call may hold duplicates and new drafts.
   *   `conflict`: a number above the next one or before the producer's first, a duplicate whose offset is no longer kept,
   *   or a producer that is not known and does not start at 0 or 1. A new producer's first number may be 0 or 1.
   *   A refused call takes no numbers. A draft that is a duplicate by `id` takes its number.
   * - `at` is the same for all drafts and never before the `at` of the previous event.
   * - An unborn topic is born under the store's present epoch. When continuity with what is stored is not certain (the
   *   first append after the store was opened, a server's restart or failover, lost data), a new random epoch begins
   *   after the present head. A lineage keeps its last 1,000 epochs.
   * - Retention is applied afterwards, in the same step; the last event is never trimmed by its own append's `bytes`.
   */
  append(topic: string, append: Append): Promise<Appended>

  /**
   * Events after the offset `after`, in order, up to the bound, with the bounds of the same moment. When `after` is
   * below `first - 1`, the page begins at `first`; at or above the head it is empty. Reading an unborn topic writes
   * nothing.
   */
  read(topic: string, after: number, bound: ReadBound): Promise<Page>

  /** The offset of the last event with `at` before `time`: a reader that starts after it gets all from `time` on. */
  seek(topic: string, time: number): Promise<number>

  /**
   * Keeps the events after `offset` from being trimmed by any retention, until the hold is moved or ended with
   * `undefined`. It is for a queue that still has to copy them. While the kept bodies together have more bytes than
   * `retain.holdBytes`, a hold gives way, oldest events first. Events that the retention would keep anyway are never
   * trimmed because of a hold. The lowest of several holds counts. A hold outlives the data, but not a drop. A hold on
   * an unborn topic waits for its birth.
   */
  hold(topic: string, name: string, offset: number | undefined): Promise<void>

  /** Born topics. Reads no more than the page. */
  list(query: ListQuery): Promise<TopicInfo[]>

  /**
   * Removes events, ids and producers. The topic is unborn again, and its lineage and head are among `dropped`. The
   * lineage of its next log has no epoch of a dropped log: when the store has no other, it begins a new one. Cursors
   * stay, and resolve to what they missed. `false` when there was no topic.
   */
  drop(topic: string): Promise<boolean>

  /**
   * Calls `listener` for everything that happens to the topic from the moment this resolves, from any caller, after it
   * became durable. Within one topic and node, appends are told in the order of their offsets unless the engine can
   * lose notifications. The listener must not throw. The returned function stops it, at once and for good.
   */
  watch(topic: string, listener: (notification: Notification) => void): Promise<() => void>
}

export interface Cursors {
  /**
   * Begins a session: makes the cursor at `start` if there is none, raises its session number, and tells the topic's
   * listeners. An unborn topic stays unborn. A new cursor needs room (`storage_full`), a known one does not.
   * `since`: the owner's session when the caller last looked. When it is another one now: `conflict`, and nothing is
   * done. A start to `place` is refused as a position for `commit` is.
   */
  open(topic: string, owner: Owner, start: CursorStart, since?: number): Promise<OpenedCursor>

  /** The newest known session of the owner; 0 when there is none. */
  session(topic: string, owner: Owner): Promise<number>

  /**
   * Moves the cursor to `position` if that is further, and answers where the cursor is then. Positions are compared by
   * log, then by trusted offset (see shared/positions), so a cursor whose tail was lost can move on from the end of its
   * epoch. At the same offset a later epoch is further, so what was lost in between is not told again. What was seen of
   * a dropped log counts.
   * `taken_over`: a newer session is known · `stale_epoch`: an epoch outside the lineage · `bad_request`: beyond the
   * end of its epoch · `not_found`: no such cursor. A session above the known one is one that the store forgot (a lost
   * tail, a failover, a restored copy): it continues, and counts from now on. When its cursor was forgotten with it and
   * no session that high is known, the cursor is made again (`storage_full` when there is no room).
   * Commits that wait are done behind what else waits, except for later calls of their cursor. Those of one session may be
   * done as one, and are then answered alike.
   */
  commit(topic: string, owner: Owner, session: number, position: Position): Promise<Position>

  /**
   * Cursors of a topic, in the order of subject and client, after `after`. `behind`: only those with this lag or more.
   */
  list(
    topic: string,
    query: { readonly after?: Owner | undefined; readonly limit: number; readonly behind?: number },
  ): Promise<CursorInfo[]>

  /** Deletes a cursor without a note; its session is over. `false` when there was none. */
  forget(topic: string, owner: Owner): Promise<boolean>
}

export interface Settings {
  /** All stored documents by key. They are small: the hub keeps them in memory. */
  all(): Promise<ReadonlyMap<string, unknown>>
  /** Stores a JSON document under a key, or removes it with `undefined`. */
  put(key: string, value: unknown): Promise<void>
  /** Stores a document unless there is one under the key; answers whether it did. */
  add(key: string, value: unknown): Promise<boolean>
  /** Calls `listener` after a document may have changed, on any node. The returned function stops it. */
  watch(listener: () => void): () => void
}

/** What one call of `maintain` did. */
export interface Maintained {
  /** How many were forgotten. */
  readonly ids: number
  readonly producers: number
  readonly cursors: number
  /** `true` when there is more to do at once. */
  readonly more: boolean
  /** Of one queue: as in `claim`, whether it is paused or not. */
  readonly nextAt?: number
}

export interface Store {
  /** The durability that replies name when nothing was missing. */
  readonly durability: Durability
  readonly topics: Topics
  readonly cursors: Cursors
  readonly queues: Queues & Schedules
  readonly settings: Settings
  /** Resolves when the store answers: with its time. */
  ready(): Promise<number>
  /** Damage that was found since the store was opened, in sentences; the first hundred. */
  damage(): readonly string[]
  /**
   * Does what is due by itself, a bounded part at each call: fires the timers of queues, the most overdue ones first, and
   * forgets what has expired. `policyOf` is asked for each queue (no `/dead`) whose timers are fired.
   *
   * Ids expire after 5 minutes, producers after 7 days, cursors 30 days after their last use. What has expired counts as
   * gone whether it was forgotten or not, so it is looked for every 30 seconds only. An expired cursor leaves a note for
   * a year, which `open` tells. Of queues, ids are forgotten, settled leases, answers whose `replyBy` has passed, and
   * consumers that are gone. `more` is also true while garbage of trims and drops is left.
   *
   * With `queue`, which may be a `/dead`, it fires the timers of that one, due or not, and does nothing else.
   */
  maintain(policyOf: (queue: string) => QueuePolicy, queue?: string): Promise<Maintained>
  /**
   * Gives stored payloads to `change`, a bounded part at each call, and stores what it answers in their places. All else
   * stays as it is: offsets, ids, times, states, positions, what retention counts; a queue's bytes are those stored now.
   * A payload that is changed or removed meanwhile is left alone, and damaged ones are. Begins at `from` `''`. From there
   * to the end it has seen all that was stored at the beginning; a `from` that is not good any more begins anew.
   */
  rewrite(place: PayloadPlace, from: string, change: PayloadChange): Promise<Rewritten>
  /** Finishes what was accepted, then refuses everything with `unavailable`. Can be called twice. */
  close(): Promise<void>
}

/** What an engine needs from outside. */
export interface StoreContext {
  /** Milliseconds since 1970; a test's clock where the engine keeps time itself. Default `Date.now`. */
  readonly now?: () => number
  /** Receives what a person who runs the hub should know and no caller is told. */
  readonly warn?: (message: string, cause?: unknown) => void
  /**
   * Receives what calls of this store made of jobs beside their answers, once it is durable. Of several nodes one is
   * told. What a call did whose answer was lost is told to none.
   */
  readonly lost?: (queue: string, loss: JobLoss) => void
  /** Receives how many milliseconds each write took that may hold many calls, until it was durable. */
  readonly committed?: (ms: number) => void
}
