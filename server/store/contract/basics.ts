/** What both halves of the store's contract use: times that the prose names, and types. */

/** How long a call waits while the store is away. */
export const WAIT_MS = 5_000

/** Between two looks for what has expired. */
export const FORGET_MS = 30_000

/**
 * An event's or a job's content, opaque to the store. `json` is the text of an object `{"data":…}` with `id`, `key` and
 * `headers` when they are set. When the data holds binary, `json` has `null` in its places, and `binaries` has the
 * bytes.
 */
export interface Body {
  readonly json: string
  /** The same text as it is stored, where an engine has read it: who sends it on makes no string of it. */
  readonly utf8?: Utf8
  readonly binaries?: readonly Binary[]
}

/** Text in bytes that are somewhere, maybe among others. */
export interface Utf8 {
  readonly length: number
  /** Puts it into `target`, from `at` on. */
  copyTo(target: Buffer, at: number): void
}

export interface Binary {
  /** The path from `data` to the bytes: property names and array indices; empty when `data` itself is binary. */
  readonly path: readonly (string | number)[]
  readonly bytes: Uint8Array
}

/** Where payloads are kept: a topic, or a queue with its dead letters and the answers to its requests. */
export type PayloadPlace = { readonly topic: string } | { readonly queue: string }

/** What a stored payload shall be from now on; `undefined` leaves it. Neither throws. */
export interface PayloadChange {
  body(body: Body, kind: 'event' | 'job' | 'reply'): Body | undefined
  /** An error's, wherever it stands: in the dead letters, in a history, in an answer. */
  text(text: string): string | undefined
}

export interface Rewritten {
  /** Where the next call goes on; absent at the end. */
  readonly next?: string
  /** Payloads that were looked at, and those among them that are stored anew. */
  readonly seen: number
  readonly changed: number
}

/** The owner of a cursor, producer or id: names are only unique within a subject. */
export interface Owner {
  readonly subject: string
  readonly client: string
}

/** Those after a name, in the order of their names' bytes and at most so many; or those named, as far as they are there. */
export type ListQuery = PageQuery | { readonly names: readonly string[] }

export interface PageQuery {
  readonly after?: string | undefined
  readonly limit: number
}
