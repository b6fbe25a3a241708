/** The pages that may connect, as options name them. */

import type { IncomingMessage } from 'node:http'

/** Which pages may connect: any (`*`), these origins, or what a function says of one. */
export type AllowOrigins =
  | '*'
  | readonly string[]
  | ((origin: string, request: IncomingMessage) => boolean | Promise<boolean>)

export function readOrigins(input: unknown): AllowOrigins | undefined {
  if (input === '*') return input
  if (typeof input === 'function') return input as Extract<AllowOrigins, (...args: never[]) => unknown>
  const list = typeof input === 'string' ? input.split(',').map((origin) => origin.trim()) : input
  if (!Array.isArray(list)) return undefined
  if (list.length === 1 && list[0] === '*') return '*'
  const origins = list.map(readOrigin)
  return origins.every((origin) => origin !== undefined) ? origins : undefined
}

/** `null` is what pages from files and sandboxed frames send. */
function readOrigin(input: unknown): string | undefined {
  if (input === 'null') return input
  if (typeof input !== 'string' || !/^[a-z][a-z0-9+.-]*:\/\/[^/]+\/?$/i.test(input) || !URL.canParse(input))
    return undefined
  const { origin } = new URL(input)
  return origin === 'null' ? input.replace(/\/$/, '') : origin
}
