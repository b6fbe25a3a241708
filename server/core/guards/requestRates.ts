/**
 * How much one address may ask for in a second by requests: so many of them, and so many bytes. Asked before anything of a
 * request is looked at. Whoever goes on all the same is cut off without an answer.
 */

import { RepriseError } from '../../../shared/errors.ts'
import { type Addresses, type Asked, networkOf } from './addresses.ts'
import { SharedRate } from './sharedRate.ts'

/** What is looked at of a request. */
interface Asking extends Asked {
  readonly socket: Asked['socket'] & { readonly bytesRead: number; destroy(): unknown }
  once(event: 'close', listener: () => void): unknown
}

export interface RequestRules {
  readonly callsPerSecond: number
  readonly bytesPerSecond: number
}

/** Refusals within one second, in seconds' worth and at most. */
const PATIENCE = { seconds: 10, refusals: 10_000 }

export class RequestRates {
  readonly #rules: RequestRules
  readonly #addresses: Addresses
  readonly #requests: SharedRate
  readonly #bytes: SharedRate
  /** What of each connection is counted. */
  readonly #counted = new WeakMap<object, number>()

  constructor(rules: RequestRules, addresses: Addresses) {
    this.#rules = rules
    this.#addresses = addresses
    this.#requests = new SharedRate(rules.callsPerSecond)
    this.#bytes = new SharedRate(rules.bytesPerSecond)
  }

  /** Why this request is not served. */
  async refusal(request: Asking): Promise<RepriseError | undefined> {
    const network = networkOf(this.#addresses.of(request))
    if (network === undefined) return undefined
    const { callsPerSecond, bytesPerSecond } = this.#rules
    const { waitMs, refused } = await this.#requests.take(network, 1)
    const most = Math.min(callsPerSecond * PATIENCE.seconds, PATIENCE.refusals)
    // A proxy's connection serves others, too.
    if (refused > most && !this.#addresses.isProxy(request.socket.remoteAddress)) request.socket.destroy()
    if (waitMs > 0) return tooMany(network, `${callsPerSecond} requests a second`, 'callsPerSecond', waitMs)
    if (!this.#bytes.isBound) return undefined
    const bytesMs = await this.#bytes.take(network, this.#fresh(request))
    // The rest of it, once it is there. What comes after an upgrade is counted with its connection.
    if (request.headers.upgrade === undefined)
      request.once('close', () => void this.#bytes.take(network, this.#fresh(request)))
    if (bytesMs.waitMs === 0) return undefined
    return tooMany(network, `${bytesPerSecond} bytes a second`, 'bytesPerSecond', bytesMs.waitMs)
  }

  /** What has come on its connection since this was asked last. */
  #fresh({ socket }: Asking): number {
    const before = this.#counted.get(socket) ?? 0
    this.#counted.set(socket, socket.bytesRead)
    return socket.bytesRead - before
  }
}

function tooMany(network: string, has: string, limit: string, retryAfterMs: number): RepriseError {
  const message = `${network} has ${has}, which is the limit (limits.${limit}): wait, and ask again`
  return new RepriseError('too_many', message, { retryAfterMs })
}
