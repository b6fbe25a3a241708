/** The hub's log on standard error, as JSON lines. Payloads and credentials never reach it. */

import pino from 'pino'
import type { Happenings } from '../core/happenings.ts'

export interface HubLog {
  readonly happenings: Happenings
}

export function createLog(level: string): HubLog {
  const log = pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime }, pino.destination(2))
  return {
    happenings: {
      failed: (what, cause) => log.error({ err: cause }, `failed: ${what}`),
      noticed: (what, details = {}) => log.warn(details, what),
    },
  }
}
