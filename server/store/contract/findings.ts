/** What a look at a store finds, in the words that `reprise doctor` prints. */

export interface Finding {
  /** What was looked at, in a word or two. */
  readonly what: string
  readonly state: 'ok' | 'warn' | 'fail'
  readonly text: string
  /** What is to be done. */
  readonly todo?: string
}

export interface Checkup {
  readonly findings: readonly Finding[]
  /** The store's settings by key, where they could be read; nothing was written to read them. */
  readonly documents?: ReadonlyMap<string, unknown>
}

export function ok(what: string, text: string): Finding {
  return { what, state: 'ok', text }
}

export function warn(what: string, text: string, todo: string): Finding {
  return { what, state: 'warn', text, todo }
}

export function fail(what: string, text: string, todo: string): Finding {
  return { what, state: 'fail', text, todo }
}
