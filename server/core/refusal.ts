/** The one place where an error of unknown kind becomes `internal`: logged with its cause, told without it. */

import { RepriseError } from '../../shared/errors.ts'
import type { Telemetry } from './telemetry.ts'

export function refusalOf(error: unknown, what: string, telemetry: Telemetry): RepriseError {
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
