/** The latest lines of one subscriber, newest first. Only these are kept, however many events come. */

import type { Gap } from '../../../client/index.ts'

export type Line =
  | {
      readonly kind: 'event'
      readonly key: number
      readonly offset: number
      readonly at: number
      readonly text: string
      readonly mark: 'live' | 'replayed'
      readonly again: boolean
    }
  | { readonly kind: 'gap'; readonly key: number; readonly gap: Gap }
  | { readonly kind: 'cut' | 'back'; readonly key: number; readonly text: string }

type WithoutKey<T> = T extends unknown ? Omit<T, 'key'> : never

const KEPT = 200

export class Feed {
  #lines: Line[] = []
  #key = 0

  add(line: WithoutKey<Line>): void {
    this.#lines.push({ ...line, key: this.#key++ } as Line)
    // Cut in bulk, as moving the row for each event would cost more than the event.
    if (this.#lines.length > 2 * KEPT) this.#lines = this.#lines.slice(-KEPT)
  }

  get newest(): readonly Line[] {
    return this.#lines.slice(-KEPT).reverse()
  }
}
