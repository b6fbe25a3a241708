/** From what a sender or a consumer hands in to what a queue stores. */

import { RepriseError } from '../../../shared/errors.ts'
import { isQueueName, nameRule } from '../../../shared/names.ts'
import { type Limits, MAX_BATCH_BYTES } from '../../../shared/protocol.ts'
import { cutText } from '../../../shared/queues/cutText.ts'
import type { ChildDraft, JobBackoff, JobDraft, JobOptions, Settlement } from '../../../shared/queues.ts'
import { uncountedBytes } from '../../../shared/traceparent.ts'
import type { Body, JobPolicy, StoredJobDraft, Settlement as StoredSettlement } from '../../store/contract/store.ts'
import { bodiesOf, bodyBytes } from '../body.ts'
import { checkBodies } from '../schema/schema.ts'
import { countOf, withChildren } from './children.ts'
import { isDead, LONGEST_MS, type QueueSettings } from './settings.ts'

const YEAR_MS = 365 * 86_400_000
const MAX_ERROR_LENGTH = 2_000

/** The name of a queue, or with `dead` also of its dead letters. Throws `bad_request`. */
export function checkQueue(queue: string, dead: 'dead' | 'no dead'): void {
  if (!isQueueName(queue)) throw new RepriseError('bad_request', nameRule('the queue', queue))
  if (dead === 'no dead' && isDead(queue)) {
    throw new RepriseError('bad_request', `${queue} holds dead letters: it is consumed and redriven, not sent to`)
  }
}

/** Stored forms of the drafts of one call. Throws `bad_request` or `too_large`, naming the draft. */
export function storedJobs(
  queue: string,
  drafts: readonly JobDraft[],
  limits: Limits,
  settingsOf: (queue: string) => QueueSettings,
  now: number,
): StoredJobDraft[] {
  const total = countOf(drafts)
  if (total > limits.batch) {
    throw new RepriseError('too_large', `${total} drafts in one call, with all children; at most ${limits.batch}`)
  }
  const stored = storedDrafts(queue, drafts, limits, settingsOf, now)
  // Those of one list are counted already.
  const most = Math.max(MAX_BATCH_BYTES, limits.payload)
  if (total > drafts.length && bytesOf(stored) - uncountedOf(drafts) > most) {
    throw new RepriseError(
      'too_large',
      `the drafts of one call, with all children, have more than ${most} bytes together`,
    )
  }
  return stored
}

function bytesOf(drafts: readonly StoredJobDraft[]): number {
  return drafts.reduce((sum, { body, children }) => sum + bodyBytes(body) + bytesOf(children?.drafts ?? []), 0)
}

function uncountedOf(drafts: readonly Partial<JobDraft>[]): number {
  return drafts.reduce((sum, { headers, children = [] }) => sum + uncountedBytes(headers) + uncountedOf(children), 0)
}

/** Of the queue `own`, or of the one that a child names. */
function storedDrafts(
  own: string,
  drafts: readonly (JobDraft | ChildDraft)[],
  limits: Limits,
  settingsOf: (queue: string) => QueueSettings,
  now: number,
): StoredJobDraft[] {
  const bodies = bodiesOf(drafts.map(contents), limits)
  const queues = drafts.map(({ queue = own }: Partial<ChildDraft>) => queue)
  for (const name of new Set(queues)) {
    const theirs = bodies.map((body, at) => (queues[at] === name ? body : undefined))
    checkBodies(settingsOf(name).schema, theirs, `queue ${name}`)
  }
  return bodies.map((body, index) => {
    const draft: Partial<JobDraft> = drafts[index] ?? {}
    const queue = queues[index] ?? own
    const settings = settingsOf(queue)
    const { id, key, group, priority = settings.priority, ttlMs = settings.ttlMs, delayMs, at } = draft
    const policy = jobPolicy(draft, settings, `draft ${index}`)
    if (delayMs !== undefined && at !== undefined) {
      throw new RepriseError('bad_request', `draft ${index} has delayMs and at; it takes one of them`)
    }
    if ((delayMs ?? 0) > YEAR_MS || (at ?? 0) > now + YEAR_MS) {
      throw new RepriseError('bad_request', `draft ${index} falls due in more than a year`)
    }
    return {
      body,
      priority,
      // Whole milliseconds, and never early.
      ttlMs: Math.min(Math.ceil(ttlMs), LONGEST_MS),
      ...(id === undefined ? {} : { id }),
      ...(key === undefined ? {} : { key }),
      ...(group === undefined || group === key ? {} : { group }),
      ...(policy === undefined ? {} : { policy }),
      ...(delayMs === undefined || delayMs === 0 ? {} : { due: { delayMs: Math.ceil(delayMs) } }),
      ...(at === undefined ? {} : { due: { at: Math.ceil(at) } }),
      ...(queue === own ? {} : { queue }),
      ...withChildren(draft, `draft ${index}`, limits, (children) =>
        storedDrafts(queue, children, limits, settingsOf, now),
      ),
    }
  })
}

/** What the job has in place of the queue's policy, as it is stored; its times in whole milliseconds. */
function jobPolicy(
  { attempts, backoff, runMs, keepDone }: JobOptions,
  { maxBackoffMs }: QueueSettings,
  what: string,
): JobPolicy | undefined {
  // Most have none.
  if (attempts === undefined && backoff === undefined && runMs === undefined && keepDone === undefined) return undefined
  if ((runMs ?? 0) > YEAR_MS) throw new RepriseError('bad_request', `${what} has a runMs of more than a year`)
  const keepMs = keepDone === false ? 0 : keepDone?.ageMs
  const policy = {
    ...(attempts === undefined ? {} : { maxAttempts: attempts }),
    ...(backoff === undefined ? {} : { backoff: storedBackoff(backoff, maxBackoffMs, what) }),
    ...(runMs === undefined ? {} : { runMs: Math.ceil(runMs) }),
    ...(keepMs === undefined ? {} : { keepMs: Math.min(Math.ceil(keepMs), LONGEST_MS) }),
  }
  return Object.keys(policy).length === 0 ? undefined : policy
}

function storedBackoff(backoff: JobBackoff, maxBackoffMs: number, what: string): NonNullable<JobPolicy['backoff']> {
  const tooLong = () => new RepriseError('bad_request', `${what} has a backoff of more than a year`)
  if (backoff.kind === 'list') {
    if (backoff.ms.some((ms) => ms > YEAR_MS)) throw tooLong()
    return { kind: 'list', ms: backoff.ms.map(Math.ceil) }
  }
  const { kind, ms, maxMs } = backoff
  if (ms > YEAR_MS || (maxMs ?? 0) > YEAR_MS) throw tooLong()
  if (maxMs !== undefined && maxMs < ms) {
    throw new RepriseError('bad_request', `${what} has a backoff whose maxMs, ${maxMs}, is less than its ms, ${ms}`)
  }
  return { kind, ms: Math.ceil(ms), maxMs: Math.ceil(maxMs ?? Math.max(ms, maxBackoffMs)) }
}

/** The stored form of a settlement, which is the so-manieth of its call; texts are cut, replies are not: `too_large`. */
export function storedSettlement(settlement: Settlement, index: number, limits: Limits): StoredSettlement {
  const { id, lease } = settlement
  switch (settlement.as) {
    case 'done': {
      if (settlement.reply === undefined) return { id, lease, as: 'done' }
      return { id, lease, as: 'done', ...replyOf(settlement.reply, index, limits) }
    }
    case 'retry': {
      const { delayMs, error } = settlement
      const delay = delayMs === undefined ? {} : { delayMs: Math.ceil(delayMs) }
      return { id, lease, as: 'retry', ...delay, ...errorOf(error) }
    }
    case 'dead':
      return { id, lease, as: 'dead', ...errorOf(settlement.reason) }
    case 'extend':
      return { ...settlement, leaseMs: Math.ceil(settlement.leaseMs) }
    default:
      return settlement
  }
}

function replyOf(data: unknown, index: number, limits: Limits): { readonly reply?: Body } {
  try {
    const [reply] = bodiesOf([{ data }], limits)
    return reply === undefined ? {} : { reply }
  } catch (error) {
    if (!(error instanceof RepriseError)) throw error
    throw new RepriseError(error.code, error.message.replace(/^draft 0/, `the reply of settlement ${index}`))
  }
}

/** An empty one says nothing. */
function errorOf(text = ''): { readonly error?: string } {
  if (text === '') return {}
  return { error: cutText(text, MAX_ERROR_LENGTH) }
}

/** The id is the job's, not a part of what it holds. */
function contents({ data, key, headers }: JobDraft) {
  return { data, ...(key === undefined ? {} : { key }), ...(headers === undefined ? {} : { headers }) }
}
