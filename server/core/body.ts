/** From what a producer hands in to what is stored, and back: the JSON text, the binary parts beside it, their size. */

import { RepriseError } from '../../shared/errors.ts'
import { type Draft, type Limits, MAX_BATCH_BYTES } from '../../shared/protocol.ts'
import type { Binary, Body } from '../store/contract.ts'

/** Deeper data is refused: clients walk it recursively. */
const MAX_DEPTH = 1_000

/** Bodies of the drafts of one call. Throws `bad_request` or `too_large`, naming the draft. */
export function bodiesOf(drafts: readonly Draft[], limits: Limits): Body[] {
  if (drafts.length > limits.batch) {
    throw new RepriseError('too_large', `${drafts.length} drafts in one call; at most ${limits.batch}`)
  }
  let total = 0
  const out = drafts.map((draft, index) => {
    const body = bodyOf(draft, index)
    const bytes = exactBytes(body)
    if (bytes > limits.payload) {
      throw new RepriseError('too_large', `draft ${index} has ${bytes} bytes; at most ${limits.payload}`)
    }
    total += bytes
    return body
  })
  if (total > Math.max(MAX_BATCH_BYTES, limits.payload)) {
    throw new RepriseError('too_large', `the drafts of one call have ${total} bytes; at most ${MAX_BATCH_BYTES}`)
  }
  return out
}

function bodyOf(draft: Draft, index: number): Body {
  const binaries = binariesIn(draft.data, index)
  const data = binaries.length === 0 ? draft.data : withoutBinary(draft.data)
  const { id, key, headers } = draft
  let json: string
  try {
    // `data` first and always: readers put offset and time before it.
    json = JSON.stringify({ data, id, key, headers })
  } catch (cause) {
    throw new RepriseError('bad_request', `draft ${index}: data is not JSON`, { cause })
  }
  if (!json.startsWith('{"data":')) throw new RepriseError('bad_request', `draft ${index}: data is missing`)
  return binaries.length === 0 ? { json } : { json, binaries }
}

function exactBytes(body: Body): number {
  let bytes = Buffer.byteLength(body.json)
  for (const binary of body.binaries ?? []) bytes += binary.bytes.length
  return bytes
}

/** Walks without recursion, so that no depth of data can exhaust the stack. */
function binariesIn(data: unknown, index: number): Binary[] {
  if (typeof data !== 'object' || data === null || isFlat(data)) return []
  const found: Binary[] = []
  const stack: { value: object; path: readonly (string | number)[] }[] = [{ value: data, path: [] }]
  for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
    const bytes = asBytes(node.value)
    if (bytes !== undefined) {
      found.push({ path: node.path, bytes })
      continue
    }
    if (hasOwnForm(node.value)) continue
    if (node.path.length >= MAX_DEPTH) {
      throw new RepriseError('bad_request', `draft ${index}: data is nested deeper than ${MAX_DEPTH} levels`)
    }
    if (Array.isArray(node.value)) {
      for (let i = 0; i < node.value.length; i++) pushChild(stack, node.path, i, node.value[i])
    } else {
      for (const [name, child] of Object.entries(node.value)) pushChild(stack, node.path, name, child)
    }
  }
  return found
}

/** Holds no other objects and is no bytes itself. Most data is so, and walking it would cost more than this look. */
function isFlat(data: object): boolean {
  if (asBytes(data) !== undefined) return false
  const children: readonly unknown[] = Array.isArray(data) ? data : Object.values(data)
  return children.every((child) => typeof child !== 'object' || child === null)
}

function pushChild(
  stack: { value: object; path: readonly (string | number)[] }[],
  path: readonly (string | number)[],
  step: string | number,
  child: unknown,
): void {
  if (typeof child === 'object' && child !== null) stack.push({ value: child, path: [...path, step] })
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
  const content = JSON.parse(body.json) as { data: unknown }
  for (const { path, bytes } of body.binaries ?? []) plant(content, ['data', ...path], bytes)
  return content
}

function plant(root: object, path: readonly (string | number)[], bytes: Uint8Array): void {
  let at = root as Record<string | number, unknown>
  for (const step of path.slice(0, -1)) at = at[step] as Record<string | number, unknown>
  at[path.at(-1) ?? 'data'] = bytes
}

/** Bytes of a body as they count for limits of packets and buffers; text is counted by its length. */
export function bodyBytes(body: Body): number {
  let bytes = body.json.length
  for (const binary of body.binaries ?? []) bytes += binary.bytes.length
  return bytes
}
