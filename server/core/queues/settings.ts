/** What holds for a queue by its name, and the topics that queues are bound to. */

import type { Breaker, Enqueue, Keeping, QueuePolicy } from '../../store/contract/store.ts'
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

/** Durations in milliseconds. */
export interface QueueSettings {
  /** How long a lease lasts that is not extended. */
  readonly leaseMs: number
  /** A lease and its extensions end so long after the delivery. */
  readonly maxLeaseMs: number
  readonly maxAttempts: number
  /** The delay after the first failure: a random part of it, doubled at each further one, at most `maxBackoffMs`. */
  readonly backoffMs: number
  readonly maxBackoffMs: number
  /** Of drafts that name none. */
  readonly priority: number
  readonly ttlMs: number
  /** How long dead letters are kept. */
  readonly deadMs: number
  /** What is kept of finished jobs: so many that are done and as many that were removed, for so long. */
  readonly keepDone: KeepDone
  /** What the queue takes in: jobs, and bytes of their bodies. */
  readonly maxJobs: number
  readonly maxBytes: number
  /** How long the jobs of a lost connection wait for their consumer to come back. */
  readonly reconnectGraceMs: number
  /** Jobs a second, on all nodes together; `Infinity`: as fast as they are taken. */
  readonly rate: number
  /** Deliveries go in turns over groups: a job's group is its `group`, else its `key`. */
  readonly fair: boolean
  /** Jobs a second of each group; groups then take turns, too. */
  readonly groupRate: number
  /** Dead letters within a minute at which the queue pauses itself. */
  readonly breaker: Breaker | 'off'
  /** What happens to the jobs is told in the topic `$queue.<name>`. */
  readonly events: boolean
  /** Topics whose events are copied into the queue. */
  readonly from: readonly BindingSettings[]
  /** What the bindings may make their topics keep beyond their retention, in bytes of all bodies of a topic. */
  readonly maxHoldBytes: number
  /** What the data of drafts has to fit. */
  readonly schema?: JsonSchema
}

export interface KeepDone {
  /** 0 keeps none. */
  readonly count: number
  readonly ageMs: number
}

export interface BindingSettings {
  readonly topic: string
  /** Where a new binding begins. */
  readonly from: 'start' | 'end'
}

/** What one pattern sets; everything it leaves out comes from less specific ones. */
export type QueueOverrides = Partial<QueueSettings>

export type QueuePatterns = ByPattern<QueueOverrides>

const MINUTE_MS = 60_000
const DAY_MS = 86_400_000

/** Times that are longer are taken as this: a hundred years. */
export const LONGEST_MS = 36_525 * DAY_MS

export const DEFAULT_QUEUE_SETTINGS: QueueSettings = {
  leaseMs: 30_000,
  maxLeaseMs: 30 * MINUTE_MS,
  maxAttempts: 10,
  backoffMs: 1_000,
  maxBackoffMs: 5 * MINUTE_MS,
  priority: 4,
  ttlMs: 7 * DAY_MS,
  deadMs: 14 * DAY_MS,
  keepDone: { count: 1_000, ageMs: DAY_MS },
  maxJobs: 1_000_000,
  maxBytes: 2 ** 30,
  reconnectGraceMs: 5_000,
  rate: Number.POSITIVE_INFINITY,
  fair: false,
  groupRate: Number.POSITIVE_INFINITY,
  breaker: 'off',
  events: false,
  from: [],
  maxHoldBytes: 2 ** 30,
}

export interface HubQueueSettings extends Omit<PatternSettings<QueueSettings, QueueOverrides>, 'of' | 'ofWith'> {
  /** What holds for this queue now; for `<queue>/dead` what holds for the queue. */
  forQueue(queue: string): QueueSettings
  /** What would hold with this stored for exactly this name. */
  forQueueWith(queue: string, overrides: QueueOverrides): QueueSettings
  /** Queues that are bound to topics, by name. */
  bound(): ReadonlyMap<string, readonly BindingSettings[]>
  /** What bound queues may make a topic keep, in bytes; `undefined` where none is bound to it. */
  holdBytes(topic: string): number | undefined
}

const NUMBERS = Object.entries(DEFAULT_QUEUE_SETTINGS).flatMap(([name, value]) =>
  typeof value === 'number'
    ? [name as Exclude<keyof QueueSettings, 'from' | 'schema' | 'fair' | 'breaker' | 'keepDone' | 'events'>]
    : [],
)

const QUEUES: Kind<QueueSettings, QueueOverrides> = {
  prefix: 'queue:',
  most: MAX_STORED,
  prepare: (overrides) => prepareSchema(overrides),
  merge: (overrides) => Object.assign({}, DEFAULT_QUEUE_SETTINGS, ...overrides),
  toDocument: (overrides) =>
    Object.fromEntries(Object.entries(overrides).map(([name, value]) => [name, numberToDocument(value)])),
  fromDocument(document) {
    if (!isRecord(document)) return {}
    const known: { -readonly [Name in keyof QueueSettings]?: QueueSettings[Name] } = {}
    for (const name of NUMBERS) {
      const value = numberFromDocument(document[name])
      if (value !== undefined) known[name] = value
    }
    for (const name of ['fair', 'events'] as const) {
      const value = document[name]
      if (typeof value === 'boolean') known[name] = value
    }
    if (document.breaker === 'off' || isBreaker(document.breaker)) known.breaker = document.breaker
    if (isKeepDone(document.keepDone)) known.keepDone = document.keepDone
    if (isSchema(document.schema)) known.schema = document.schema
    if (Array.isArray(document.from)) known.from = document.from.filter(isBinding)
    return known
  },
}

export async function openQueueSettings(options: PatternSettingsOptions<QueueOverrides>): Promise<HubQueueSettings> {
  const { of, ofWith, patternOf, ...settings } = await openPatternSettings(QUEUES, options)
  let bound = readBound()
  let holds = readHolds()
  settings.onChange(() => {
    bound = readBound()
    holds = readHolds()
  })

  function readBound(): ReadonlyMap<string, readonly BindingSettings[]> {
    // Bindings are set by exact names only.
    const names = new Set([...Object.keys(settings.file), ...Object.keys(settings.stored())])
    const found = new Map<string, readonly BindingSettings[]>()
    for (const name of [...names].filter((name) => !name.includes('*')).sort()) {
      const { from } = of(name)
      if (from.length > 0) found.set(name, from)
    }
    return found
  }

  function readHolds(): ReadonlyMap<string, number> {
    const found = new Map<string, number>()
    for (const [queue, bindings] of bound) {
      const { maxHoldBytes } = of(queue)
      for (const { topic } of bindings) found.set(topic, Math.max(found.get(topic) ?? 0, maxHoldBytes))
    }
    return found
  }

  return {
    ...settings,
    forQueue: (queue) => of(mainQueue(queue)),
    forQueueWith: ofWith,
    patternOf: (queue) => patternOf(mainQueue(queue)),
    bound: () => bound,
    holdBytes: (topic) => holds.get(topic),
  }
}

const DEAD = '/dead'

export function isDead(queue: string): boolean {
  return queue.endsWith(DEAD)
}

/** The queue whose dead letters these are; itself for another one. */
export function mainQueue(queue: string): string {
  return isDead(queue) ? queue.slice(0, -DEAD.length) : queue
}

/** More doublings than this are over every cap. */
const MAX_DOUBLINGS = 40

/** Finished jobs have this part of what the queue may hold, those that are done and those that were removed each. */
const KEPT_PART = 16

/** The settings as the store takes them, with a fresh roll of the jitter. */
export function policyOf(settings: QueueSettings): QueuePolicy {
  const { maxAttempts, backoffMs, maxBackoffMs, deadMs, breaker, events } = settings
  const keep = keepingOf(settings)
  const delays: number[] = []
  for (let n = 0; n < MAX_DOUBLINGS; n++) {
    const most = Math.min(maxBackoffMs, backoffMs * 2 ** n)
    delays.push(Math.round(most * Math.random()))
    if (most === 0 || most >= maxBackoffMs) break
  }
  const policy = { maxAttempts, backoffMs: delays, deadMs, grouped: isGrouped(settings), keep, events }
  return breaker === 'off' ? policy : { ...policy, breaker }
}

/** What a call that adds jobs takes of the settings. */
export function takenOf(settings: QueueSettings): Pick<Enqueue, 'limit' | 'grouped' | 'events'> {
  const { maxJobs, maxBytes, events } = settings
  return { limit: { jobs: maxJobs, bytes: maxBytes }, grouped: isGrouped(settings), events }
}

/** Whether deliveries go in turns over groups. */
function isGrouped({ fair, groupRate }: QueueSettings): boolean {
  return fair || groupRate !== Number.POSITIVE_INFINITY
}

/** What is kept of finished jobs, as the store takes it. */
export function keepingOf({ keepDone, maxBytes }: QueueSettings): Keeping {
  return { ...keepDone, bytes: Math.floor(maxBytes / KEPT_PART) }
}

function isKeepDone(value: unknown): value is KeepDone {
  return isRecord(value) && typeof value.count === 'number' && typeof value.ageMs === 'number'
}

function isBinding(value: unknown): value is BindingSettings {
  return isRecord(value) && typeof value.topic === 'string' && (value.from === 'start' || value.from === 'end')
}

function isBreaker(value: unknown): value is Breaker {
  return isRecord(value) && typeof value.share === 'number' && typeof value.min === 'number'
}
