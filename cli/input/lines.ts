/** Lines of a stream of bytes, numbered. Only a line feed ends one: JSON may hold the other separators Unicode knows. */

import { UsageError } from '../exit.ts'

export interface Line {
  /** From 1. */
  readonly number: number
  readonly text: string
  /** With its line feed. */
  readonly bytes: number
}

const MAX_LINE_BYTES = 16 * 2 ** 20

/** Every line that is not blank. Throws a usage error for one that is no UTF-8 or beyond all limits. */
export async function* readLines(input: AsyncIterable<Uint8Array>): AsyncGenerator<Line> {
  let number = 0
  let parts: Uint8Array[] = []
  let held = 0
  let skipped = 0

  function take(last: Uint8Array): Line | undefined {
    number++
    const all =
      parts.length === 0 ? Buffer.from(last.buffer, last.byteOffset, last.length) : Buffer.concat([...parts, last])
    parts = []
    held = 0
    const text = decode(all, number)
    const bytes = all.length + 1 + skipped
    if (text.trim() === '') {
      skipped = bytes
      return undefined
    }
    skipped = 0
    return { number, text, bytes }
  }

  for await (const chunk of input) {
    let start = 0
    for (;;) {
      const end = chunk.indexOf(0x0a, start)
      if (end < 0) break
      const line = take(chunk.subarray(start, end))
      if (line !== undefined) yield line
      start = end + 1
    }
    const rest = chunk.subarray(start)
    held += rest.length
    if (held > MAX_LINE_BYTES) throw new UsageError(`line ${number + 1} is longer than 16 MiB`)
    if (rest.length > 0) parts.push(rest)
  }
  if (held > 0) {
    const line = take(new Uint8Array())
    if (line !== undefined) yield line
  }
}

// The decoder drops a byte order mark, which belongs to no line.
const utf8 = new TextDecoder('utf-8', { fatal: true })

function decode(bytes: Uint8Array, number: number): string {
  try {
    return utf8.decode(bytes).replace(/\r$/, '')
  } catch {
    throw new UsageError(`line ${number} is not UTF-8`)
  }
}
