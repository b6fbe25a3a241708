/** Types that both halves of the store's contract use. */

/**
 * An event's or a job's content, opaque to the store. `json` is the text of an object `{"data":…}` with `id`, `key` and
 * `headers` when they are set. When the data holds binary, `json` has `null` in its places, and `binaries` has the
 * bytes.
 */
export interface Body {
  readonly json: string
  readonly binaries?: readonly Binary[]
}

export interface Binary {
  /** The path from `data` to the bytes: property names and array indices; empty when `data` itself is binary. */
  readonly path: readonly (string | number)[]
  readonly bytes: Uint8Array
}

/** The owner of a cursor, producer or id: names are only unique within a subject. */
export interface Owner {
  readonly subject: string
  readonly client: string
}

export interface ListQuery {
  /** Names after this one, in the order of their bytes. */
  readonly after?: string
  /** At most this many. */
  readonly limit: number
}
