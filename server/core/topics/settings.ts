/** What holds for a topic by its name. How patterns are merged and stored is in core/settings.ts. */

import type { Retention } from '../../store/contract/store.ts'
import { isSchema, type JsonSchema, prepareSchema } from '../schema/schema.ts'
import {
  type ByPattern,
  isRecord,
  type Kind,
  MAX_STORED,
  numberFromDocument,
  numberToDocument,
  openPatternSettings,
  type PatternSettings,
  type PatternSettingsOptions,
} from '../settings.ts'

export interface TopicSettings {
  readonly retain: Retention
  /** What the data of drafts has to fit. */
  readonly schema?: JsonSchema
}

/** What one pattern sets; everything it leaves out comes from less specific ones. */
export interface TopicOverrides {
  readonly retain?: Partial<Retention>
  readonly schema?: JsonSchema
}

export type TopicPatterns = ByPattern<TopicOverrides>

export const DEFAULT_TOPIC_SETTINGS: TopicSettings = {
  retain: { events: 1_000_000, bytes: 2 ** 30, ageMs: 7 * 86_400_000 },
}

export interface HubSettings extends Omit<PatternSettings<TopicSettings, TopicOverrides>, 'of' | 'ofWith'> {
  /** What holds for this topic now. */
  forTopic(topic: string): TopicSettings
  /** What would hold with this stored for exactly this name. */
  forTopicWith(topic: string, overrides: TopicOverrides): TopicSettings
}

const RETAIN_FIELDS = ['events', 'bytes', 'ageMs'] as const

const TOPICS: Kind<TopicSettings, TopicOverrides> = {
  prefix: 'topic:',
  most: MAX_STORED,
  prepare: (overrides) => prepareSchema(overrides),
  merge(overrides) {
    const retain = Object.assign({}, DEFAULT_TOPIC_SETTINGS.retain, ...overrides.map(({ retain }) => retain))
    const schema = overrides.findLast(({ schema }) => schema !== undefined)?.schema
    return schema === undefined ? { retain } : { retain, schema }
  },
  toDocument({ retain, schema }) {
    const bounds = Object.entries(retain ?? {}).map(([field, value]) => [field, numberToDocument(value)])
    return {
      ...(retain === undefined ? {} : { retain: Object.fromEntries(bounds) }),
      ...(schema === undefined ? {} : { schema }),
    }
  },
  fromDocument(document) {
    if (!isRecord(document)) return {}
    const schema = isSchema(document.schema) ? { schema: document.schema } : {}
    const { retain } = document
    if (!isRecord(retain)) return schema
    const known: { -readonly [Field in keyof Retention]?: number } = {}
    for (const field of RETAIN_FIELDS) {
      const value = numberFromDocument(retain[field])
      if (value !== undefined) known[field] = value
    }
    return { retain: known, ...schema }
  },
}

/** `holdBytes`: what queues that are bound to a topic may make it keep; `undefined` of a topic that none is bound to. */
export async function openSettings(
  options: PatternSettingsOptions<TopicOverrides>,
  holdBytes: (topic: string) => number | undefined = () => undefined,
): Promise<HubSettings> {
  const { of, ofWith, ...rest } = await openPatternSettings(TOPICS, options)
  return {
    ...rest,
    forTopic: (topic) => holding(topic, of(topic)),
    forTopicWith: (topic, overrides) => holding(topic, ofWith(topic, overrides)),
  }

  function holding(topic: string, settings: TopicSettings): TopicSettings {
    const held = holdBytes(topic)
    return held === undefined ? settings : { ...settings, retain: { ...settings.retain, holdBytes: held } }
  }
}
