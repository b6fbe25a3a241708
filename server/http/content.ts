/**
 * Data over HTTP. JSON has no bytes, so they become base64: as `base64` instead of `data` where all of it is binary, else
 * as text in their places, with the ways to those places in `binary`.
 */

interface Binary {
  readonly path: readonly (string | number)[]
  readonly bytes: Uint8Array
}

/** `content` has its data without the bytes; they are put into it. */
export function httpContent({ data, ...rest }: { readonly data?: unknown }, binaries: readonly Binary[] = []): object {
  const [first] = binaries
  if (first === undefined) return { ...rest, data }
  if (first.path.length === 0) return { ...rest, base64: base64(first.bytes) }
  for (const { path, bytes } of binaries) place(data, path, base64(bytes))
  return { ...rest, data, binary: binaries.map(({ path }) => path) }
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64')
}

function place(data: unknown, path: readonly (string | number)[], text: string): void {
  let at = data as Record<string | number, unknown>
  for (const step of path.slice(0, -1)) at = at[step] as Record<string | number, unknown>
  at[path.at(-1) ?? ''] = text
}
