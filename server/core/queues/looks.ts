/** How single jobs are looked at by clients: one by its id wherever it is, pages of a state, what became of one. */

import { RepriseError } from '../../../shared/errors.ts'
import type { JobLook, JobsPage, LookState } from '../../../shared/queues.ts'
import type { FinishedJob, JobInfo, JobPolicy, PageQuery } from '../../store/contract/store.ts'
import type { Caller } from '../access.ts'
import { contentOf } from '../body.ts'
import { toldOf, toldSize } from './delivery/progress.ts'
import type { Queues } from './queues.ts'
import { isThere } from './redrive.ts'
import { type Ended, unknownJob } from './requests.ts'
import { isDead, mainQueue } from './settings.ts'

/** A page ends behind so many characters of what is told. */
const PAGE_LENGTH = 524_288
/** Jobs that are asked of the store at once. */
const PART = 20
const DEFAULT_LIST = 100

/** `not_found`: it never was, or is not kept any more. */
export async function lookAtJob(queues: Queues, caller: Caller, queue: string, id: string): Promise<JobLook> {
  const found = await findJob(queues, caller, queue, id)
  if (found !== undefined) return waitingLook(found.queue, found.job)
  const [finished] = isDead(queue) ? [] : await queues.finished(caller, queue, { ids: [id] })
  if (finished === undefined) throw unknownJob(queue, id)
  return finishedLook(queue, finished)
}

/** Where a job is. */
export interface Found {
  readonly queue: string
  readonly job: JobInfo
}

/** In the queue, or among its dead letters. */
export async function findJob(queues: Queues, caller: Caller, queue: string, id: string): Promise<Found | undefined> {
  for (const name of isDead(queue) ? [queue] : [queue, `${queue}/dead`]) {
    const [job] = await queues.jobs(caller, name, { ids: [id] })
    if (job !== undefined) return { queue: name, job }
  }
  return undefined
}

export interface LookQuery {
  readonly state?: LookState
  readonly after?: string
  readonly limit?: number
}

/** Dead letters that nobody works on are `dead`; finished jobs begin with the last one. */
export async function lookAtJobs(
  queues: Queues,
  caller: Caller,
  queue: string,
  { state = 'ready', after, limit = DEFAULT_LIST }: LookQuery,
): Promise<JobsPage> {
  const jobs: JobLook[] = []
  let length = 0
  for (let last = after; ; ) {
    const part = Math.min(PART, limit - jobs.length)
    const looks = await partOf(queues, caller, queue, state, { after: last, limit: part })
    for (const { look, size } of looks) {
      jobs.push(look)
      length += size
      last = look.id
    }
    if (looks.length < part) {
      if (last === undefined || looks.length > 0 || (await isPlace(queues, caller, queue, state, last))) return { jobs }
      // Nobody knows what comes behind one that is gone.
      if (jobs.length > 0) return { jobs, next: last }
      throw placeGone(last)
    }
    if (jobs.length >= limit || length >= PAGE_LENGTH) return { jobs, ...(last !== undefined && { next: last }) }
  }
}

/** Of a list that was to go on behind this job. */
export function placeGone(id: string): RepriseError {
  return new RepriseError('not_found', `the job ${id} is gone, so nothing is behind it: list from the beginning`)
}

/** Whether the job is where those of its state are looked for. */
async function isPlace(queues: Queues, caller: Caller, queue: string, state: LookState, id: string): Promise<boolean> {
  if (state === 'done' || state === 'removed') {
    return (await queues.finished(caller, mainQueue(queue), { ids: [id] })).length > 0
  }
  return await isThere(queues, caller, nameFor(queue, state), id)
}

/** Of the queue that has the waiting jobs, or dead letters, of a state. */
function nameFor(queue: string, state: LookState): string {
  return state === 'dead' ? `${mainQueue(queue)}/dead` : queue
}

async function partOf(
  queues: Queues,
  caller: Caller,
  queue: string,
  state: LookState,
  from: PageQuery,
): Promise<{ readonly look: JobLook; readonly size: number }[]> {
  if (state === 'done' || state === 'removed') {
    const found = await queues.finished(caller, mainQueue(queue), { state, ...from })
    return found.map((job) => ({
      look: finishedLook(mainQueue(queue), job),
      size: (job.result?.json.length ?? 0) + toldSize(job),
    }))
  }
  const name = nameFor(queue, state)
  const found = await queues.jobs(caller, name, { state: state === 'dead' ? 'ready' : state, ...from })
  return found.map((job) => ({ look: waitingLook(name, job), size: (job.body?.json.length ?? 0) + toldSize(job) }))
}

/** As its sender says it. `attempts` of a look are those that failed. */
export function ownOf(policy: JobPolicy | undefined): Pick<JobLook, 'maxAttempts' | 'backoff' | 'runMs' | 'keepDone'> {
  if (policy === undefined) return {}
  const { maxAttempts, backoff, runMs, keepMs } = policy
  return {
    ...(maxAttempts !== undefined && { maxAttempts }),
    ...(backoff !== undefined && {
      backoff: backoff.kind === 'fixed' ? { kind: backoff.kind, ms: backoff.ms } : backoff,
    }),
    ...(runMs !== undefined && { runMs }),
    ...(keepMs !== undefined && { keepDone: keepMs === 0 ? false : { ageMs: keepMs } }),
  }
}

function waitingLook(queue: string, job: JobInfo): JobLook {
  return { ...outlineOf(queue, job), ...toldOf(job), ...(job.body && contentOf(job.body)) }
}

/** What is told of a job beside what it holds and how far it is. `queue` is where it is; dead letters that wait are `dead`. */
export function outlineOf(queue: string, { body, state, policy, progress: _, ...rest }: JobInfo) {
  const { dead } = rest
  return {
    queue,
    state: isDead(queue) && state === 'ready' ? ('dead' as const) : state,
    ...rest,
    ...ownOf(policy),
    ...(dead !== undefined && { endedAt: dead.at, error: dead.error ?? dead.reason }),
    ...(body === undefined && { damaged: true }),
  }
}

function finishedLook(queue: string, job: FinishedJob): JobLook {
  const { result, progress: _, ...rest } = job
  return { queue, ...rest, ...toldOf(job), ...(result !== undefined && { result: contentOf(result).data }) }
}

/** What became of a job; `undefined` where it is not known any more. */
async function endingOf(queues: Queues, caller: Caller, queue: string, id: string): Promise<Ended | undefined> {
  const [finished] = await queues.finished(caller, queue, { ids: [id] })
  if (finished !== undefined) {
    const { state, result, error } = finished
    return {
      state,
      ...(result !== undefined && { result: contentOf(result).data }),
      ...(error !== undefined && { error }),
    }
  }
  const [letter] = await queues.jobs(caller, `${queue}/dead`, { ids: [id] })
  if (letter?.dead !== undefined) return { state: 'dead', error: letter.dead.error ?? letter.dead.reason }
  const answer = await queues.answer(caller, queue, id)
  if (answer === undefined || answer.state === 'waiting') return undefined
  if (answer.state === 'done') {
    return { state: 'done', ...(answer.reply !== undefined && { result: contentOf(answer.reply).data }) }
  }
  const { reason, error } = answer
  if (reason === 'removed') return { state: 'removed' }
  return { state: 'dead', error: error ?? reason }
}

/** What is there is waited for. */
export async function waitForJob(
  queues: Queues,
  caller: Caller,
  queue: string,
  id: string,
  timeoutMs: number,
  asker: Parameters<Queues['ended']>[4],
): Promise<Ended> {
  if (isDead(queue)) {
    throw new RepriseError('bad_request', `${queue} holds dead letters: they have ended; ask ${mainQueue(queue)}`)
  }
  return await queues.ended(caller, queue, id, timeoutMs, asker, () => endingOf(queues, caller, queue, id))
}
