/** Events and gaps as lines, for people and for programs. */

import type { Gap, Received } from '../../client/index.ts'
import { printable } from '../../shared/printable.ts'
import { colours } from './output.ts'

type Kept = Omit<Received, 'epoch'>

/** One JSON object: the event with its topic and epoch. */
export function eventJson(topic: string, epoch: string, event: Kept): string {
  const { offset, at, id, key, headers, data } = event
  return JSON.stringify({ topic, epoch, offset, at, id, key, headers, ...jsonContent(data) }, withBinary)
}

/** Data as JSON has it: where all of it is binary, as `base64` in its place. */
export function jsonContent(data: unknown): Record<string, unknown> {
  return isBinary(data) ? base64(data) : { data }
}

/** `12  2026-01-02T03:04:05.678Z  key  {"json":"data"}`; nothing an event holds can steer the terminal. */
export function eventText(event: Kept): string {
  const paint = colours()
  const labels = [event.key, ...Object.entries(event.headers ?? {}).map(([name, value]) => `${name}=${value}`)]
  const parts = [
    paint.dim(String(event.offset).padStart(6)),
    paint.dim(new Date(event.at).toISOString()),
    ...labels.filter((label) => label !== undefined).map((label) => paint.cyan(printable(label))),
    printable(JSON.stringify(event.data, withBinary) ?? 'null'),
  ]
  return parts.join('  ')
}

export function gapJson(topic: string, gap: Gap): string {
  return JSON.stringify({ topic, gap })
}

export function gapText({ from, to, count, reason }: Gap): string {
  if (count === 0) return colours().yellow(`-- the topic begins anew, nothing is missing: ${reason} --`)
  const what = count === null ? 'events, unknown how many,' : count === 1 ? 'one event' : `${count} events`
  const where = from === null || to === null ? '' : from === to ? ` (${from})` : ` (${from} to ${to})`
  return colours().yellow(`-- gap: ${what}${where} can no longer be read: ${reason} --`)
}

/** `toJSON` of a Buffer has run by then, so the value is looked up where it stands. */
function withBinary(this: unknown, key: string, value: unknown): unknown {
  const original = (this as Record<string, unknown>)[key]
  return isBinary(original) ? base64(original) : value
}

function isBinary(value: unknown): value is Uint8Array | ArrayBuffer {
  return value instanceof Uint8Array || value instanceof ArrayBuffer
}

function base64(bytes: Uint8Array | ArrayBuffer): { readonly base64: string } {
  const buffer =
    bytes instanceof ArrayBuffer ? Buffer.from(bytes) : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  return { base64: buffer.toString('base64') }
}
