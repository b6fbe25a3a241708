/** The options of queues: what may be written in the file, given to `createHub` and put through the API. */

import { z } from 'zod'
import { messageOf, RepriseError } from '../../shared/errors.ts'
import { isName, nameRule } from '../../shared/names.ts'
import { DURATION_RULE, readBytes, readCount, readDurationMs, readSwitch } from '../../shared/units.ts'
import { checkPattern } from '../core/patterns.ts'
import {
  type BindingSettings,
  DEFAULT_QUEUE_SETTINGS,
  type KeepDone,
  LONGEST_MS,
  type QueueOverrides,
  type QueueSettings,
} from '../core/queues/settings.ts'
import type { JsonSchema } from '../core/schema/schema.ts'
import {
  bound,
  byPattern,
  type Duration,
  faultsOf,
  jsonSchema,
  known,
  optional,
  parse,
  positive,
  type Size,
  shown,
  value,
} from './checks.ts'

/** A topic by its name, from its end on; or with where a new binding begins. */
export type BindingOption = string | { readonly topic: string; readonly from?: 'start' | 'end' }

export interface QueueOptions {
  /** Topics whose events are copied into the queue. Of one queue by its name, not of a pattern. */
  readonly from?: readonly BindingOption[]
  /** How long a lease lasts that is not extended. Default 30 s. */
  readonly leaseMs?: Duration
  /** A lease and its extensions end so long after the delivery. Default 30 min. */
  readonly maxLeaseMs?: Duration
  /** Failures after which a job is dead-lettered. Default 10. */
  readonly maxAttempts?: number
  /** The delay after the first failure: a random part of it, doubled at each further one. Default 1 s. */
  readonly backoffMs?: Duration
  /** The longest such delay. Default 5 min. */
  readonly maxBackoffMs?: Duration
  /** 0 to 9, higher first, of drafts that name none. Default 4. */
  readonly priority?: number
  /** How long a job that is due may wait, of drafts that do not say. Default 7 d. */
  readonly ttlMs?: Duration
  /** How long dead letters are kept. Default 14 d. */
  readonly deadMs?: Duration
  /** What is kept of finished jobs; nothing with `false` or 0. Default `{ count: 1000, ageMs: '1d' }`. */
  readonly keepDone?: KeepDoneOption
  /** Jobs that the queue takes. Default 1,000,000. */
  readonly maxJobs?: number | 'unlimited'
  /** Bytes of their bodies. Default 1 GiB. */
  readonly maxBytes?: Size
  /** How long the jobs of a lost connection wait for their consumer to come back. Default 5 s. */
  readonly reconnectGraceMs?: Duration
  /** Jobs a second, on all nodes together. Default `'unlimited'`. */
  readonly rate?: number | 'unlimited'
  /** Deliveries go in turns over groups: a job's group is its `group`, else its `key`. Default `false`. */
  readonly fair?: boolean
  /** Jobs a second of each group, which then take turns, too. Default `'unlimited'`. */
  readonly groupRate?: number | 'unlimited'
  /**
   * Pauses the queue when more than this share of the jobs that ended within a minute, and at least `min` of them (default
   * 10), went to the dead letters. Default `'off'`.
   */
  readonly breaker?: { readonly share: number; readonly min?: number } | 'off'
  /** Tells what happens to the jobs in the topic `$queue.<name>`. Default `false`. */
  readonly events?: boolean
  /** What the bindings may make their topics keep beyond their retention. Default 1 GiB. */
  readonly maxHoldBytes?: Size
  /** JSON Schema (2020-12) of the data of drafts. */
  readonly schema?: JsonSchema
}

/** So many that are done, and as many that were removed, for so long; or only the number. */
export type KeepDoneOption = boolean | number | { readonly count?: number; readonly ageMs?: Duration }

const MAX_KEPT = 1_000_000
const MIN_LEASE_MS = 100
const MAX_LEASE_MS = 86_400_000
const MAX_BINDINGS = 1_000
const ONE_QUEUE = 'topics are bound to one queue by its name, not to a pattern with *'

const lease = value('a time from 100 ms to 24 h', (input) => {
  const ms = readDurationMs(input)
  return ms === undefined || ms < MIN_LEASE_MS || ms > MAX_LEASE_MS ? undefined : ms
})
/** Nobody waits longer than the longest time, and the store need not count so far. */
const longTime = (input: unknown) => {
  const ms = readDurationMs(input)
  return ms === undefined ? undefined : Math.min(ms, LONGEST_MS)
}
const time = value(DURATION_RULE, (input) => longTime(input) || undefined)
const timeOrNone = value(DURATION_RULE, longTime)
const size = bound('a size such as 1GiB', readBytes)

const priority = value('a priority: a whole number from 0 to 9', (input) => {
  const level = readCount(input)
  return level === undefined || level > 9 ? undefined : level
})

/** One in eleven days. */
const MIN_RATE = 0.000001
const MAX_RATE = 1_000_000

const rate = bound('a number of jobs a second, 0.000001 to 1000000', (input) => {
  const perSecond = typeof input === 'string' && /^\d+(\.\d+)?$/.test(input.trim()) ? Number(input) : input
  return typeof perSecond === 'number' && perSecond >= MIN_RATE && perSecond <= MAX_RATE ? perSecond : undefined
})

const BREAKER_MIN = 10
const share = value('a share above 0 and below 1, such as 0.5', (input) =>
  typeof input === 'number' && input > 0 && input < 1 ? input : undefined,
)
const breakerOptions = known({ share, min: optional(positive) })
const breaker = z.unknown().transform((input, context): QueueSettings['breaker'] => {
  if (input === 'off') return 'off'
  const read = breakerOptions.safeParse(input)
  if (read.success) return { share: read.data.share, min: read.data.min ?? BREAKER_MIN }
  const { issues } = read.error
  const { path = [], message = '' } = issues.find(({ code }) => code === 'unrecognized_keys') ?? issues[0] ?? {}
  const isGroup = typeof input === 'object' && input !== null && !Array.isArray(input)
  const rule = `${shown(input)} is neither off nor { share, min }`
  context.addIssue({ code: 'custom', path: [...path], message: isGroup ? message : rule })
  return z.NEVER
})

const yesOrNo = value('true or false', readSwitch)

/** Throws a sentence. */
function readBinding(input: unknown): BindingSettings {
  const given = typeof input === 'string' ? { topic: input } : input
  if (typeof given !== 'object' || given === null || !('topic' in given)) {
    throw new RepriseError('bad_request', `${shown(input)} is neither a topic nor { topic, from: 'start' | 'end' }`)
  }
  const { topic, from = 'end', ...rest } = given as { readonly topic: unknown; readonly from?: unknown }
  if (!isName(topic)) throw new RepriseError('bad_request', nameRule('the topic', topic))
  if (from !== 'start' && from !== 'end') {
    throw new RepriseError('bad_request', `from of ${topic} is ${shown(from)}; a binding begins at 'start' or 'end'`)
  }
  const [unknown] = Object.keys(rest)
  if (unknown !== undefined) {
    throw new RepriseError('bad_request', `${topic} has an unknown option ${unknown}; known: topic, from`)
  }
  return { topic, from }
}

const keptFields = known({
  count: optional(
    value(`a number of jobs, 0 to ${MAX_KEPT}`, (input) => {
      const jobs = readCount(input)
      return jobs === undefined || jobs > MAX_KEPT ? undefined : jobs
    }),
  ),
  ageMs: optional(timeOrNone),
})

const keepDone = z.unknown().transform((input, context): KeepDone => {
  const byDefault = DEFAULT_QUEUE_SETTINGS.keepDone
  if (input === false) return { count: 0, ageMs: 0 }
  if (input === true) return byDefault
  const isNumber = typeof input === 'number' || (typeof input === 'string' && readCount(input) !== undefined)
  const read = keptFields.safeParse(isNumber ? { count: input } : input)
  if (read.success) {
    const { count = byDefault.count, ageMs = byDefault.ageMs } = read.data
    return count === 0 || ageMs === 0 ? { count: 0, ageMs: 0 } : { count, ageMs }
  }
  const [{ path, message }] = faultsOf(read.error)
  const isGroup = isNumber || (typeof input === 'object' && input !== null && !Array.isArray(input))
  const rule = `${shown(input)} is neither { count, ageMs }, nor a number of jobs, nor false`
  context.addIssue({ code: 'custom', path: isNumber ? [] : [...path], message: isGroup ? message : rule })
  return z.NEVER
})

const from = z.unknown().transform((input, context): readonly BindingSettings[] => {
  const refuse = (message: string) => {
    context.addIssue({ code: 'custom', message })
    return z.NEVER
  }
  if (!Array.isArray(input)) return refuse('is not a list of topics')
  if (input.length > MAX_BINDINGS) return refuse(`names ${input.length} topics; at most ${MAX_BINDINGS}`)
  try {
    const bindings = input.map(readBinding)
    const twice = bindings.find(({ topic }, index) => bindings.findIndex((other) => other.topic === topic) < index)
    return twice === undefined ? bindings : refuse(`names ${twice.topic} twice`)
  } catch (error) {
    return refuse(messageOf(error))
  }
})

const queueOptions = known({
  from: optional(from),
  leaseMs: optional(lease),
  maxLeaseMs: optional(lease),
  maxAttempts: optional(positive),
  backoffMs: optional(timeOrNone),
  maxBackoffMs: optional(timeOrNone),
  priority: optional(priority),
  ttlMs: optional(time),
  deadMs: optional(time),
  keepDone: optional(keepDone),
  maxJobs: optional(bound('a number of jobs, 1 or more', readCount)),
  maxBytes: optional(size),
  reconnectGraceMs: optional(timeOrNone),
  rate: optional(rate),
  fair: optional(yesOrNo),
  groupRate: optional(rate),
  breaker: optional(breaker),
  events: optional(yesOrNo),
  maxHoldBytes: optional(size),
  schema: optional(jsonSchema),
}) satisfies z.ZodType<QueueOverrides>

/** Queues of the file or of a program, by name pattern. */
export const queuePatterns = byPattern(queueOptions).superRefine((queues, context) => {
  for (const [pattern, { from }] of Object.entries(queues)) {
    if (from === undefined || !pattern.includes('*')) continue
    context.addIssue({ code: 'custom', path: [pattern, 'from'], message: ONE_QUEUE })
  }
})

/** Checks what the API was given for a name pattern. Throws `bad_request` with one sentence. */
export function readQueueOverrides(pattern: string, settings: unknown): QueueOverrides {
  checkPattern(pattern)
  const overrides = parse(queueOptions, settings, 'settings')
  if (overrides.from !== undefined && pattern.includes('*')) {
    throw new RepriseError('bad_request', `settings: from: ${ONE_QUEUE}`)
  }
  return overrides
}
