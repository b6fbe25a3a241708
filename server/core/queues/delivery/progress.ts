/** What consumers tell of jobs while they work on them: from what they hand in to what a queue keeps, and to what is shown. */

import { RepriseError } from '../../../../shared/errors.ts'
import { type Limits, MAX_BATCH_BYTES } from '../../../../shared/protocol.ts'
import { cutText } from '../../../../shared/queues/cutText.ts'
import {
  type JobReport,
  MAX_LOG_LENGTH,
  MAX_LOG_LINES,
  MAX_PROGRESS_BYTES,
  type Reported,
} from '../../../../shared/queues/progress.ts'
import type { JobLook } from '../../../../shared/queues.ts'
import type { Body, Report, Told } from '../../../store/contract/store.ts'
import { bodiesOf, bodyBytes, contentOf } from '../../body.ts'

interface Merged {
  readonly reports: readonly Report[]
  /** One answer for each that was handed in. */
  answers(told: readonly Reported[]): readonly Reported[]
}

/** Those of one lease are one. Throws `bad_request` or `too_large`, naming the report. */
export function mergedReports(given: readonly JobReport[], limits: Limits): Merged {
  const reports: { id: string; lease: string; value?: Body; log?: string[] }[] = []
  const places = new Map<string, number>()
  let bytes = 0
  const placeOf = given.map(({ id, lease, value, log }, index) => {
    const body = value === undefined ? undefined : bodyOf(value, index, limits)
    bytes += body === undefined ? 0 : bodyBytes(body)
    if (bytes > MAX_BATCH_BYTES) {
      throw new RepriseError('too_large', `the values of one call have more than ${MAX_BATCH_BYTES} bytes together`)
    }
    const name = `${lease}\n${id}`
    const place = places.get(name) ?? reports.push({ id, lease }) - 1
    places.set(name, place)
    const report = reports[place]
    if (report !== undefined && body !== undefined) report.value = body
    if (report !== undefined && log !== undefined) {
      report.log ??= []
      report.log.push(cutText(log, MAX_LOG_LENGTH))
      if (report.log.length > 2 * MAX_LOG_LINES) report.log = report.log.slice(-MAX_LOG_LINES)
    }
    return place
  })
  return { reports, answers: (told) => placeOf.map((place) => told[place] ?? 'lost') }
}

function bodyOf(value: unknown, index: number, limits: Limits): Body | undefined {
  try {
    return bodiesOf([{ data: value }], { ...limits, payload: Math.min(limits.payload, MAX_PROGRESS_BYTES) })[0]
  } catch (error) {
    if (!(error instanceof RepriseError)) throw error
    throw new RepriseError(error.code, error.message.replace(/^draft 0/, `the value of report ${index}`))
  }
}

/** As it is told to whoever looks at a job, with bytes as they are. */
export function toldOf({ progress, log }: Told): Pick<JobLook, 'progress' | 'log'> {
  return { ...(progress !== undefined && { progress: contentOf(progress).data }), ...(log !== undefined && { log }) }
}

/** About what of a page it takes. */
export function toldSize({ progress, log = [] }: Told): number {
  return (progress?.json.length ?? 0) + log.reduce((sum, { text }) => sum + text.length + 32, 0)
}
