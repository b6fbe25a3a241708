/**
 * The hub's log on standard error: one line a happening, as JSON, or readable where a person looks. Payloads and
 * credentials never reach it. Lines that come again and again are counted; stacks are for bugs alone.
 */

import { writeSync } from 'node:fs'
import { createRequire } from 'node:module'
import { isatty } from 'node:tty'
import type { Logger, pino as Pino } from 'pino'
import { type ErrorCode, messageOf, RepriseError } from '../../shared/errors.ts'
import type { Detail, Reports, TelemetryEvent } from '../core/telemetry.ts'
import { readableLine } from './readable.ts'
import { Repeats } from './repeats.ts'
import { type Level, WORDS } from './words.ts'

export interface HubLog {
  readonly telemetry: Reports
  /** What is still counted is told. */
  close(): void
}

/** Takes lines, each with its line feed. */
export interface LogOutput {
  write(line: string): unknown
}

/** Each of them counts. */
const UNCOUNTED: readonly TelemetryEvent['kind'][] = [
  'started',
  'stopping',
  'stopped',
  'storeAway',
  'storeBack',
  'rotating',
  'rotated',
]

/** Of what callers are refused with, what says more of the caller than of one call. */
const TOLD_REFUSALS: readonly ErrorCode[] = ['unauthorized', 'forbidden', 'too_many']

const FD = 2

const STANDARD_ERROR: LogOutput = {
  write(line) {
    try {
      writeSync(FD, line)
    } catch {
      // Nobody reads it, or not fast enough: no reason for the hub to stop.
    }
  },
}

export function createLog(level: string, output?: LogOutput, readable = output === undefined && isatty(FD)): HubLog {
  let opened: Logger | undefined
  const write = (as: Level | 'debug', details: object, text: string): void => {
    opened ??= openLogger(level, output ?? STANDARD_ERROR, readable)
    opened[as](details, text)
  }
  const repeats = new Repeats()
  // Who changed what is not to be hidden by other changes.
  const acts = new Repeats('not at all')
  const close = (): void => {
    repeats.close()
    acts.close()
  }
  const telemetry: Reports = {
    failed(what, cause) {
      const text = `failed: ${what}`
      if (isBug(cause)) {
        repeats.pass(text, (repeated) => write('error', { ...bug(cause), ...repeated }, text))
      } else {
        // Nearly all of it is a store that is away, and one line says so.
        repeats.pass('failed', (repeated) => write('error', { ...reasonOf(cause), ...repeated }, text))
      }
    },
    noticed(what, { cause, ...details } = {}) {
      const why = cause === undefined ? {} : isBug(cause) ? bug(cause) : reasonOf(cause)
      repeats.pass(what, (repeated) => write('warn', { ...details, ...why, ...repeated }, what))
    },
    happened(event) {
      const { kind, ...details } = event
      const [level, text] = WORDS[kind]
      if (UNCOUNTED.includes(kind)) return write(level, details, text)
      const told = (repeated: object) => write(level, { ...details, ...repeated }, text)
      if (event.kind === 'acted') return acts.pass(JSON.stringify(details), told)
      if (event.kind === 'refused' && !TOLD_REFUSALS.includes(event.code)) return
      repeats.pass(countedAs(event), told)
    },
  }
  if (level !== 'debug' && level !== 'trace') return { telemetry, close }
  const detail = ({ kind, ...details }: Detail): void => write('debug', details, kind)
  return { telemetry: { ...telemetry, detail }, close }
}

/** One flood does not hide what else is refused, nor a queue that stands still the other ones. */
function countedAs(event: TelemetryEvent): string {
  switch (event.kind) {
    case 'refused':
      return `${event.kind} ${event.code}`
    case 'breakerTripped':
    case 'lifeStuck':
    case 'lifeMoved':
      return `${event.kind} ${event.queue}`
    default:
      return event.kind
  }
}

/** Reads the library, a tenth of a hub's start, so not before the first line: when it serves already. */
function openLogger(level: string, output: LogOutput, readable: boolean): Logger {
  const pino = createRequire(import.meta.url)('pino') as typeof Pino
  return pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: {},
    },
    { write: (line: string) => void output.write(readable ? readableLine(line) : line) },
  )
}

/** Refusals, a store that is away or full, and what the system says are no bugs. */
function isBug(cause: unknown): boolean {
  if (cause instanceof RepriseError) return cause.code === 'internal'
  return !(cause instanceof Error && 'code' in cause && /^E[A-Z]+$/.test(String(cause.code)))
}

function reasonOf(cause: unknown): object {
  const code = cause instanceof Error && 'code' in cause ? { code: String(cause.code) } : {}
  return { reason: messageOf(cause), ...code }
}

/** Name, message and stack only: drivers hang the command that failed, payload included, on their errors. */
function bug(cause: unknown): object {
  if (!(cause instanceof Error)) return { err: { message: String(cause) } }
  const { name, message, stack, cause: inner } = cause
  return { err: { name, message, stack, ...(inner === undefined ? {} : { cause: bug(inner) }) } }
}
