/**
 * How much a connection of Socket.IO may ask for in a second: calls and entrances, and bytes. What is over it is refused
 * before anything is done for it. Whoever goes on all the same is let go of.
 */

import type { Socket } from 'socket.io'
import { RepriseError } from '../../shared/errors.ts'
import { Rate } from '../core/guards/rate.ts'
import { cut } from './transport/connections.ts'
import { isOverfull } from './transport/flow.ts'
import { readingOf } from './transport/reading.ts'

type Connection = Socket['conn']

export interface RateRules {
  readonly callsPerSecond: number
  readonly bytesPerSecond: number
}

/** Refusals in a row, without a second between two of them, and seconds' worth of bytes that are owed. */
const PATIENCE = { seconds: 10, refusals: 10_000 }
const QUIET_MS = 1_000

const known = new WeakMap<Connection, ConnectionRates>()

/** From now on. */
export function boundRates(connection: Connection, rules: RateRules): void {
  if (!known.has(connection)) known.set(connection, new ConnectionRates(connection, rules))
}

/** Those of a connection that is not of this process itself. */
export function ratesOf(connection: Connection): ConnectionRates | undefined {
  return known.get(connection)
}

/**
 * Counted here and not by the library that counts what subjects do (server/core/guards/sharedRate.ts): its promise would let
 * calls overtake each other, and a refusal costs it more than the call that is refused.
 */
class ConnectionRates {
  readonly #connection: Connection
  readonly #rules: RateRules
  readonly #calls: Rate
  readonly #bytes: Rate
  /** Bytes that came since the last call: those of the next one. */
  #fresh = 0
  #refused = 0
  #refusedAt = 0

  constructor(connection: Connection, rules: RateRules) {
    this.#connection = connection
    this.#rules = rules
    this.#calls = new Rate(rules.callsPerSecond)
    this.#bytes = new Rate(rules.bytesPerSecond)
    if (rules.bytesPerSecond !== Number.POSITIVE_INFINITY) {
      readingOf(connection).on('data', (data) => this.#came(data.length))
    }
  }

  /** Why the next call is not made. It was the last one where there were too many. */
  refusal(): RepriseError | undefined {
    const bytes = this.#fresh
    this.#fresh = 0
    const { callsPerSecond, bytesPerSecond } = this.#rules
    const callsMs = callsPerSecond === Number.POSITIVE_INFINITY ? 0 : this.#calls.overMs()
    if (callsMs > 0) return this.#refuse(`${callsPerSecond} calls a second`, 'callsPerSecond', callsMs)
    const bytesMs = bytes === 0 ? 0 : this.#bytes.overMs(bytes)
    if (bytesMs > 0) return this.#refuse(`${bytesPerSecond} bytes a second`, 'bytesPerSecond', bytesMs)
    this.#calls.use(1)
    return undefined
  }

  #came(bytes: number): void {
    this.#fresh += bytes
    this.#bytes.use(bytes)
    if (this.#bytes.overMs() > PATIENCE.seconds * 1_000) cut(this.#connection)
  }

  #refuse(has: string, limit: string, retryAfterMs: number): RepriseError {
    const now = performance.now()
    this.#refused = now - this.#refusedAt > QUIET_MS ? 1 : this.#refused + 1
    this.#refusedAt = now
    const most = Math.min(this.#rules.callsPerSecond * PATIENCE.seconds, PATIENCE.refusals)
    // Or it does not even read why it is refused.
    if (this.#refused > most || isOverfull(this.#connection)) cut(this.#connection)
    const message = `this connection has ${has}, which is the limit (limits.${limit}): wait, and ask again`
    return new RepriseError('too_many', message, { retryAfterMs })
  }
}
