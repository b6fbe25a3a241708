/** How a command ends: the exit codes, and which of them an error means. The table in docs/cli.md is held against this. */

import { messageOf, RepriseError } from '../shared/errors.ts'
import { printable } from '../shared/printable.ts'

export const EXIT = {
  /** Done. */
  ok: 0,
  /** It did not work: no hub there, an answer that did not come, a port that is taken. */
  failed: 1,
  /** Wrong use: a command, an option, a value or a line of input that cannot be. */
  usage: 2,
  /** The hub refused: not allowed, not found, too large, taken over … */
  refused: 3,
  /** Events are gone and `--on-gap fail` was given. */
  gap: 4,
  /** Interrupted by Ctrl-C. */
  interrupted: 130,
  /** Ended by SIGTERM. */
  terminated: 143,
} as const

export type ExitCode = (typeof EXIT)[keyof typeof EXIT]

/** Wrong use, as the user gave it. The message says what would be right. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
  /** Where several things are wrong: all of them, the message's among them. */
  readonly faults: readonly string[] | undefined

  constructor(
    message: string,
    { faults, cause }: { readonly faults?: readonly string[]; readonly cause?: unknown } = {},
  ) {
    super(message, cause === undefined ? undefined : { cause })
    this.faults = faults
  }
}

/** What `read` refuses was given wrong by the user. */
export function asUsage<T>(read: () => T): T {
  try {
    return read()
  } catch (error) {
    throw error instanceof RepriseError ? new UsageError(error.message, { cause: error }) : error
  }
}

/** An ending that is no error and still has a code. */
export class Ended extends Error {
  override readonly name = 'Ended'
  readonly exitCode: ExitCode

  constructor(exitCode: ExitCode) {
    super('ended')
    this.exitCode = exitCode
  }
}

export function exitCodeOf(error: unknown): ExitCode {
  if (error instanceof Ended) return error.exitCode
  if (error instanceof UsageError) return EXIT.usage
  if (!(error instanceof RepriseError)) return EXIT.failed
  const { code } = refusalOf(error)
  if (code === 'gap') return EXIT.gap
  return ['unavailable', 'timeout', 'internal'].includes(code) ? EXIT.failed : EXIT.refused
}

/** What the hub refused again and again until the time was up, is refused. */
function refusalOf(error: RepriseError): RepriseError {
  return error.code === 'timeout' && error.cause instanceof RepriseError ? refusalOf(error.cause) : error
}

/** What standard error says: a line for each thing that is wrong, as text; one object as JSON. */
export function errorLine(error: unknown, json: boolean): string {
  const message = messageOf(error)
  const faults = error instanceof UsageError ? error.faults : undefined
  if (!json) return (faults ?? [message]).map((fault) => `reprise: ${printable(fault)}`).join('\n')
  const known = error instanceof Error && error.cause instanceof RepriseError ? error.cause : error
  const wire =
    known instanceof RepriseError
      ? { ...refusalOf(known).toWire(), message }
      : {
          code: error instanceof UsageError ? 'bad_request' : 'failed',
          message,
          ...(faults === undefined ? {} : { faults }),
        }
  return JSON.stringify({ error: wire })
}
