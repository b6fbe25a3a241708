/**
 * What holds for a name: defaults, then the configuration file's patterns, then what was stored through the API. Owns the
 * merging and its cache; values arrive validated, what the store hands back is read with tolerance.
 */

import { RepriseError } from '../../shared/errors.ts'
import type { Settings as Documents } from '../store/contract/store.ts'
import { matcher } from './patterns.ts'

/** For `most` of a kind: what is stored is kept in memory, and read anew with each change. */
export const MAX_STORED = 5_000
/** Each is tried for each name. */
const MAX_WILD = 1_000
/** Names whose settings are remembered; the one remembered longest is forgotten first. */
export const MAX_REMEMBERED = 10_000
const ROOM_RETRY_MS = 60_000
/** Documents that are looked at in one turn. */
const PIECE = 200
/** Between two readings, so many times as long as one took. */
const REST = 2

/** Settings by pattern. `*` stands for any run of characters. */
export type ByPattern<Overrides> = Readonly<Record<string, Overrides>>

export interface PatternSettings<Value, Overrides> {
  /** What holds for this name now. Cheap: answers are remembered until a setting changes. */
  of(name: string): Value
  /** What would hold with this stored for exactly this name. */
  ofWith(name: string, overrides: Overrides): Value
  /** The most specific pattern that holds for this name; `undefined` where none does. As cheap. */
  patternOf(name: string): string | undefined
  /** The configuration file's settings, by pattern. */
  readonly file: ByPattern<Overrides>
  /** What is stored through the API, by pattern. */
  stored(): ByPattern<Overrides>
  /** Replaces what is stored for a pattern, or removes it with `undefined`. In force on this node when it resolves. */
  put(pattern: string, overrides: Overrides | undefined): Promise<void>
  /** Calls `listener` after what is stored has changed, on whichever node. The result stops it. */
  onChange(listener: () => void): () => void
  close(): void
}

export interface PatternSettingsOptions<Overrides> {
  /** The configuration file's patterns. */
  readonly file?: ByPattern<Overrides>
  readonly store: Documents
  /** Told when stored settings cannot be read again; the last ones stay in force. */
  readonly warn?: (message: string, cause?: unknown) => void
}

/** What is peculiar to one kind of name. */
export interface Kind<Value, Overrides> {
  /** Before the pattern in the stored documents' keys. */
  readonly prefix: string
  merge(overrides: readonly Overrides[]): Value
  toDocument(overrides: Overrides): unknown
  /** What this version understands of a stored document; a newer hub may have written more. */
  fromDocument(document: unknown): Overrides
  /** Names and patterns that may be stored. */
  readonly most?: number
  /** Waited for before they are in force. */
  prepare?(overrides: Overrides): Promise<void>
}

export async function openPatternSettings<Value, Overrides>(
  kind: Kind<Value, Overrides>,
  options: PatternSettingsOptions<Overrides>,
): Promise<PatternSettings<Value, Overrides>> {
  const { file = {}, store, warn } = options
  const fileLayer = layer(file)
  const listeners = new Set<() => void>()
  const remembered = new Map<string, { readonly value: Value; readonly pattern: string | undefined }>()
  let stored: ByPattern<Overrides> = {}
  /** Their documents as JSON. */
  let texts: ReadonlyMap<string, string> = new Map()
  let storedLayer = layer(stored)
  /** Patterns on their way into the store. */
  const coming = new Set<string>()
  let reading: Promise<void> | undefined
  let readAgain = false

  async function read(): Promise<void> {
    const documents = await store.all()
    const next: Record<string, Overrides> = {}
    const nextTexts = new Map<string, string>()
    let [isOther, looked] = [false, 0]
    for (const [key, document] of documents) {
      looked += 1
      if (looked % PIECE === 0) await turnOver()
      if (!key.startsWith(kind.prefix)) continue
      const pattern = key.slice(kind.prefix.length)
      const [text, known] = [JSON.stringify(document), stored[pattern]]
      nextTexts.set(pattern, text)
      // What says the same stays the same object: a schema is compiled once.
      if (known !== undefined && texts.get(pattern) === text) {
        next[pattern] = known
        continue
      }
      isOther = true
      next[pattern] = kind.fromDocument(document)
      await kind.prepare?.(next[pattern])
    }
    if (!isOther && nextTexts.size === texts.size) return
    stored = next
    texts = nextTexts
    storedLayer = layer(next)
    remembered.clear()
    for (const listener of listeners) listener()
  }

  /** One reading at a time; a call during one makes another follow, so that what the caller knows of is in it. */
  function refresh(): Promise<void> {
    if (reading !== undefined) {
      readAgain = true
      return reading
    }
    reading = (async () => {
      for (;;) {
        readAgain = false
        const began = performance.now()
        await read()
        if (!readAgain) return
        // However often they change, most of the time is for other work.
        await new Promise((resolve) => setTimeout(resolve, REST * (performance.now() - began)))
      }
    })().finally(() => {
      reading = undefined
    })
    return reading
  }

  // Watched before the first reading: a change between the two is told, never missed.
  const unwatch = store.watch(() => {
    refresh().catch((cause: unknown) => warn?.('stored settings could not be read again; the last ones stay', cause))
  })
  try {
    await refresh()
  } catch (cause) {
    unwatch()
    throw cause
  }

  function holding(name: string): { readonly value: Value; readonly pattern: string | undefined } {
    const known = remembered.get(name)
    if (known !== undefined) return known
    const [inFile, inStore] = [matching(fileLayer, name), matching(storedLayer, name)]
    const value = kind.merge([...inFile, ...inStore].map(({ overrides }) => overrides))
    const [last, other] = [inStore.at(-1), inFile.at(-1)]
    const pattern = (literalsOf(last) < literalsOf(other) ? other : last)?.pattern
    const found = { value, pattern }
    if (remembered.size >= MAX_REMEMBERED) {
      for (const oldest of remembered.keys()) {
        remembered.delete(oldest)
        break
      }
    }
    remembered.set(name, found)
    return found
  }

  function checkRoom(pattern: string): void {
    const names = [...new Set([...texts.keys(), ...coming])]
    const wild = names.filter((name) => name.includes('*')).length
    if (pattern.includes('*') && wild >= MAX_WILD) throw noRoom(`${MAX_WILD} patterns with *`)
    const { most = Number.POSITIVE_INFINITY } = kind
    if (names.length >= most) throw noRoom(`${most} names and patterns`)
  }

  return {
    of: (name) => holding(name).value,
    ofWith(name, overrides) {
      const others = matching(storedLayer, name).filter(({ pattern }) => pattern !== name)
      return kind.merge([...[...matching(fileLayer, name), ...others].map((rule) => rule.overrides), overrides])
    },
    patternOf: (name) => holding(name).pattern,
    file,
    stored: () => stored,
    async put(pattern, overrides) {
      if (overrides !== undefined && !texts.has(pattern) && !coming.has(pattern)) checkRoom(pattern)
      coming.add(pattern)
      try {
        await store.put(kind.prefix + pattern, overrides === undefined ? undefined : kind.toDocument(overrides))
        await refresh()
      } finally {
        coming.delete(pattern)
      }
    },
    onChange(listener) {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
    close() {
      unwatch()
      listeners.clear()
    },
  }
}

function noRoom(has: string): RepriseError {
  const text = `settings are stored for ${has}, which is the limit: remove some, or set a pattern`
  return new RepriseError('too_many', text, { retryAfterMs: ROOM_RETRY_MS })
}

/** Lets others have their turn. */
async function turnOver(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve))
}

interface Rule<Overrides> {
  readonly pattern: string
  readonly literals: number
  readonly matches: (name: string) => boolean
  readonly overrides: Overrides
}

interface Layer<Overrides> {
  /** Those with `*`, from the least to the most specific: by literal characters, then by name. */
  readonly wild: readonly Rule<Overrides>[]
  /** Those for exactly one name, which are more specific. */
  readonly exact: ReadonlyMap<string, Rule<Overrides>>
}

function layer<Overrides>(patterns: ByPattern<Overrides>): Layer<Overrides> {
  const rules = Object.entries(patterns).map(
    ([pattern, overrides]): Rule<Overrides> => ({
      pattern,
      literals: pattern.replaceAll('*', '').length,
      matches: matcher(pattern),
      overrides,
    }),
  )
  const isWild = ({ pattern }: Rule<Overrides>) => pattern.includes('*')
  return {
    wild: rules
      .filter(isWild)
      .sort((a, b) => a.literals - b.literals || wild(b.pattern) - wild(a.pattern) || (a.pattern < b.pattern ? -1 : 1)),
    exact: new Map(rules.filter((rule) => !isWild(rule)).map((rule) => [rule.pattern, rule])),
  }
}

function wild(pattern: string): number {
  return pattern.split('*').length - 1
}

function literalsOf(rule: Rule<unknown> | undefined): number {
  return rule?.literals ?? -1
}

function matching<Overrides>({ wild, exact }: Layer<Overrides>, name: string): Rule<Overrides>[] {
  const own = exact.get(name)
  const rules = wild.filter((rule) => rule.matches(name))
  return own === undefined ? rules : [...rules, own]
}

/** JSON has no `Infinity`: the word stands for it, in what is stored and in what is told. */
export function numberToDocument(value: unknown): unknown {
  return value === Number.POSITIVE_INFINITY ? 'unlimited' : value
}

export function numberFromDocument(document: unknown): number | undefined {
  if (document === 'unlimited') return Number.POSITIVE_INFINITY
  return typeof document === 'number' && document >= 0 ? document : undefined
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}
