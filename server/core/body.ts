/** From what a producer hands in to what is stored, and back: the JSON text, the binary parts beside it, their size. */

import { RepriseError } from '../../shared/errors.ts'
import { type Draft, type Limits, MAX_BATCH_BYTES } from '../../shared/protocol.ts'
import { uncountedBytes } from '../../shared/traceparent.ts'
import type { Binary, Body } from '../store/contract/store.ts'

/** Deeper data is refused: clients walk it recursively. */
const MAX_DEPTH = 1_000

/** Bodies of the drafts of one call. Throws `bad_request` or `too_large`, naming the draft. */
export function bodiesOf(drafts: readonly Draft[], limits: Limits): Body[] {
  if (drafts.length > limits.batch) {
    throw new RepriseError('too_large', `${drafts.length} drafts in one call; at most ${limits.batch}`)
  }
  const most = Math.max(MAX_BATCH_BYTES, limits.payload)
  let total = 0
  return drafts.map((draft, index) => {
    const body = bodyOf(draft, index, limits.payload)
    const bytes = exactBytes(body) - uncountedBytes(draft.headers)
    if (bytes > limits.payload) {
      throw new RepriseError('too_large', `draft ${index} has ${bytes} bytes; at most ${limits.payload}`)
    }
    total += bytes
    if (total > most) {
      throw new RepriseError('too_large', `the drafts of one call have more than ${most} bytes together`)
    }
    return body
  })
}

function bodyOf(draft: Draft, index: number, most: number): Body {
  const binaries = binariesIn(draft.data, index, most)
  const data = binaries.length === 0 ? draft.data : withoutBinary(draft.data)
  const { id, key, headers } = draft
  const isBare = id === undefined && key === undefined && headers === undefined
  let json: string | undefined
  try {
    // `data` first and always: readers put offset and time before it.
    json = isBare ? bareText(data) : JSON.stringify({ data, id, key, headers })
  } catch (cause) {
    throw new RepriseError('bad_request', `draft ${index}: data is not JSON`, { cause })
  }
  if (!json?.startsWith('{"data":')) throw new RepriseError('bad_request', `draft ${index}: data is missing`)
  return binaries.length === 0 ? { json } : { json, binaries }
}

/** The text of a draft that has nothing but data, as most: it is written without an object around it. */
function bareText(data: unknown): string | undefined {
  const text = JSON.stringify(data) as string | undefined
  return text === undefined ? undefined : `{"data":${text}}`
}

function exactBytes(body: Body): number {
  let bytes = Buffer.byteLength(body.json)
  for (const binary of body.binaries ?? []) bytes += binary.bytes.length
  return bytes
}

/** Where the walk is. The way to it is written down for binary data only: for every value it would cost its square. */
interface Place {
  readonly value: object
  readonly parent: Place | undefined
  readonly step: string | number
  readonly depth: number
  /** Characters of the way to it. */
  readonly wayLength: number
}

/**
 * The binary parts of data. Walks without recursion, so that no depth of data can exhaust
 * the stack, and ends where the data is too large for sure: the work has the bound that the data has.
 */
function binariesIn(data: unknown, index: number, most: number): Binary[] {
  if (typeof data === 'number') checkNumber(data, index)
  if (typeof data !== 'object' || data === null || isFlat(data)) return []
  const found: Binary[] = []
  const stack: Place[] = [{ value: data, parent: undefined, step: '', depth: 0, wayLength: 0 }]
  let bytes = 0
  let wayLength = 0
  for (let place = stack.pop(); place !== undefined; place = stack.pop()) {
    const { value, depth } = place
    const part = asBytes(value)
    if (part !== undefined) {
      bytes += part.length
      wayLength += place.wayLength
      if (wayLength > most) {
        throw new RepriseError('too_large', `draft ${index}: the places of its binary data have over ${most} bytes`)
      }
      found.push({ path: wayTo(place), bytes: part })
    } else if (hasOwnForm(value)) {
      if (value instanceof Date) checkNumber(value.getTime(), index)
    } else {
      if (depth >= MAX_DEPTH) {
        throw new RepriseError('bad_request', `draft ${index}: data is nested deeper than ${MAX_DEPTH} levels`)
      }
      bytes += pushChildren(stack, place, index)
    }
    if (bytes > most) {
      throw new RepriseError('too_large', `draft ${index} has more than ${most} bytes`)
    }
  }
  return found
}

/** Puts the objects in it on the stack. Answers how many bytes it has at least as JSON text, without those objects. */
function pushChildren(stack: Place[], parent: Place, index: number): number {
  const { value } = parent
  let bytes = 1
  const push = (step: string | number, child: unknown, length: number) => {
    if (typeof child === 'number') checkNumber(child, index)
    bytes += typeof child === 'string' ? child.length + 3 : 2
    if (typeof child !== 'object' || child === null) return
    stack.push({ value: child, parent, step, depth: parent.depth + 1, wayLength: parent.wayLength + length })
  }
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) push(i, value[i], 2)
    return bytes
  }
  for (const [name, child] of Object.entries(value)) {
    // JSON leaves these out.
    if (child === undefined || typeof child === 'function' || typeof child === 'symbol') continue
    bytes += name.length + 3
    push(name, child, name.length + 3)
  }
  return bytes
}

function wayTo(place: Place): readonly (string | number)[] {
  const way: (string | number)[] = []
  for (let at = place; at.parent !== undefined; at = at.parent) way.push(at.step)
  return way.reverse()
}

/** Holds no other objects and is no bytes itself. Most data is so, and walking it would cost more than this look. */
function isFlat(data: object): boolean {
  if (asBytes(data) !== undefined) return false
  if (Array.isArray(data)) return data.every(isLeaf)
  // A list of the values would cost more than the look. What is inherited only sends it to the walk.
  for (const name in data) if (!isLeaf((data as Record<string, unknown>)[name])) return false
  return true
}

/** Neither an object nor a number that the walk refuses. */
function isLeaf(value: unknown): boolean {
  if (typeof value === 'object') return value === null
  return typeof value !== 'number' || Number.isFinite(value)
}

/** JSON would have `null` in their place. */
function checkNumber(value: number, index: number): void {
  if (Number.isFinite(value)) return
  throw new RepriseError('bad_request', `draft ${index}: data holds ${value}, which JSON has no number for`)
}

function withoutBinary(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (asBytes(value) !== undefined) return null
  if (hasOwnForm(value)) return value
  if (Array.isArray(value)) return value.map(withoutBinary)
  const copy: Record<string, unknown> = {}
  for (const [name, child] of Object.entries(value)) {
    // A plain assignment to `__proto__` would vanish.
    Object.defineProperty(copy, name, { value: withoutBinary(child), enumerable: true })
  }
  return copy
}

/** Says itself what it is as JSON, as a Date does. Only within this process. */
function hasOwnForm(value: object): boolean {
  return typeof (value as { readonly toJSON?: unknown }).toJSON === 'function'
}

function asBytes(value: object): Uint8Array | undefined {
  if (value instanceof Uint8Array) return value
  if (value instanceof ArrayBuffer) return new Uint8Array(value)
  if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength)
  return undefined
}

/** What a body holds, with its binary data in place. */
export function contentOf(body: Body): { data: unknown } {
  return planted(body, (bytes) => bytes)
}

/** The same as JSON can hold it: base64 text in the place of bytes. */
export function plainContent(body: Body): { data: unknown } {
  return planted(body, ({ buffer, byteOffset, byteLength }) =>
    Buffer.from(buffer, byteOffset, byteLength).toString('base64'),
  )
}

export function plainData(body: Body): unknown {
  return plainContent(body).data
}

function planted({ json, binaries = [] }: Body, form: (bytes: Uint8Array) => unknown): { data: unknown } {
  const content = JSON.parse(json) as { data: unknown }
  for (const { path, bytes } of binaries) plant(content, ['data', ...path], form(bytes))
  return content
}

function plant(root: object, path: readonly (string | number)[], value: unknown): void {
  let at = root as Record<string | number, unknown>
  for (const step of path.slice(0, -1)) at = at[step] as Record<string | number, unknown>
  at[path.at(-1) ?? 'data'] = value
}

/** Bytes of a body as they count for limits of packets and buffers; text is counted by its length. */
export function bodyBytes(body: Body): number {
  let bytes = body.utf8?.length ?? body.json.length
  for (const binary of body.binaries ?? []) bytes += binary.bytes.length
  return bytes
}
