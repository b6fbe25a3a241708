/** The routes of the jobs in a queue: list, explain, run now, remove, redrive. */

import { hasCode, RepriseError } from '../../../shared/errors.ts'
import { toldSize } from '../../core/queues/delivery/progress.ts'
import { type Obstacle, obstacles } from '../../core/queues/explain.ts'
import { isFitting, LOOK } from '../../core/queues/filter.ts'
import { type Found, findJob, placeGone, waitForJob } from '../../core/queues/looks.ts'
import { isThere, redrive } from '../../core/queues/redrive.ts'
import { unknownJob } from '../../core/queues/requests.ts'
import { isDead, mainQueue } from '../../core/queues/settings.ts'
import { itsTurn, PAGE_WEIGHT } from '../../core/turns.ts'
import { parse } from '../../wire/calls.ts'
import { endingText, type FinishedJob, finishedText, lookedAt } from '../jobText.ts'
import { type Call, JsonText, type Route, route } from '../routes.ts'
import {
  explainAnswer,
  jobQuery,
  jobsAnswer,
  jobsQuery,
  ranAnswer,
  redriveBody,
  redrivenAnswer,
} from '../schemas/jobs.ts'
import type { Query } from '../schemas/query.ts'

const DEFAULT_LIST = 100
/** A page ends behind so much text. */
const PAGE_LENGTH = 1_048_576

export const jobRoutes: readonly Route[] = [
  route({
    id: 'listJobs',
    method: 'get',
    path: '/queues/:queue/jobs',
    summary: 'Look at the jobs of a queue in one state, in the order of their places; finished ones from the last on',
    refuses: ['not_found'],
    query: jobsQuery,
    answer: jobsAnswer,
    run: (call, { id, ...query }) => (id === undefined ? list(call, query) : look(call, id, query)),
  }),

  route({
    id: 'getJob',
    method: 'get',
    path: '/queues/:queue/jobs/:id',
    summary: 'Explain a job: its state, why it is not moving, its history; or what became of it, while that is kept',
    refuses: ['not_found'],
    query: jobQuery,
    answer: explainAnswer,
    run: explain,
  }),

  route({
    id: 'runJob',
    acts: true,
    method: 'post',
    path: '/queues/:queue/jobs/:id/run',
    summary: 'Make a delayed job ready now, as if its time had come',
    refuses: ['not_found', 'conflict'],
    answer: ranAnswer,
    run: runNow,
  }),

  route({
    id: 'removeJob',
    acts: true,
    method: 'delete',
    path: '/queues/:queue/jobs/:id',
    summary: 'Remove a job that waits',
    refuses: ['not_found', 'conflict'],
    run: remove,
  }),

  route({
    id: 'redriveQueue',
    acts: true,
    method: 'post',
    path: '/queues/:queue/redrive',
    summary: 'Bring dead letters back: all, or those that a filter fits',
    body: redriveBody,
    bodyOptional: true,
    answer: redrivenAnswer,
    async run({ core, caller, param, jsonOrNothing, over, tries }) {
      const query = parse(redriveBody, await jsonOrNothing(), 'redrive')
      if (query.dryRun === true) tries()
      core.admit()
      const queue = mainQueue(param('queue'))
      return await redrive(core.queues, caller, queue, query, { now: Math.ceil(core.queues.now), gone: over() })
    },
  }),
]

type ListQuery = Omit<Query<typeof jobsQuery>, 'id'>

/** The one with this id, or none. */
async function look(call: Call, id: string, others: ListQuery): Promise<JsonText> {
  const [other] = Object.keys(others)
  if (other !== undefined) throw new RepriseError('bad_request', `query: id stands alone, without ${other}`)
  const { core, caller, param } = call
  const found = await findJob(core.queues, caller, param('queue'), id)
  if (found !== undefined) return page([JSON.stringify(lookedAt(found))], undefined)
  const finished = await findFinished(call, id)
  return page(finished === undefined ? [] : [finishedText(param('queue'), finished)], undefined)
}

async function explain(call: Call, { waitMs = 0 }: Query<typeof jobQuery>): Promise<object> {
  const { core, caller, param } = call
  const [queue, id] = [param('queue'), param('id')]
  const ended = waitMs > 0 ? await waitForEnd(call, queue, id, waitMs) : undefined
  const found = await findJob(core.queues, caller, queue, id)
  if (found !== undefined) return { ...lookedAt(found), why: await whyOf(call, found) }
  const finished = await findFinished(call, id)
  if (finished !== undefined) return new JsonText(finishedText(queue, finished))
  if (ended === undefined) throw unknownJob(queue, id)
  // Nothing is kept of it but what became of it, for who waited.
  const answer = ended.state === 'done' ? await core.queues.answer(caller, queue, id) : undefined
  return new JsonText(endingText(queue, id, ended, answer))
}

/** Comes back with how the job has ended, or when the time is over. */
async function waitForEnd({ core, caller, over }: Call, queue: string, id: string, waitMs: number) {
  const leave = core.callers.take('longPolls', caller)
  const asker = { gone: over(), willWait: () => () => {} }
  try {
    return await waitForJob(core.queues, caller, queue, id, waitMs, asker)
  } catch (error) {
    if (!hasCode(error, 'timeout') && !hasCode(error, 'unavailable')) throw error
    return undefined
  } finally {
    leave()
  }
}

async function findFinished({ core, caller, param }: Call, id: string): Promise<FinishedJob | undefined> {
  if (isDead(param('queue'))) return undefined
  return (await core.queues.finished(caller, param('queue'), { ids: [id] }))[0]
}

/** A page of finished jobs, from the one that ended last. */
async function listFinished(
  { core, caller, param }: Call,
  state: FinishedJob['state'],
  { after, limit = DEFAULT_LIST, key }: ListQuery,
): Promise<JsonText> {
  const queue = param('queue')
  if (after !== undefined && (await core.queues.finished(caller, queue, { ids: [after] })).length === 0) {
    throw new RepriseError('not_found', `the job ${after} is not kept any more: list from the beginning`)
  }
  const texts: string[] = []
  let [length, looked] = [0, 0]
  let last = after
  for (;;) {
    if (key !== undefined) await itsTurn(PAGE_WEIGHT)
    const part = await core.queues.finished(caller, queue, { state, after: last, limit: LOOK.part })
    for (const job of part) {
      if (texts.length >= limit || length >= PAGE_LENGTH || looked >= LOOK.jobs) return page(texts, last)
      looked++
      last = job.id
      if (key !== undefined && job.key !== key) continue
      const text = finishedText(queue, job)
      texts.push(text)
      length += text.length
    }
    if (part.length < LOOK.part) return page(texts, undefined)
  }
}

async function list(call: Call, { state = 'ready', ...query }: ListQuery): Promise<JsonText> {
  const { after, limit = DEFAULT_LIST, key, reason, error } = query
  const { core, caller, param } = call
  const queue = state === 'dead' ? `${mainQueue(param('queue'))}/dead` : param('queue')
  if ((reason !== undefined || error !== undefined) && !isDead(queue)) {
    throw new RepriseError('bad_request', 'query: only dead letters have a reason and an error: ask with state=dead')
  }
  if (state === 'done' || state === 'removed') return await listFinished(call, state, query)
  const stored = state === 'dead' ? 'ready' : state
  const filter = { key, reason, error }
  const isSearch = Object.values(filter).some((value) => value !== undefined)
  // A line has its jobs in their order; what was never due stands in none.
  const line = isDead(queue) || stored === 'delayed' ? undefined : key
  if (after !== undefined && !(await isPlace(call, queue, stored, after))) throw placeGone(after)
  const texts: string[] = []
  let [length, looked, bytes] = [0, 0, 0]
  let last = after
  for (;;) {
    if (isSearch) await itsTurn(PAGE_WEIGHT)
    if (stored === 'delayed' && last !== undefined && last !== after && !(await isPlace(call, queue, stored, last)))
      return page(texts, last)
    const which = line === undefined ? { state: stored } : { line }
    const part = await core.queues.jobs(caller, queue, { ...which, after: last, limit: LOOK.part })
    for (const job of part) {
      if (texts.length >= limit || length >= PAGE_LENGTH) return page(texts, last)
      if (looked >= LOOK.jobs || bytes >= LOOK.bytes) return page(texts, last)
      looked++
      bytes += (job.body?.json.length ?? 0) + toldSize(job)
      last = job.id
      if (!isFitting(job, filter) || job.state !== stored) continue
      const text = JSON.stringify(lookedAt({ queue, job }))
      texts.push(text)
      length += text.length
    }
    if (part.length === 0 && last !== undefined && !(await isThere(core.queues, caller, queue, last)))
      return page(texts, last)
    // Only the first of a line can be held.
    if (part.length < LOOK.part || (line !== undefined && stored === 'held')) return page(texts, undefined)
  }
}

function page(texts: readonly string[], next: string | undefined): JsonText {
  const more = next === undefined ? '' : `,"next":${JSON.stringify(next)}`
  return new JsonText(`{"jobs":[${texts.join(',')}]${more}}`)
}

/**
 * A place is the id of a job. Nobody knows what comes behind one that is gone by now, nor behind a delayed one that was run
 * before its time: others that were before it still are.
 */
async function isPlace({ core, caller }: Call, queue: string, state: Found['job']['state'], id: string) {
  const [job] = await core.queues.jobs(caller, queue, { ids: [id] })
  if (job === undefined) return false
  return state !== 'delayed' || job.state === 'delayed' || !job.history.some(({ what }) => what === 'run')
}

async function whyOf({ core, caller }: Call, { queue, job }: Found): Promise<Obstacle[]> {
  const info = await core.queues.info(caller, queue)
  return obstacles(job, info, core.queueSettings.forQueue(queue))
}

/** Answers what keeps it from being delivered all the same. */
async function runNow(call: Call): Promise<object> {
  const { core, caller, param } = call
  const [queue, id] = [param('queue'), param('id')]
  const changed = await core.queues.runNow(caller, queue, id)
  // Those of one commit are answered together, and each looks at the queue.
  await itsTurn(2 * PAGE_WEIGHT)
  const found = await findJob(core.queues, caller, queue, id)
  // It was taken at once, and may be over already.
  if (changed && (found === undefined || found.job.state === 'held')) return { queue, id, changed, why: [] }
  if (found === undefined) throw unknownJob(queue, id)
  if (!changed && found.queue !== queue) {
    throw new RepriseError('conflict', `the job ${id} is dead-lettered; a redrive brings it back to ${queue}`)
  }
  if (found.job.state === 'held') {
    throw new RepriseError('conflict', `the job ${id} is held: ${found.job.holder?.client ?? 'a consumer'} works on it`)
  }
  if (found.job.state === 'waiting') {
    throw new RepriseError('conflict', `the job ${id} waits for its children, and falls due when they have ended`)
  }
  return { queue, id, changed, why: await whyOf(call, found) }
}

async function remove(call: Call): Promise<void> {
  const { core, caller, param } = call
  const [queue, id] = [param('queue'), param('id')]
  if (await core.queues.remove(caller, queue, id)) return
  const found = await findJob(core.queues, caller, queue, id)
  if (found === undefined) throw unknownJob(queue, id)
  if (found.queue !== queue) {
    throw new RepriseError('conflict', `the job ${id} is dead-lettered; it is removed from ${found.queue}`)
  }
  throw new RepriseError('conflict', `the job ${id} is held; only what waits is removed`)
}
