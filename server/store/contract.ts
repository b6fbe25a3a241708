/**
 * What the hub asks of a store. The prose here is the specification: the conformance suite in `test/store` holds every
 * engine to it, and a model in memory is compared with each engine over random operations.
 *
 * For every method:
 * - It is atomic: other calls, on any node, happen wholly before it or wholly after it. When it rejects, nothing of it
 *   was done, except where `unavailable` says that the outcome is unknown.
 * - When a writing method resolves, what it wrote has the durability that the store names. Reading methods and
 *   notifications never show what has not reached that durability yet.
 * - It rejects with a `RepriseError` only: `unavailable` (store away or closed), `storage_full` (a write that needs
 *   more room; reads and cursor commits go on), and the codes named at the method.
 * - Nothing is sent twice behind the caller's back: a call whose answer was lost rejects with `unavailable`.
 * - Time is the store's: milliseconds since 1970 by its clock.
 *
 * Names arrive valid (the hub has checked them), retention and limits arrive as values: the store has no settings.
 */

import type { DroppedLog, Lineage, Position } from '../../shared/positions.ts'
import type { Durability } from '../../shared/protocol.ts'
import type { Body, ListQuery, Owner } from './contract-basics.ts'
import type { Queues } from './contract-queues.ts'

export type * from './contract-basics.ts'
export type * from './contract-queues.ts'

/** A kept event. `damaged`: the record's checksum does not fit; its body is never handed out. */
export type StoredEvent =
  | { readonly offset: number; readonly at: number; readonly body: Body }
  | { readonly offset: number; readonly damaged: true }

/** What a topic keeps. All three hold at once; `Infinity` where one does not matter. */
export interface Retention {
  readonly events: number
  /** Bytes of bodies, counted as the codec's records: the same in every engine. */
  readonly bytes: number
  readonly ageMs: number
  /** What holds (see `hold`) may make the topic keep beyond this retention, in bytes of all its bodies. Default 0. */
  readonly holdBytes?: number
}

/**
 * What is known of a log without reading it. The store has epochs of its own, each starting after 0: they are the
 * lineage of an unborn topic (`first` 1, `head` 0), and a topic's lineage begins with those it was born under. The first
 * birth of any topic after the store was opened begins a new one, so that what a lost or restored store forgot shows.
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
   * The logs of this topic that were dropped, oldest first, so that their readers can be told what they missed: with the
   * last 100 epochs of them all. Absent where there are none.
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
  readonly drafts: readonly StoredDraft[]
  /** `seq` is the number of `drafts[0]`, the next draft has the next number. */
  readonly producer?: { readonly name: string; readonly seq: number }
  /** Applied in the same step after the drafts are in: what exceeds it is trimmed. */
  readonly retain: Retention
}

export interface Appended {
  readonly epoch: string
  /** One for each draft, in their order; a duplicate has the offset of the first one. */
  readonly offsets: readonly number[]
  readonly duplicates: number
  /** Which drafts they were, from 0, rising; only where there are any. */
  readonly duplicatesAt?: readonly number[]
  readonly durability: Durability
}

export interface Page extends Bounds {
  /** Consecutive kept offsets, ascending, none left out: a damaged record is there as `damaged`. */
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
  /** Who holds events back from being trimmed, and behind which offset; by name. Absent when nobody. */
  readonly holds?: readonly { readonly name: string; readonly offset: number }[]
}

/** Where a new cursor is put: a position as it is, or the log's end or start in the moment of opening. */
export type CursorStart = 'end' | 'start' | Position

export interface OpenedCursor extends Bounds {
  readonly position: Position
  /** The session that this opening began; higher than every known one of this owner on this topic. */
  readonly session: number
  /** `true` when the cursor was made by this call. */
  readonly created: boolean
  /** `true` when an earlier cursor of this owner expired; told once, by the opening that makes it anew. */
  readonly expired: boolean
}

export interface CursorInfo extends Owner {
  readonly position: Position
  readonly session: number
  /** Last opened, committed or placed. */
  readonly usedAt: number
  /** Kept or future events it has not seen: `head` less what it has seen of the present log (0 for an unknown epoch). */
  readonly lag: number
}

/** What a watch is told. Hints: they may be late, twice, out of order or missing; the log is the truth. */
export type Notification =
  /** These events became durable, all of one epoch, consecutive. `events` is empty where they were too many to carry. */
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
   * Adds drafts at the head with consecutive offsets, all or none, in one step with its checks:
   * - `id`: one that this subject gave to this topic less than 5 minutes ago, counted from when it was stored (at most
   *   1 M of them; after each call the oldest are forgotten first), or earlier in the same call, is a duplicate: not stored, answered with the first one's offset.
   * - `producer`: the store keeps, per (topic, subject, name), the next number and the offsets of its last 1,024 drafts
   *   at least, for 7 days after the last use. Numbers below the next one are duplicates, whatever comes under them now,
   *   and answer what their first drafts got; a call may be part duplicate, part new. `conflict`: a number above the next one, a duplicate whose offset is no longer kept, or a producer that
   *   is not known and does not start at 0 or 1. A new producer's first number may be 0 or 1.
   *   The numbers of a refused call are not taken. A draft that is a duplicate by `id` takes its number.
   * - `at` is the same for all and never before that of the event before.
   * - An unborn topic is born under the store's present epoch. Where continuity with what is stored is not certain (the
   *   first append after the store was opened, a server's restart or failover, lost data), a new random epoch begins
   *   behind the present head. A lineage keeps its last 1,000 epochs.
   * - Retention is applied afterwards, in the same step; the last event is never trimmed by its own append's `bytes`.
   */
  append(topic: string, append: Append): Promise<Appended>

  /**
   * Events behind the offset `after`, in order, up to the bound, with the bounds of the same moment. When `after` lies
   * below `first - 1` the page begins at `first`; at or above the head it is empty. Reading an unborn topic writes
   * nothing.
   */
  read(topic: string, after: number, bound: ReadBound): Promise<Page>

  /** The offset of the last event with `at` before `time`: a reader behind it gets all from `time` on. */
  seek(topic: string, time: number): Promise<number>

  /** Removes what exceeds the retention. Positions stay recoverable: head and lineage outlive the data. */
  trim(topic: string, retain: Retention): Promise<Bounds>

  /**
   * Keeps the events behind `offset` from being trimmed by any retention, until it is moved on or ended with `undefined`:
   * for a queue that still has to copy them. A hold gives way, oldest events first, while the kept bodies together have
   * more bytes than `retain.holdBytes`; events that the retention would keep anyway are never taken for a hold's sake.
   * Of several holds the lowest counts. Holds outlive the data, not a drop; one on an unborn topic waits for its birth.
   */
  hold(topic: string, name: string, offset: number | undefined): Promise<void>

  /** `undefined` for a topic that is unborn or dropped. */
  info(topic: string): Promise<TopicInfo | undefined>

  /** Born topics in the order of their names' bytes. Reads no more than the page. */
  list(query: ListQuery): Promise<TopicInfo[]>

  /**
   * Removes events, ids and producers; the topic is unborn again, and its lineage and head are among `dropped`. Its next
   * lineage has no epoch of a dropped one, for which the store begins a new one where it has none. Cursors stay, and
   * resolve to what they missed. `false` when there was none.
   */
  drop(topic: string): Promise<boolean>

  /**
   * Calls `listener` for everything that happens to the topic from the moment this resolves, whoever did it, after it
   * became durable. Within one topic and node, appends are told in the order of their offsets unless the engine can
   * lose notifications. The listener must not throw. The result stops it, at once and for good.
   */
  watch(topic: string, listener: (notification: Notification) => void): Promise<() => void>
}

export interface Cursors {
  /**
   * Begins a session: makes the cursor at `start` if there is none, raises its session number, and tells the topic's
   * watches. An unborn topic stays unborn. Room for a new cursor is needed (`storage_full`), for a known one not.
   * `since`: the owner's session when it was looked at last; where it is another one now, `conflict`, and nothing is done.
   */
  open(topic: string, owner: Owner, start: CursorStart, since?: number): Promise<OpenedCursor>

  /** The newest session that is known of the owner; 0 where there is none. */
  session(topic: string, owner: Owner): Promise<number>

  /**
   * Moves the cursor to `position` if that is further, and answers where it is then. Compared by log, then by trusted
   * offset (see shared/positions), so a cursor whose tail was lost can move on from the end of its epoch; at the same
   * offset a later epoch is further, so what was lost in between is not told again. What was seen of a dropped log counts.
   * `taken_over`: a newer session is known · `stale_epoch`: an epoch outside the lineage · `bad_request`: beyond the
   * end of its epoch · `not_found`: no such cursor. A session above the known one is one that the store forgot (a lost
   * tail, a failover, a restored copy): it goes on, and counts from now on. Where its cursor was forgotten with it and
   * no session that high is known, the cursor is made again (`storage_full` where there is no room).
   */
  commit(topic: string, owner: Owner, session: number, position: Position): Promise<Position>

  /** Places a cursor, back or forth, as a new session; makes it if there is none. Errors as for `commit`. */
  place(topic: string, owner: Owner, position: Position): Promise<OpenedCursor>

  /** Cursors of a topic, in the order of subject and client, behind `after`. `behind`: only those with this lag or more. */
  list(
    topic: string,
    query: { readonly after?: Owner; readonly limit: number; readonly behind?: number },
  ): Promise<CursorInfo[]>

  /** Forgets a cursor without a note; its session is over. `false` when there was none. */
  forget(topic: string, owner: Owner): Promise<boolean>
}

export interface Settings {
  /** All stored documents by key. Small: they are kept in the hub's memory. */
  all(): Promise<ReadonlyMap<string, unknown>>
  /** Stores a JSON document under a key, or removes it with `undefined`. */
  put(key: string, value: unknown): Promise<void>
  /** Calls `listener` after a document may have changed, on any node. The result stops it. */
  watch(listener: () => void): () => void
}

/** What a sweep did. */
export interface Swept {
  readonly ids: number
  readonly producers: number
  readonly cursors: number
  /** `true` when there is more to do at once. */
  readonly more: boolean
}

export interface Store {
  readonly engine: 'lmdb' | 'redis'
  /** What is named in replies when nothing was missing. */
  readonly durability: Durability
  readonly topics: Topics
  readonly cursors: Cursors
  readonly queues: Queues
  readonly settings: Settings
  /** The store's clock. */
  now(): Promise<number>
  /** What was found damaged since the store was opened, in sentences; the first hundred. */
  damage(): readonly string[]
  /**
   * Forgets what is over its time, a bounded part at each call: ids after 5 minutes, producers after 7 days, cursors 30
   * days after their last use. What is over its time counts as gone whether it was swept or not. An expired cursor
   * leaves a note for a year, which `open` tells. Of queues: ids, the memory of settled leases, answers whose `replyBy`
   * is over, holders that are gone. `more` also while something is left that trims and drops made garbage.
   */
  sweep(): Promise<Swept>
  /** Finishes what was accepted, then refuses everything with `unavailable`. Safe to call twice. */
  close(): Promise<void>
}

/** What an engine needs from outside. */
export interface StoreContext {
  /** Milliseconds since 1970; a test's clock where the engine keeps time itself. Default `Date.now`. */
  readonly now?: () => number
  /** Told of what a person running the hub should know and no caller is told. */
  readonly warn?: (message: string, cause?: unknown) => void
}
