/**
 * The one place where an error of unknown kind becomes `internal`: logged with its cause, told without it. What a caller is
 * refused with passes here, and is counted.
 */

import { RepriseError } from '../../shared/errors.ts'
import type { Telemetry } from './telemetry.ts'

/** The system's own codes: the process, or the machine, has as many files and connections open as it may. */
const NO_FILES: readonly unknown[] = ['EMFILE', 'ENFILE']

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
  if (NO_FILES.includes((error as { readonly code?: unknown } | null | undefined)?.code)) {
    return new RepriseError('unavailable', 'the hub may open no more files; its log says more', { cause: error })
  }
  return new RepriseError('internal', 'the hub failed at this; its log says more', { cause: error })
}

/** Whether it may be over by itself: nobody has to be told of it. */
export function isPassing(error: unknown): boolean {
  return error instanceof RepriseError && error.retryable
}

export function draining(): RepriseError {
  return new RepriseError('unavailable', 'the hub is draining', { retryAfterMs: 1_000 })
}

export function unauthorized(message: string, cause?: unknown): RepriseError {
  return new RepriseError('unauthorized', message, cause === undefined ? {} : { cause })
}
