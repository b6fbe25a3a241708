/** The hub's log on standard error, as JSON lines. Payloads and credentials never reach it. */

import pino from 'pino'
import { RepriseError } from '../../shared/errors.ts'
import type { Happenings } from '../core/happenings.ts'

export interface HubLog {
  readonly happenings: Happenings
}

export function createLog(level: string): HubLog {
  const log = pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime }, pino.destination(2))
  return {
    happenings: {
      failed: (what, cause) => {
        // What has a code is known; where it was thrown tells nobody anything.
        if (cause instanceof RepriseError && cause.code !== 'internal') {
          log.error({ code: cause.code }, `failed: ${what}: ${cause.message}`)
        } else log.error({ err: cause }, `failed: ${what}`)
      },
      noticed: (what, details = {}) => log.warn(details, what),
    },
  }
}
