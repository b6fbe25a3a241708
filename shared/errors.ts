/** The one table of errors, and the one class that carries them. README and docs/protocol.md are held against it. */

interface ErrorKind {
  /** Status of the HTTP answer. */
  readonly http: number
  /** Whether the same call may succeed later without being changed. */
  readonly retryable: boolean
  /** When it is answered. */
  readonly when: string
}

export const ERRORS = {
  bad_request: { http: 400, retryable: false, when: 'malformed, wrong type, impossible value' },
  unauthorized: { http: 401, retryable: false, when: 'no or bad token' },
  forbidden: { http: 403, retryable: false, when: 'not granted; also what one may not know of' },
  not_found: { http: 404, retryable: false, when: 'no such thing' },
  conflict: { http: 409, retryable: false, when: 'contradicts what is stored' },
  stale_epoch: { http: 409, retryable: false, when: 'a position of another epoch' },
  taken_over: { http: 409, retryable: false, when: 'a newer session of this client took over' },
  gap: { http: 410, retryable: false, when: "`onGap: 'fail'` met a gap" },
  failed: { http: 502, retryable: false, when: 'the requested job was dead-lettered' },
  too_large: { http: 413, retryable: false, when: 'over a size limit' },
  unsupported: {
    http: 426,
    retryable: false,
    when: 'wire version, draft feature or option this hub does not speak',
  },
  too_many: { http: 429, retryable: true, when: 'rate or fill limit; `retryAfterMs`' },
  internal: { http: 500, retryable: true, when: 'a bug; logged with its cause' },
  unavailable: { http: 503, retryable: true, when: 'store away, hub draining' },
  timeout: { http: 504, retryable: true, when: 'no answer in time' },
  storage_full: { http: 507, retryable: true, when: 'disk or memory of the store is full' },
} as const satisfies Record<string, ErrorKind>

export type ErrorCode = keyof typeof ERRORS

/** An error as it travels: in replies, in `err.data` of a refused namespace, in `problem+json`. */
export interface WireError {
  readonly code: ErrorCode
  readonly message: string
  readonly retryable: boolean
  /** Milliseconds after which a retry may succeed. */
  readonly retryAfterMs?: number
}

export function isErrorCode(value: unknown): value is ErrorCode {
  return typeof value === 'string' && Object.hasOwn(ERRORS, value)
}

/** What every refused call ends in, at both ends of the wire. Compare `code`, never `message`. */
export class RepriseError extends Error {
  override readonly name = 'RepriseError'
  readonly code: ErrorCode
  readonly retryAfterMs: number | undefined

  constructor(code: ErrorCode, message: string, options: { retryAfterMs?: number; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.retryAfterMs = options.retryAfterMs
  }

  get retryable(): boolean {
    return ERRORS[this.code].retryable
  }

  toWire(): WireError {
    const { code, message, retryable, retryAfterMs } = this
    return retryAfterMs === undefined ? { code, message, retryable } : { code, message, retryable, retryAfterMs }
  }

  /** The error of a reply or of `err.data`; anything that is none becomes `internal`. */
  static fromWire(error: unknown): RepriseError {
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
