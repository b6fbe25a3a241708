/**
 * The joined form of a value with binary in it: its JSON text, and all its bytes as one attachment with their places
 * named. It carries what a packet of Socket.IO cannot, at both ends.
 */

import { RepriseError } from './errors.ts'

/** Clients of Socket.IO refuse a packet with more of them. */
export const MAX_ATTACHMENTS = 10

export type Bytes = Uint8Array | ArrayBuffer

/** Where a binary value stands, and how many bytes it takes of those that are left. */
export type JoinedPart = readonly [path: readonly (string | number)[], length: number]

export interface Joined {
  /** The value as JSON text, with `null` wherever binary stands. */
  readonly json: string
  /** In the order of their bytes. */
  readonly parts: readonly JoinedPart[]
  /** Absent where there are none. */
  readonly bytes?: Bytes
}

/**
 * What does not pass Socket.IO in a packet with binary, wherever it stands there: it is taken for the mark of an attachment,
 * or has a property called `__proto__`, which is left out.
 */
export function breaksBeside(value: object): boolean {
  return (value as { readonly _placeholder?: unknown })._placeholder === true || Object.hasOwn(value, '__proto__')
}

export function isBytes(value: unknown): value is ArrayBufferView | ArrayBuffer {
  return ArrayBuffer.isView(value) || value instanceof ArrayBuffer
}

/** The joined form of a value that JSON and binary can carry. */
export function join(value: unknown): Joined {
  const parts: JoinedPart[] = []
  const pieces: Uint8Array[] = []
  const path: (string | number)[] = []
  let total = 0
  const child = (step: string | number, item: unknown) => {
    path.push(step)
    const text = withoutBytes(item)
    path.pop()
    return text
  }
  const withoutBytes = (item: unknown): unknown => {
    if (typeof item !== 'object' || item === null) return item
    if (isBytes(item)) {
      const piece =
        'buffer' in item ? new Uint8Array(item.buffer, item.byteOffset, item.byteLength) : new Uint8Array(item)
      parts.push([[...path], piece.length])
      pieces.push(piece)
      total += piece.length
      return null
    }
    if (Array.isArray(item)) return item.map((one, i) => child(i, one))
    const own = item as { readonly toJSON?: unknown }
    if (typeof own.toJSON === 'function') return withoutBytes(own.toJSON(''))
    // Not by assignment: `__proto__` may be a name among others.
    return Object.fromEntries(Object.entries(item).map(([name, one]) => [name, child(name, one)]))
  }
  const json = JSON.stringify(withoutBytes(value))
  if (pieces.length === 0) return { json, parts }
  const bytes = new Uint8Array(total)
  let at = 0
  for (const piece of pieces) {
    bytes.set(piece, at)
    at += piece.length
  }
  return { json, parts, bytes }
}

/**
 * The value of a joined form, whose JSON text `read` reads. Throws `bad_request` for what is none; the work is linear in its
 * size.
 */
export function whole(joined: unknown, read: (json: string) => unknown = JSON.parse): unknown {
  const { json, parts, bytes = new Uint8Array(0) } = (joined ?? {}) as Partial<Record<keyof Joined, unknown>>
  if (typeof json !== 'string' || !Array.isArray(parts) || !isBytes(bytes)) throw unfit('it is { json, parts, bytes? }')
  let value: unknown
  try {
    value = read(json)
  } catch (cause) {
    throw unfit(cause instanceof RepriseError ? cause.message : 'json is not JSON text', cause)
  }
  const root: Node = { value }
  let at = 0
  for (const part of parts as readonly unknown[]) {
    const [path, length] = Array.isArray(part) ? part : []
    if (!Array.isArray(path) || !Number.isSafeInteger(length) || length < 0 || at + length > bytes.byteLength) {
      throw unfit('a part is [path, length], and all lengths together are those of bytes')
    }
    let node: unknown = root
    let step: unknown = 'value'
    for (const next of path as readonly unknown[]) {
      node = childOf(node, step)
      step = next
    }
    if (childOf(node, step) !== null) throw unfit('a path has to lead to a null in json, each to its own')
    ;(node as Node)[step as string] = piece(bytes, at, at + length)
    at += length
  }
  if (at !== bytes.byteLength) throw unfit('bytes has more than the parts name')
  return root.value
}

type Node = Record<string, unknown>

/** `undefined` where there is nothing, which no JSON holds. */
function childOf(node: unknown, step: unknown): unknown {
  const named = typeof step === 'string' || typeof step === 'number'
  if (!named || typeof node !== 'object' || node === null || isBytes(node)) return undefined
  return Object.hasOwn(node, step) ? (node as Node)[step] : undefined
}

function piece(bytes: ArrayBufferView | ArrayBuffer, from: number, to: number): unknown {
  // A Buffer in Node, an ArrayBuffer in browsers: as Socket.IO hands out any binary there.
  return 'subarray' in bytes ? (bytes as Uint8Array).subarray(from, to) : (bytes as ArrayBuffer).slice(from, to)
}

function unfit(why: string, cause?: unknown): RepriseError {
  return new RepriseError('bad_request', `joined: ${why}`, { cause })
}
