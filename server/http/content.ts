/**
 * Data over HTTP. JSON has no bytes, so they become base64: as `base64` instead of `data` where all of it is binary, else
 * as text in their places, with the ways to those places in `binary`.
 */

import { plainContent } from '../core/body.ts'
import type { Kept } from '../core/topics/packet.ts'

export type StoredBody = Kept['body']

export function httpContent(body: StoredBody): object {
  const { data, ...rest } = plainContent(body)
  const binary = waysIn(body)
  return binary?.[0]?.length === 0 ? { ...rest, base64: data } : { ...rest, data, binary }
}

/** To the bytes in it; `undefined` where there are none. */
export function waysIn({ binaries }: StoredBody) {
  return binaries?.map(({ path }) => path)
}
