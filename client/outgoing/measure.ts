/** Whether a draft can travel as it is, and how many bytes it takes as JSON text. */

import { RepriseError } from '../../shared/errors.ts'
import { breaksBeside, isBytes } from '../../shared/joined.ts'
import { DEFAULT_LIMITS, type Draft, type Headers, type Limits } from '../../shared/protocol.ts'
import type { ChildDraft, JobDraft } from '../../shared/queues.ts'
import { TRACEPARENT } from '../../shared/traceparent.ts'
import type { PublishOptions } from '../api.ts'
import { checkNames, durationOf } from '../optionChecks.ts'
import type { SendOptions } from '../queues/api.ts'

/** Deeper values are left to JSON.stringify, which also finds the cycles. The hub takes none. */
const MAX_DEPTH = 1_000

const MOST_OPTION_BYTES = 1_024

const PUBLISH = ['id', 'key', 'headers', 'timeoutMs'] as const satisfies readonly (keyof PublishOptions)[]
const SEND = [
  ...PUBLISH,
  'group',
  'priority',
  'delayMs',
  'at',
  'ttlMs',
  'attempts',
  'backoff',
  'runMs',
  'keepDone',
  'children',
  'onDeadChild',
] as const satisfies readonly (keyof SendOptions)[]

/** What a call takes that has no use for some options of `send`. */
export const sendOptions = (without: readonly string[]) => SEND.filter((name) => !without.includes(name))

/** Of a draft among others. */
export const OF_THE_CALL = ['timeoutMs']

/** Of a job that waits for others. */
export const OF_PARENTS = ['children', 'onDeadChild']

/** What a value takes in a packet. */
export interface Size {
  /** As JSON text; binary counts its bytes. */
  bytes: number
  /** Binary values in it; `Infinity` where something would not pass beside them. */
  attachments: number
}

/** The draft to send. Throws `bad_request` for what would not arrive as it was given. */
export function draftOf(data: unknown, options: PublishOptions | undefined): Draft {
  if (options === undefined) return { data }
  checkNames('publish', options, PUBLISH)
  return withOptions(data, options)
}

function withOptions(data: unknown, { id, key, headers, timeoutMs }: PublishOptions): Draft {
  durationOf('timeoutMs', timeoutMs, 0)
  checkWord('id', id)
  checkWord('key', key)
  if (headers !== undefined) checkHeaders(headers)
  return {
    data,
    ...(id === undefined ? {} : { id }),
    ...(key === undefined ? {} : { key }),
    ...(headers === undefined ? {} : { headers }),
  }
}

/** The same for a job. */
export function jobDraftOf(
  call: string,
  data: unknown,
  options: SendOptions | undefined,
  without: readonly string[] = [],
): JobDraft {
  if (options === undefined) return { data }
  checkNames(call, options, sendOptions(without))
  const draft: { -readonly [K in keyof JobDraft]: JobDraft[K] } = withOptions(data, options)
  checkWord('group', options.group)
  if (options.group !== undefined) draft.group = options.group
  for (const name of ['priority', 'delayMs', 'at', 'ttlMs', 'attempts', 'runMs'] as const) {
    const value = options[name]
    if (value === undefined) continue
    if (!Number.isFinite(value)) throw new RepriseError('bad_request', `${name} has to be a number`)
    draft[name] = value
  }
  // What they have to be the hub says.
  for (const name of ['backoff', 'keepDone'] as const) {
    const value = options[name]
    if (value === undefined) continue
    // What is not of the draft's size must not close the connection.
    if (measure(value).bytes > MOST_OPTION_BYTES) {
      throw new RepriseError(
        'bad_request',
        `${name} has more than ${MOST_OPTION_BYTES} bytes: no ${name} needs so many`,
      )
    }
    draft[name] = value as never
  }
  if (options.onDeadChild !== undefined) draft.onDeadChild = options.onDeadChild
  if (options.children !== undefined) draft.children = childDraftsOf(options.children)
  return draft
}

function childDraftsOf(children: readonly ChildDraft[]): ChildDraft[] {
  if (!Array.isArray(children)) throw new RepriseError('bad_request', 'children are a list of { data, … }')
  return children.map((child: ChildDraft) => {
    if (typeof child !== 'object' || child === null || !('data' in child)) {
      throw new RepriseError('bad_request', 'each child is { data, … }, with the options of send beside data')
    }
    const { data, queue, ...options } = child
    if ('id' in child) throw new RepriseError('bad_request', 'a child takes no id: it comes once with its parent')
    return { ...jobDraftOf('children', data, options, OF_THE_CALL), ...(queue !== undefined && { queue }) }
  })
}

/** The draft and all its children: each by itself. */
export function withChildren(draft: JobDraft): JobDraft[] {
  return draft.children === undefined ? [draft] : [draft, ...draft.children.flatMap(withChildren)]
}

/** The size of the draft's values. Throws `bad_request` for what cannot travel. */
export function measureDraft(draft: Draft & Pick<JobDraft, 'group'>): Size {
  const size = measure(draft.data)
  if (draft.id !== undefined) size.bytes += measureText(draft.id)
  if (draft.key !== undefined) size.bytes += measureText(draft.key)
  if (draft.group !== undefined) size.bytes += measureText(draft.group)
  const { headers } = draft
  // What has its length may be a `traceparent`, which does not count. The hub looks closer.
  const uncounted = headers?.[TRACEPARENT]?.length === 55 ? 72 : 0
  if (headers !== undefined) size.bytes += measureValue(headers, 0, size) - uncounted
  return size
}

/** The size of a value. Throws `bad_request` for what cannot travel. */
export function measure(value: unknown): Size {
  const size: Size = { bytes: 0, attachments: 0 }
  size.bytes = measureValue(value, 0, size)
  return size
}

function measureValue(value: unknown, depth: number, size: Size): number {
  switch (typeof value) {
    case 'string':
      return measureText(value)
    case 'number':
      if (!Number.isFinite(value)) throw unfit(String(value))
      return `${value}`.length
    case 'boolean':
      return value ? 4 : 5
    case 'object':
      return value === null ? 4 : measureObject(value, depth, size)
    default:
      throw unfit(typeof value)
  }
}

function measureObject(value: object, depth: number, size: Size): number {
  if (depth > MAX_DEPTH) return measureDeep(value)
  if (Array.isArray(value)) {
    let bytes = 2
    for (const item of value) bytes += 1 + (item === undefined ? 4 : measureValue(item, depth + 1, size))
    return bytes
  }
  if (isBytes(value)) {
    size.attachments++
    return value.byteLength
  }
  // JSON would have `null` in their place.
  if ((value instanceof Number || value instanceof Date) && !Number.isFinite(Number(value))) throw unfit(String(value))
  const { toJSON, then } = value as { readonly toJSON?: unknown; readonly then?: unknown }
  if (typeof toJSON === 'function') return measureValue(toJSON.call(value, ''), depth + 1, size)
  if (value instanceof Map || value instanceof Set) throw unfit('a Map or Set')
  if (typeof then === 'function') throw unfit('a promise (await it)')
  // Socket.IO would take it for binary, and not get it over every transport.
  if (value instanceof Blob) throw unfit('a Blob (its arrayBuffer() can travel)')
  if (breaksBeside(value)) size.attachments = Infinity
  let bytes = 2
  for (const name of Object.keys(value)) {
    const item = (value as Record<string, unknown>)[name]
    // As JSON does: a property that is undefined is a property that is not there.
    if (item !== undefined) bytes += measureText(name) + 2 + measureValue(item, depth + 1, size)
  }
  return bytes
}

function measureDeep(value: object): number {
  try {
    return measureText(JSON.stringify(value)) - 2
  } catch {
    throw unfit('a cycle')
  }
}

/** Characters that JSON text in UTF-8 does not have as one byte each. */
const SPECIAL = /[^ !#-[\]-\x7f]/

/** Bytes of a string as JSON text in UTF-8, quotes included. */
function measureText(text: string): number {
  let bytes = text.length + 2
  // Most have none: an expression finds that in a third of the time.
  if (!SPECIAL.test(text)) return bytes
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    if (unit < 0x20) bytes += unit === 8 || unit === 9 || unit === 10 || unit === 12 || unit === 13 ? 1 : 5
    else if (unit === 0x22 || unit === 0x5c) bytes += 1
    else if (unit >= 0xd800 && unit < 0xe000) {
      // A pair has 4 bytes. Half of one is written out as `\ud800`.
      const isPair = unit < 0xdc00 && (text.charCodeAt(i + 1) & 0xfc00) === 0xdc00
      bytes += isPair ? 2 : 5
      if (isPair) i++
    } else if (unit >= 0x80) bytes += unit < 0x800 ? 1 : 2
  }
  return bytes
}

function checkWord(name: string, value: string | undefined): void {
  if (value === undefined || (typeof value === 'string' && value.length >= 1 && value.length <= 256)) return
  throw new RepriseError('bad_request', `${name} has to be a string of 1 to 256 characters`)
}

function checkHeaders(headers: Headers): void {
  // A Map, and a Headers of fetch, would travel as empty ones, and beside binary `__proto__` would not.
  const fits = typeof headers === 'object' && headers !== null && !(Symbol.iterator in headers)
  if (fits && Object.entries(headers).every(([name, value]) => name !== '__proto__' && typeof value === 'string'))
    return
  throw new RepriseError('bad_request', 'headers have to be an object of strings')
}

function unfit(what: string): RepriseError {
  return new RepriseError('bad_request', `neither JSON nor binary can carry ${what}`)
}

/** What a packet has besides its arguments. */
const FRAME_BYTES = 512

/** Throws `too_large` for a call that would close the connection. */
export function checkFits(bytes: number, packet: number | undefined, call: string): void {
  if (packet === undefined || bytes + FRAME_BYTES <= packet) return
  throw new RepriseError('too_large', `${call} has ${bytes} bytes, the hub takes packets up to ${packet}`)
}

/** Refuses a draft, or a reply, that is over the hub's limits. */
export function tooLarge(bytes: number, { payload }: Limits, what = 'draft'): RepriseError | undefined {
  if (bytes <= payload) return undefined
  return new RepriseError('too_large', `the ${what} has ${bytes} bytes of JSON, the hub takes up to ${payload}`)
}

/** The same as an error that is thrown. */
export function checkSize(bytes: number, limits: Limits = DEFAULT_LIMITS, what?: string): void {
  const refusal = tooLarge(bytes, limits, what)
  if (refusal !== undefined) throw refusal
}
