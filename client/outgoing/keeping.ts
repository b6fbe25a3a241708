/**
 * What an outbox tells a store that outlives the page: which drafts wait, under which numbers they are sent, and which are
 * settled. A draft is never sent under a number that the store does not know, so that the next page sends it under the same.
 */

import type { Draft, ProducerSeq } from '../../shared/protocol.ts'
import { measureDraft } from './measure.ts'
import { type DraftKey, type Entry, entryOf, type Packet, packetsOf } from './packet.ts'

export interface KeptDraft {
  readonly key: DraftKey
  readonly topic: string
  readonly draft: Draft
  readonly at: number
  /** Until when it may be sent for the first time. */
  readonly expiresAt?: number
  /** Its own number. Without it the draft was never sent. */
  readonly row?: ProducerSeq & { readonly sentAt: number }
}

export interface DraftStore {
  nextKey(): DraftKey
  /** Resolves when they are kept, or cannot be. `strict`: also when the machine fails. */
  put(drafts: readonly KeptDraft[], strict: boolean): Promise<void>
  delete(key: DraftKey): void
}

/** Drafts of one earlier page, numbered in a row. */
export interface Row<R> {
  readonly producer: string
  readonly packets: Packet<R>[]
  readonly nextSeq: number
}

export class Keeping<R> {
  readonly #store: DraftStore
  readonly #topic: string
  #fresh: Entry<R>[] = []
  #last: Promise<void> = Promise.resolve()

  constructor(store: DraftStore, topic: string) {
    this.#store = store
    this.#topic = topic
  }

  /** Keeps it without a number, unless it is about to be sent. */
  add(entry: Entry<R>): void {
    entry.key = this.#store.nextKey()
    // Behind the turn in which an outbox packs what it may send.
    if (this.#fresh.push(entry) === 1) setTimeout(() => this.#keepFresh())
  }

  /** Resolves when it is known under which numbers these are sent, and all before them are. */
  sending({ entries, seq, sentAt }: Packet<R>, producer: string): Promise<void> {
    const changed: KeptDraft[] = []
    let known = false
    for (const [i, entry] of entries.entries()) {
      const number = `${producer} ${seq + i}`
      if (entry.keptAs === number) continue
      known ||= entry.keptAs !== undefined
      entry.keptAs = number
      changed.push(this.#draftOf(entry, { producer, seq: seq + i, sentAt }))
    }
    if (changed.length === 0) return this.#last
    const kept = this.#store.put(changed, known)
    this.#last = Promise.all([this.#last, kept]).then(() => {})
    return this.#last
  }

  settled({ key }: Entry<R>): void {
    if (key !== undefined) this.#store.delete(key)
  }

  #keepFresh(): void {
    const waiting = this.#fresh.filter((entry) => entry.keptAs === undefined && !entry.over)
    this.#fresh = []
    for (const entry of waiting) entry.keptAs = ''
    if (waiting.length > 0)
      void this.#store.put(
        waiting.map((entry) => this.#draftOf(entry)),
        false,
      )
  }

  #draftOf(entry: Entry<R>, row?: KeptDraft['row']): KeptDraft {
    const { key = this.#store.nextKey(), draft, at, expiresAt } = entry
    return { key, topic: this.#topic, draft, at, ...(expiresAt && { expiresAt }), ...(row && { row }) }
  }
}

/** What an outbox begins with: rows as they were sent, then what never was. */
export function restored<R>(drafts: readonly KeptDraft[]): { rows: Row<R>[]; waiting: Entry<R>[] } {
  const rows: { producer: string; seq: number; sentAt: number; entries: Entry<R>[] }[] = []
  const waiting: Entry<R>[] = []
  for (const { key, draft, at, expiresAt, row } of drafts) {
    const entry = entryOf<R>(draft, measureDraft(draft), at)
    entry.key = key
    entry.sent = row !== undefined
    if (expiresAt !== undefined) entry.expiresAt = expiresAt
    entry.keptAs = row === undefined ? '' : `${row.producer} ${row.seq}`
    // Whoever listens hears it: it is no error of this page.
    entry.outcome.catch(() => {})
    const last = rows.at(-1)
    if (row === undefined) waiting.push(entry)
    else if (last?.producer === row.producer && row.seq === last.seq + last.entries.length) last.entries.push(entry)
    else rows.push({ ...row, entries: [entry] })
  }
  return {
    rows: rows.map(({ producer, seq, sentAt, entries }) => {
      return { producer, packets: packetsOf(entries, seq, sentAt), nextSeq: seq + entries.length }
    }),
    waiting,
  }
}
