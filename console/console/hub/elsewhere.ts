/** How a shell or a program reaches this hub, as text to take along: where it is, and with which token. */

import type { Http } from './http.ts'
import { socketPath } from './tab.ts'

const { origin } = location
const isUsual = socketPath === '/socket.io'

/** `path` behind `/v1`; the hub may be mounted below a path of a program. */
export function curl({ token }: Http, path: string): string {
  const auth = token === undefined ? '' : ` -H "authorization: Bearer $REPRISE_TOKEN"`
  return `curl ${new URL(`v1${path}`, location.href).href}${auth}`
}

/** `options`: as they stand in a program, each for itself. */
export function connectCall({ token }: Http, ...options: readonly string[]): string {
  const all = [
    ...options,
    ...(isUsual ? [] : [`path: '${socketPath}'`]),
    ...(token === undefined ? [] : ['token: process.env.REPRISE_TOKEN']),
  ]
  return `connect('${origin}'${all.length === 0 ? '' : `, { ${all.join(', ')} }`})`
}

/** Of the command line, which takes the token from `REPRISE_TOKEN`. */
export function remoteFlags(): string {
  return ` --url ${origin}${isUsual ? '' : ` --path ${socketPath}`}`
}
