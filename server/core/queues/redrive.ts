/** Bringing dead letters back: which ones, how fast, and what would happen. Each part is a step of its own. */

import { startTimer } from '../../../shared/timer.ts'
import type { JobInfo } from '../../store/contract/store.ts'
import { authorize, type Caller } from '../access.ts'
import { checkQueue } from './draft.ts'
import { isFitting, type JobFilter } from './filter.ts'
import type { Queues } from './queues.ts'

export interface RedriveQuery {
  readonly filter?: JobFilter
  /** Only counts. */
  readonly dryRun?: boolean
  /** Jobs a second. Default: as fast as it goes. */
  readonly rate?: number
  /** Dead letters that are looked at, in the order in which they came; the rest is for the next call. Default: all. */
  readonly limit?: number
  /** Behind this one: `next` of the call before. */
  readonly after?: string
}

export interface Redriven {
  /** Dead letters that the filter fits. */
  readonly matched: number
  readonly moved: number
  /** It ended by `limit` or `gone`: there may be more, behind `next` where there is one, else from the beginning. */
  readonly more: boolean
  readonly next?: string
  /** What came to the dead letters later was not looked at. */
  readonly asOf: number
}

const PART = 100

/** What came to the dead letters after it began is not looked at. `gone` stops it between two parts; nothing is lost. */
export async function redrive(
  queues: Queues,
  caller: Caller,
  queue: string,
  { filter = {}, dryRun = false, rate, limit = Number.POSITIVE_INFINITY, after }: RedriveQuery,
  { now, gone }: { readonly now: number; readonly gone: AbortSignal },
): Promise<Redriven> {
  checkQueue(queue, 'no dead')
  authorize(caller, 'admin', queue)
  const part = Math.max(1, Math.min(PART, limit, rate === undefined ? PART : Math.ceil(rate / 10)))
  const began = performance.now()
  let [matched, moved, looked] = [0, 0, 0]
  let place = after
  while (looked < limit && !gone.aborted) {
    const query = { state: 'ready', after: place, limit: Math.min(part, limit - looked) } as const
    const page = await queues.jobs(caller, `${queue}/dead`, query)
    if (page.length === 0) {
      if (place === undefined || (await isThere(queues, caller, `${queue}/dead`, place)))
        return { matched, moved, more: false, asOf: now }
      // Somebody took the letter that was the place: what is behind it is found from the beginning.
      place = undefined
      if (dryRun) matched = 0
      continue
    }
    looked += page.length
    const fits = page.filter((job) => isWanted(job, filter, now))
    matched += fits.length
    if (dryRun || fits.length === 0) {
      place = page.at(-1)?.id
      continue
    }
    moved += await queues.redrive(
      caller,
      queue,
      fits.map(({ id }) => id),
    )
    // What was moved is no place any more: the next page begins behind the last one that stayed.
    place = page.findLast((job) => !fits.includes(job))?.id ?? place
    if (rate !== undefined) await pause((moved / rate) * 1_000 - (performance.now() - began), gone)
  }
  const told = { matched, moved, more: true, asOf: now }
  return place === undefined ? told : { ...told, next: place }
}

/** Whether the queue has this job. */
export async function isThere(queues: Queues, caller: Caller, queue: string, id: string): Promise<boolean> {
  return (await queues.jobs(caller, queue, { ids: [id] })).length > 0
}

function isWanted(job: JobInfo, filter: JobFilter, now: number): boolean {
  const { dead } = job
  // What a binding could not copy is no job that could be done again.
  if (dead === undefined || dead.reason === 'gap' || dead.at > now) return false
  return isFitting(job, filter)
}

async function pause(ms: number, gone: AbortSignal): Promise<void> {
  if (ms <= 0 || gone.aborted) return
  await new Promise<void>((resolve) => {
    const end = () => {
      stop()
      gone.removeEventListener('abort', end)
      resolve()
    }
    const stop = startTimer(ms, end)
    gone.addEventListener('abort', end)
  })
}
