/**
 * The contract's `rewrite` over Redis. Bodies and texts of jobs are put in their own places. A topic is looked through
 * first, and copied where something is to be another (see topics/rewrite.lua).
 */

import { encodeBody, readKnownBody } from '../codec.ts'
import type { Body, PayloadChange, Rewritten, Store } from '../contract/store.ts'
import { repackProgress } from '../jobs/progress.ts'
import { repackLife } from '../life/life.ts'
import type { Argument } from './connection/connection.ts'
import { storageFull } from './connection/errors.ts'
import type { QueuesContext } from './queues/reads.ts'
import { otherOutcome } from './queues/storage/children.ts'
import { rewrittenRow } from './queues/storage/finished.ts'
import { inlineBody } from './queues/storage/records.ts'
import { numberAt, operation, textAt } from './scripting/codec.ts'
import { rewriteBlock } from './topics/blocks.ts'
import { readBlocks, type TopicsContext } from './topics/topics.ts'

/** What one call does at most. */
const BOUND = { events: 250, bytes: 131_072 }
const NO_EVENTS = { events: 1, bytes: 0 }
const FIELDS = '50'

export function createRewriting(topics: TopicsContext, queues: QueuesContext): Store['rewrite'] {
  return async (place, from, change) => {
    topics.refuseClosed()
    return 'topic' in place
      ? await rewriteTopic(topics, place.topic, from, change)
      : await rewriteQueue(queues, place.queue, from, change)
  }
}

function changedRecord(record: Buffer, kind: Parameters<PayloadChange['body']>[1], change: PayloadChange) {
  const body = readKnownBody(record)
  const other: Body | undefined = body && change.body(body, kind)
  return other && encodeBody(other)
}

/** `from`: `look <offset>` while all is as it shall be, then `copy <last offset to give> <last copied block> <its last offset>`. */
async function rewriteTopic(
  context: TopicsContext,
  topic: string,
  from: string,
  change: PayloadChange,
): Promise<Rewritten> {
  const [word, first = '0', previous = '', copied = previous] = from.split(' ')
  const copying = word === 'copy'
  const after = Number.parseInt((copying ? copied : first) || '0', 10)
  // What came since is as it shall be: the script copies it by itself.
  const isTail = copying && after >= Number(first)
  const page = await readBlocks(context, topic, after, isTail ? NO_EVENTS : BOUND)
  if (page === undefined) return { seen: 0, changed: 0 }
  const last = copying ? Number(first) : page.head
  const blocks = isTail ? [] : page.blocks.filter((block) => block.first > after && block.first <= last)
  const other = blocks.map((block) => rewriteBlock(block, change))
  const seen = blocks.reduce((sum, { lengths }) => sum + lengths.length, 0)
  const changed = other.reduce((sum, block) => sum + (block?.changed ?? 0), 0)
  if (copying) {
    const given = blocks.flatMap(({ id }, i) => [id, other[i]?.records ?? '', other[i]?.lengths ?? ''])
    // Those that are missing at the end are not waited for.
    const until = blocks.length === 0 ? 0 : last
    const args: Argument[] = ['rewrite', previous, String(until), String(blocks.length), ...given]
    const bytes = given.reduce((sum, { length }) => sum + length, 0)
    const read = (outcome: readonly Buffer[]) => {
      if (textAt(outcome, 0) === 'error') throw storageFull()
      return outcome.map(String)
    }
    const { value } = await context.batcher.run(topic, { ...operation(args, read), bytes, size: blocks.length + 1 })
    const [outcome, ...at] = value
    if (outcome === 'done') return { seen, changed }
    // Another copy, or one that was gone on with since, is gone on with from where it is.
    if (outcome === 'lost')
      return { next: `copy ${at.length === 0 ? page.head : last} ${at.join(' ')}`, seen: 0, changed: 0 }
    return { next: `copy ${last} ${at.join(' ')}`, seen, changed }
  }
  // What was looked at before is copied as it is.
  if (changed > 0) return { next: `copy ${page.head} `, seen: 0, changed: 0 }
  const end = blocks.at(-1)
  if (end !== undefined) return { next: `look ${end.first + end.lengths.length - 1}`, seen, changed: 0 }
  // A copy that nobody finished.
  await context.router.ask(context.keys.topic(topic), ['UNLINK', context.keys.rewriting(topic)])
  return { seen: 0, changed: 0 }
}

const NOTHING = Buffer.alloc(0)

const HASHES = ['jobs', 'history', 'deaths', 'progress', 'finished', 'answers', 'scheduleBodies', 'children'] as const
type Hash = (typeof HASHES)[number]
/** Behind them. Records may be as large as results. */
const LIFE = 'life'
const LIFE_AT_ONCE = 10

/** `from`: a hash and where its scan is; then the life, and the number where it goes on. */
async function rewriteQueue(
  context: QueuesContext,
  queue: string,
  from: string,
  change: PayloadChange,
): Promise<Rewritten> {
  const [word, at = '0'] = from.split(' ')
  if (word === LIFE) return await rewriteLife(context, queue, Number(at), change)
  const hash = HASHES.find((one) => one === word) ?? 'jobs'
  const scan = ['HSCAN', context.keys.payloads(queue, hash), at, 'COUNT', FIELDS] as const
  const [reply] = await context.router.ask(context.keys.queue(queue), scan)
  const [cursor, found] = reply as [Buffer, Buffer[]]
  const outcomes = await Promise.all(
    pairsOf(found).map(([field, value]) => {
      return hash === 'jobs'
        ? rewriteBody(context, queue, field, value, change)
        : rewriteText(context, queue, hash, field, value, change)
    }),
  )
  const done = {
    seen: hash === 'jobs' || hash === 'scheduleBodies' ? outcomes.length : 0,
    changed: outcomes.filter((changed) => changed).length,
  }
  if (String(cursor) !== '0') return { ...done, next: `${hash} ${cursor}` }
  const following = HASHES[HASHES.indexOf(hash) + 1]
  return { ...done, next: following ?? LIFE }
}

async function rewriteLife(
  context: QueuesContext,
  queue: string,
  from: number,
  change: PayloadChange,
): Promise<Rewritten> {
  const read = (outcome: readonly Buffer[]) => ({ first: numberAt(outcome, 1), records: outcome.slice(2) })
  const asked = operation(['lifeAt', String(from), String(LIFE_AT_ONCE)], read)
  const { first, records } = (await context.queueBatcher.run(queue, asked)).value
  const outcomes = await Promise.all(
    records.map(async (record, i) => {
      const other = repackLife(record, change)
      return other !== undefined && (await put(context, queue, ['rewriteLife', String(first + i), record, other]))
    }),
  )
  const done = { seen: 0, changed: outcomes.filter((changed) => changed).length }
  return records.length < LIFE_AT_ONCE ? done : { ...done, next: `${LIFE} ${first + records.length}` }
}

async function rewriteBody(
  context: QueuesContext,
  queue: string,
  n: Buffer,
  record: Buffer,
  change: PayloadChange,
): Promise<boolean> {
  const body = inlineBody(record) ?? (await storedIn(context, queue, 'bodies', n))
  const other = body && changedRecord(body, 'job', change)
  return other ? await put(context, queue, ['rewriteBody', n, body, other]) : false
}

async function rewriteText(
  context: QueuesContext,
  queue: string,
  hash: Hash,
  field: Buffer,
  value: Buffer,
  change: PayloadChange,
): Promise<boolean> {
  for (let there: Buffer | null = value; there !== null; ) {
    const other = otherIn(hash, field, there, change)
    if (other === undefined) return false
    if (await put(context, queue, ['rewriteText', hash, field, there, other])) return true
    // Something was added meanwhile, to what is as it was.
    there = await storedIn(context, queue, hash, field)
  }
  return false
}

function otherIn(hash: Hash, field: Buffer, value: Buffer, change: PayloadChange): Buffer | undefined {
  switch (hash) {
    case 'answers':
      return otherAnswer(value, change)
    case 'scheduleBodies':
      return changedRecord(value, 'job', change)
    case 'progress':
      return repackProgress(value, change)
    case 'children':
      return otherOutcome(field.toString(), value, change)
    case 'finished':
      return rewrittenRow(value, change, (history) => otherTexts(history, 'history', change))
    default:
      return otherTexts(value, hash, change)
  }
}

/** As requests.lua packs them: a time, what it is, the length of the reason, the reason, the content. */
function otherAnswer(value: Buffer, change: PayloadChange): Buffer | undefined {
  const content = 10 + (value[9] ?? 0)
  const [REPLY, ERROR] = [2, 4]
  const rest = value.subarray(content)
  const text = value[8] === ERROR ? change.text(rest.toString()) : undefined
  const reply = value[8] === REPLY ? changedRecord(rest, 'reply', change) : undefined
  const other = text === undefined ? reply : Buffer.from(text)
  return other && Buffer.concat([value.subarray(0, content), other])
}

/** The error of a dead letter is the third of its values, what happened to a job has one as the fourth of each entry. */
function otherTexts(value: Buffer, hash: Hash, change: PayloadChange): Buffer | undefined {
  let parsed: unknown
  try {
    parsed = JSON.parse(value.toString())
  } catch {
    return undefined
  }
  if (!Array.isArray(parsed)) return undefined
  let changed = false
  const replaceIn = (values: unknown, at: number): void => {
    const text: unknown = Array.isArray(values) ? values[at] : undefined
    const other = typeof text === 'string' && text !== '' ? change.text(text) : undefined
    if (other === undefined) return
    ;(values as unknown[])[at] = other
    changed = true
  }
  if (hash === 'deaths') replaceIn(parsed, 2)
  else for (const entry of parsed) replaceIn(entry, 3)
  return changed ? Buffer.from(JSON.stringify(parsed)) : undefined
}

async function put(context: QueuesContext, queue: string, args: readonly Argument[]): Promise<boolean> {
  const bytes = args.reduce((sum, { length }) => sum + length, 0)
  const read = (outcome: readonly Buffer[]): boolean => textAt(outcome, 0) === '1'
  return (await context.queueBatcher.run(queue, { ...operation(args, read), bytes })).value
}

async function storedIn(
  { router, keys }: QueuesContext,
  queue: string,
  hash: Hash | 'bodies',
  field: Buffer,
): Promise<Buffer | null> {
  const [value] = await router.ask(keys.queue(queue), ['HGET', keys.payloads(queue, hash), field])
  return value as Buffer | null
}

function pairsOf(flat: readonly Buffer[]): (readonly [Buffer, Buffer])[] {
  const pairs: (readonly [Buffer, Buffer])[] = []
  for (let i = 0; i + 1 < flat.length; i += 2) pairs.push([flat[i] ?? NOTHING, flat[i + 1] ?? NOTHING])
  return pairs
}
