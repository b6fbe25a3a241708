/** Bringing dead letters back, or only counting those that fit: part by part, so that there is progress and a way to stop. */

import { part } from '../hub/http.ts'
import type { Session } from '../hub/session.ts'

export interface Filter {
  readonly reason?: string
  readonly error?: string
  readonly key?: string
}

interface Redriven {
  readonly matched: number
  readonly moved: number
  readonly more: boolean
  readonly next?: string
  readonly asOf: number
}

interface Redrive {
  readonly session: Session
  readonly queue: string
  readonly filter: Filter
  /** Only counts. */
  readonly isDry: boolean
  /** Jobs a second; as fast as it goes where there is none. */
  readonly rate?: number | undefined
  /** Stops between two parts, so that what was moved is known. */
  readonly stop: AbortSignal
  /** How many so far, and whether there may be more. */
  readonly told: (count: number, more: boolean) => void
}

/** Looked at by one call. */
const STEP = 200
/** With a rate a call is to take a few seconds. */
const STEP_S = 2

export async function redrive({ session, queue, filter, isDry, rate, stop, told }: Redrive): Promise<void> {
  let count = 0
  let [after, asOf]: [string | undefined, number | undefined] = [undefined, undefined]
  const limit = isDry || rate === undefined ? STEP : Math.max(1, Math.round(rate * STEP_S))
  while (!stop.aborted) {
    const body = {
      filter: asOf === undefined ? filter : { ...filter, before: asOf + 1 },
      limit,
      ...(isDry ? { dryRun: true } : {}),
      ...(isDry || rate === undefined ? {} : { rate }),
      ...(after === undefined ? {} : { after }),
    }
    const step: Redriven = await session.http.ask('POST', `/queues/${part(queue)}/redrive`, body)
    count += isDry ? step.matched : step.moved
    asOf ??= step.asOf
    after = step.next
    told(count, step.more)
    if (!step.more) return
  }
}
