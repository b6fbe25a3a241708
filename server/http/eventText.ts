/**
 * Events as JSON text over HTTP. JSON has no bytes, so they become base64: as `base64` instead of `data` where all of it
 * is binary, else as text in their places, with the ways to those places in `binary`.
 */

import { eventObject, eventText, type Kept } from '../core/topics/packet.ts'

/** The stored text as it is, where there is nothing binary in it. */
export function httpEventText(event: Kept): string {
  const { binaries } = event.body
  if (binaries === undefined) return eventText(event)
  const { data, ...rest } = eventObject({
    ...event,
    body: { json: event.body.json, binaries: [] },
  })
  if (binaries[0]?.path.length === 0) return JSON.stringify({ ...rest, base64: base64(binaries[0].bytes) })
  for (const { path, bytes } of binaries) place(data, path, base64(bytes))
  return JSON.stringify({ ...rest, data, binary: binaries.map(({ path }) => path) })
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64')
}

function place(data: unknown, path: readonly (string | number)[], text: string): void {
  let at = data as Record<string | number, unknown>
  for (const step of path.slice(0, -1)) at = at[step] as Record<string | number, unknown>
  at[path.at(-1) ?? ''] = text
}
