/** The limits: what clients are told of, and what connections, addresses and callers may take. */

import type { z } from 'zod'
import { DEFAULT_LIMITS, type Limits, MAX_PAYLOAD_BYTES } from '../../shared/protocol.ts'
import { readBytes, readCount, readDurationMs } from '../../shared/units.ts'
import { bound, bytes, type Count, type Duration, known, optional, positive, type Size, value } from './checks.ts'

/** What each of them stops, and what is answered: docs/security.md. */
export interface LimitOptions {
  /** Bytes of one draft. Default 256 KiB. */
  readonly payload?: Size
  /** Drafts in one call. Default 1,000. */
  readonly batch?: number
  /** Bytes of one packet, or of a request's body. Default 2 MiB. */
  readonly packet?: Size
  /** Topics, and the queues, that one connection may be in. Default 10,000. */
  readonly namespacesPerSocket?: number
  /** Connections that one address may have. Default 20,000; behind a proxy see `trustProxy`. */
  readonly connectionsPerAddress?: Count
  /** Calls of one connection, and requests of one address, in a second. Default 20,000. */
  readonly callsPerSecond?: Count
  /** Bytes that one connection, or the requests of one address, bring in a second. Default 128 MiB. */
  readonly bytesPerSecond?: Size
  /** Drafts that one subject publishes and sends in a second. Default `'unlimited'`. */
  readonly publishesPerSecond?: Count
  /** How long a connection may be in none of them, and may leave a packet unfinished. Default 10 s. */
  readonly connectTimeoutMs?: Duration
  /** Bytes of the packet that enters a namespace, with its token. Default 2 MiB. */
  readonly handshakeBytes?: Size
  /** Requests of one subject that wait for something to come. Default 10,000. */
  readonly longPolls?: Count
  /** Streams of server-sent events that one subject may have. Default 10,000. */
  readonly streams?: Count
  /** Subscriptions of one subject that read what is kept at a time. Default 20,000. */
  readonly replays?: Count
  /** Bytes of bodies and packets that are not complete, of all connections together. Default 256 MiB. */
  readonly unfinishedBytes?: Size
  /** Objects within a schema that comes over HTTP: a schema for each property, and so on. Default 250. */
  readonly schemaParts?: Count
  /** Schedules of one queue. Default 1,000. */
  readonly schedules?: Count
}

export type ResolvedLimits = Readonly<Record<keyof LimitOptions, number>>

const UNLIMITED = Number.POSITIVE_INFINITY

export const LIMIT_DEFAULTS: ResolvedLimits = {
  ...DEFAULT_LIMITS,
  namespacesPerSocket: 10_000,
  connectionsPerAddress: 20_000,
  callsPerSecond: 20_000,
  bytesPerSecond: 128 * 1_048_576,
  // One process with one subject may well be all that publishes, at whatever rate its hub can take.
  publishesPerSecond: UNLIMITED,
  connectTimeoutMs: 10_000,
  handshakeBytes: 2 * 1_048_576,
  longPolls: 10_000,
  streams: 10_000,
  replays: 20_000,
  unfinishedBytes: 256 * 1_048_576,
  schemaParts: 250,
  schedules: 1_000,
}

const count = (what: string) => bound(`a number of ${what}, 1 or more`, readCount)
const filled = value('a size of 1 byte or more', (input) => readBytes(input) || undefined)
const size = bound('a size: a number of bytes, or one with KB, MB, GB, KiB, MiB or GiB', readBytes)

export const limitFields = {
  payload: filled,
  batch: positive,
  packet: bytes,
  namespacesPerSocket: positive,
  connectionsPerAddress: count('connections'),
  callsPerSecond: count('calls a second'),
  bytesPerSecond: size,
  publishesPerSecond: count('drafts a second'),
  connectTimeoutMs: value('a duration of 1 ms or more', (input) => readDurationMs(input) || undefined),
  handshakeBytes: filled,
  longPolls: count('requests'),
  streams: count('streams'),
  replays: count('subscriptions'),
  unfinishedBytes: bytes,
  schemaParts: count('parts'),
  schedules: count('schedules'),
} as const

type LimitFields = typeof limitFields

export const limitOptions = known(
  Object.fromEntries(Object.entries(limitFields).map(([name, field]) => [name, optional<z.ZodType>(field)])) as {
    [Name in keyof LimitFields]: z.ZodExactOptional<LimitFields[Name]>
  },
)

/** What of them is wrong together; each sentence begins with the option. */
export function limitFaults(given: Partial<ResolvedLimits> = {}): readonly string[] {
  const { payload, packet, unfinishedBytes, bytesPerSecond }: ResolvedLimits & Limits = { ...LIMIT_DEFAULTS, ...given }
  if (payload > MAX_PAYLOAD_BYTES) {
    return [`limits.payload: ${payload} is over ${MAX_PAYLOAD_BYTES} (64 MiB), the most that a packet may have`]
  }
  for (const [name, bytes] of Object.entries({ unfinishedBytes, bytesPerSecond })) {
    if (bytes < packet) return [`limits.${name}: ${bytes} is too little for one packet of ${packet}`]
  }
  if (packet >= payload + 1_024) return []
  return [`limits.packet: ${packet} is too little for one payload of ${payload}; give ${payload + 1_024} or more`]
}
