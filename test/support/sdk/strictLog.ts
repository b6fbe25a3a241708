/** A topic's log with the store's rule for producers: numbers are taken strictly in a row, once. */

import type { Draft, ProducerSeq, Published } from '../../../shared/protocol.ts'

export class StrictLog {
  readonly kept: unknown[] = []
  readonly #producers = new Map<string, number[]>()
  readonly #forgotten = new Set<string>()

  /** `undefined` is a conflict. */
  append(drafts: readonly Draft[], { producer, seq }: ProducerSeq): Published | undefined {
    if (this.#forgotten.has(producer)) return undefined
    const row = this.#producers.get(producer) ?? []
    const next = row.length + 1
    if (seq > next) return undefined
    const offsets: number[] = []
    let duplicates = 0
    for (const [i, draft] of drafts.entries()) {
      const known = row[seq - 1 + i]
      if (known === undefined) row.push(this.kept.push(draft.data))
      else duplicates++
      offsets.push(row[seq - 1 + i] ?? 0)
    }
    this.#producers.set(producer, row)
    return { epoch: 'a', offsets, duplicates, durability: 'fsync' }
  }

  /**
   * As after seven days. A real store would take a forgotten row that begins at 1 again for a new one; the SDK does not
   * send it so late, which is tested elsewhere.
   */
  forget(): void {
    for (const name of this.#producers.keys()) this.#forgotten.add(name)
    this.#producers.clear()
  }
}
