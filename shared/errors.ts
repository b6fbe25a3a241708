/** The codes of errors and the one class that carries them. What only the hub and its papers need is in errorTable.ts. */

/** The codes; whether the same call may succeed later without being changed. */
export const RETRYABLE = {
  bad_request: false,
  unauthorized: false,
  forbidden: false,
  not_found: false,
  conflict: false,
  stale_epoch: false,
  taken_over: false,
  gap: false,
  failed: false,
  too_large: false,
  unsupported: false,
  too_many: true,
  internal: true,
  unavailable: true,
  timeout: true,
  storage_full: true,
} as const satisfies Record<string, boolean>

export type ErrorCode = keyof typeof RETRYABLE

/** An error as it travels: in replies, in `err.data` of a refused namespace, in `problem+json`. */
export interface WireError {
  readonly code: ErrorCode
  readonly message: string
  readonly retryable: boolean
  /** Milliseconds after which a retry may succeed. */
  readonly retryAfterMs?: number
}

export function isErrorCode(value: unknown): value is ErrorCode {
  return typeof value === 'string' && Object.hasOwn(RETRYABLE, value)
}

/** A program may load this module more than once: by `import` and by `require`, in the SDK and in the hub. */
const BRAND = Symbol.for('reprise.error')

/**
 * What every refused call ends in, at both ends of the wire. Compare `code`, never `message`. `instanceof` holds for the
 * errors of every copy of this package in a program.
 */
export class RepriseError extends Error {
  override readonly name = 'RepriseError'
  readonly code: ErrorCode
  readonly retryAfterMs: number | undefined

  constructor(code: ErrorCode, message: string, options: { retryAfterMs?: number; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.retryAfterMs = options.retryAfterMs
    Object.defineProperty(this, BRAND, { value: true })
  }

  static override [Symbol.hasInstance](value: unknown): boolean {
    // biome-ignore lint/complexity/noThisInStatic: a class that extends this one asks for its own instances
    if (this !== RepriseError) return Function.prototype[Symbol.hasInstance].call(this, value)
    return typeof value === 'object' && value !== null && BRAND in value
  }

  get retryable(): boolean {
    return RETRYABLE[this.code]
  }

  toWire(): WireError {
    const { code, message, retryable, retryAfterMs } = this
    return retryAfterMs === undefined ? { code, message, retryable } : { code, message, retryable, retryAfterMs }
  }

  /** The error of a reply or of `err.data`. One that has not travelled stays as it is; anything else becomes `internal`. */
  static fromWire(error: unknown): RepriseError {
    if (error instanceof RepriseError) return error
    const { code, message, retryAfterMs } = (typeof error === 'object' && error !== null ? error : {}) as Partial<
      Record<keyof WireError, unknown>
    >
    return new RepriseError(
      isErrorCode(code) ? code : 'internal',
      typeof message === 'string' ? message : 'the hub answered with an error of unknown shape',
      typeof retryAfterMs === 'number' ? { retryAfterMs } : {},
    )
  }
}

/** Whether it is a refusal with this code. */
export function hasCode(error: unknown, code: ErrorCode): error is RepriseError {
  return error instanceof RepriseError && error.code === code
}

/** What went wrong, in its own words. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
