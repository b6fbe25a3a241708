/** What each happening is called, and how much of a matter it is: in the log and in the console. */

import type { TelemetryEvent } from '../core/telemetry.ts'

export type Level = 'error' | 'warn' | 'info'

export const WORDS: Readonly<Record<TelemetryEvent['kind'], readonly [Level, string]>> = {
  started: ['info', 'started'],
  stopping: ['info', 'stopping'],
  stopped: ['info', 'stopped'],
  storeAway: ['error', 'store away'],
  storeBack: ['info', 'store back'],
  rotating: ['info', 'putting what is stored under the present key'],
  rotated: ['info', 'what is stored is under the present key'],
  takeover: ['info', 'a newer session of a client took over'],
  consumerLost: ['warn', 'consumer lost'],
  deadLetters: ['warn', 'dead letters'],
  breakerTripped: ['error', 'queue paused itself'],
  lifeStuck: ['error', 'the life of a queue cannot be moved to its topic'],
  lifeMoved: ['info', 'the life of a queue is moved to its topic again'],
  leasesLapsed: ['warn', 'leases lapsed'],
  acted: ['info', 'changed'],
  gap: ['warn', 'gap told'],
  slow: ['warn', 'slow client'],
  idsForgotten: ['warn', 'ids forgotten early'],
  refused: ['warn', 'refused'],
}
