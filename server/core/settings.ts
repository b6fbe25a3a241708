/**
 * What holds for a topic by its name: defaults, then the configuration file's patterns, then what was stored through the
 * API. Owns the merging and its cache; values arrive validated, what the store hands back is read with tolerance.
 */

import type { Settings as Documents, Retention } from '../store/contract.ts'
import { matcher } from './patterns.ts'

export interface TopicSettings {
  readonly retain: Retention
}

/** What one pattern sets; everything it leaves out comes from less specific ones. */
export interface TopicOverrides {
  readonly retain?: Partial<Retention>
}

/** Settings by pattern. `*` stands for any run of characters. */
export type TopicPatterns = Readonly<Record<string, TopicOverrides>>

export const DEFAULT_TOPIC_SETTINGS: TopicSettings = {
  retain: { events: 1_000_000, bytes: 2 ** 30, ageMs: 7 * 86_400_000 },
}

export interface HubSettings {
  /** What holds for this topic now. Cheap: answers are remembered until a setting changes. */
  forTopic(topic: string): TopicSettings
  /** What is stored through the API, by pattern. */
  stored(): TopicPatterns
  /** Replaces what is stored for a pattern, or removes it with `undefined`. In force on this node when it resolves. */
  put(pattern: string, overrides: TopicOverrides | undefined): Promise<void>
  /** Calls `listener` after what is stored has changed, on whichever node. The result stops it. */
  onChange(listener: () => void): () => void
  close(): void
}

export interface SettingsOptions {
  /** The configuration file's patterns. */
  readonly file?: TopicPatterns
  readonly store: Documents
  /** Told when stored settings cannot be read again; the last ones stay in force. */
  readonly warn?: (message: string, cause?: unknown) => void
  /** Topics whose settings are remembered; the one remembered longest is forgotten first. Default 10,000. */
  readonly maxRemembered?: number
}

const DOCUMENT_PREFIX = 'topic:'

export async function openSettings(options: SettingsOptions): Promise<HubSettings> {
  const { file = {}, store, warn, maxRemembered = 10_000 } = options
  const fileLayer = layer(file)
  const listeners = new Set<() => void>()
  const remembered = new Map<string, TopicSettings>()
  let stored: TopicPatterns = {}
  let storedLayer = layer(stored)
  let reading: Promise<void> | undefined
  let readAgain = false

  async function read(): Promise<void> {
    const documents = await store.all()
    const next: Record<string, TopicOverrides> = {}
    for (const [key, document] of documents) {
      if (key.startsWith(DOCUMENT_PREFIX)) next[key.slice(DOCUMENT_PREFIX.length)] = fromDocument(document)
    }
    if (JSON.stringify(toSorted(next)) === JSON.stringify(toSorted(stored))) return
    stored = next
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
      do {
        readAgain = false
        await read()
      } while (readAgain)
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

  return {
    forTopic(topic) {
      const known = remembered.get(topic)
      if (known !== undefined) return known
      const settings = merge(DEFAULT_TOPIC_SETTINGS, [...matching(fileLayer, topic), ...matching(storedLayer, topic)])
      if (remembered.size >= maxRemembered) {
        for (const oldest of remembered.keys()) {
          remembered.delete(oldest)
          break
        }
      }
      remembered.set(topic, settings)
      return settings
    },
    stored: () => stored,
    async put(pattern, overrides) {
      await store.put(DOCUMENT_PREFIX + pattern, overrides === undefined ? undefined : toDocument(overrides))
      await refresh()
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

interface Rule {
  readonly matches: (topic: string) => boolean
  readonly overrides: TopicOverrides
}

/** Rules from the least to the most specific: by literal characters, an exact name last, then by name. */
function layer(patterns: TopicPatterns): readonly Rule[] {
  return Object.entries(patterns)
    .map(([pattern, overrides]) => ({ pattern, literals: pattern.replaceAll('*', '').length, overrides }))
    .sort((a, b) => a.literals - b.literals || wild(b.pattern) - wild(a.pattern) || (a.pattern < b.pattern ? -1 : 1))
    .map(({ pattern, overrides }) => ({ matches: matcher(pattern), overrides }))
}

function wild(pattern: string): number {
  return pattern.split('*').length - 1
}

function matching(rules: readonly Rule[], topic: string): TopicOverrides[] {
  return rules.filter((rule) => rule.matches(topic)).map((rule) => rule.overrides)
}

function merge(base: TopicSettings, overrides: readonly TopicOverrides[]): TopicSettings {
  return { retain: Object.assign({}, base.retain, ...overrides.map((override) => override.retain)) }
}

const RETAIN_FIELDS = ['events', 'bytes', 'ageMs'] as const

/** JSON has no `Infinity`: the word stands for it in the stored document. */
function toDocument(overrides: TopicOverrides): unknown {
  if (overrides.retain === undefined) return {}
  const entries = Object.entries(overrides.retain).map(([field, value]) => [
    field,
    value === Number.POSITIVE_INFINITY ? 'unlimited' : value,
  ])
  return { retain: Object.fromEntries(entries) }
}

/** What this version understands of a stored document; a newer hub may have written more. */
function fromDocument(document: unknown): TopicOverrides {
  const retain = isRecord(document) ? document.retain : undefined
  if (!isRecord(retain)) return {}
  const known: { -readonly [Field in keyof Retention]?: number } = {}
  for (const field of RETAIN_FIELDS) {
    const value = retain[field] === 'unlimited' ? Number.POSITIVE_INFINITY : retain[field]
    if (typeof value === 'number' && value >= 0) known[field] = value
  }
  return { retain: known }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}

/** Comparable whatever the order the store lists documents in. */
function toSorted(patterns: TopicPatterns): unknown {
  return Object.entries(patterns)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([pattern, overrides]) => [pattern, toDocument(overrides)])
}
