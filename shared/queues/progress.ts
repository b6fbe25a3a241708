/** The wire's types of what consumers tell of jobs while they work on them, as docs/protocol.md describes it. */

/** What is told of a job, under its lease: one of the two at least. */
export interface JobReport {
  readonly id: string
  readonly lease: string
  /** How far it is, in place of what was told before. */
  readonly value?: unknown
  /** A line for the job's log, of which the last 100 are kept. */
  readonly log?: string
}

/** `lost`: the job is over, or another was given it, and nothing is kept of what was told. */
export type Reported = 'ok' | 'lost'

export interface LogLine {
  readonly at: number
  readonly text: string
}

/** The largest value, in bytes as JSON: it is read and written anew with each report. */
export const MAX_PROGRESS_BYTES = 65_536
/** The longest line; what is longer is cut. */
export const MAX_LOG_LENGTH = 2_000
/** Lines that a job keeps, and the bytes of their texts: the oldest go first. */
export const MAX_LOG_LINES = 100
export const MAX_LOG_BYTES = 65_536
