/**
 * The one place where an error of unknown kind becomes `internal`: logged with its cause, told without it. What a caller is
 * refused with passes here, and is counted.
 */

import { RepriseError } from '../../shared/errors.ts'
import type { Telemetry } from './telemetry.ts'

/** What the caller is answered. */
export function refusalOf(error: unknown, what: string, telemetry: Telemetry): RepriseError {
  const refusal = knownError(error, what, telemetry)
  telemetry.happened({ kind: 'refused', code: refusal.code, what, reason: refusal.message })
  return refusal
}

/** The same for what the caller may never hear of. */
export function knownError(error: unknown, what: string, telemetry: Telemetry): RepriseError {
  if (error instanceof RepriseError) {
    if (error.code === 'internal') telemetry.failed(what, error)
    return error
  }
  telemetry.failed(what, error)
  return new RepriseError('internal', 'the hub failed at this; its log says more', { cause: error })
}

export function unauthorized(message: string, cause?: unknown): RepriseError {
  return new RepriseError('unauthorized', message, cause === undefined ? {} : { cause })
}
