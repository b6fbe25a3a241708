/** The routes of queues: send, claim, settle, list, look, set, pause, purge, drop. Those of single jobs are in jobs.ts. */

import { RepriseError } from '../../../shared/errors.ts'
import { seenOf } from '../../../shared/positions.ts'
import { authorize, callerOf, type Session } from '../../core/access.ts'
import { checkPattern } from '../../core/patterns.ts'
import { type ClaimQuery, claim } from '../../core/queues/delivery/claim.ts'
import { previewSettings } from '../../core/queues/preview.ts'
import { isDead, mainQueue, type QueueOverrides } from '../../core/queues/settings.ts'
import { prepareGiven } from '../../core/schema/schema.ts'
import { consumersOf } from '../../core/seeing/consumers.ts'
import { numberToDocument } from '../../core/settings.ts'
import { parse, parseReports, parseSettlements, reportsSchema, settlementsSchema } from '../../wire/calls.ts'
import { checkFamilies } from '../../wire/children.ts'
import { DRAFT_HEADERS, jobDraftsOf } from '../drafts.ts'
import { whenWritten } from '../ending.ts'
import { claimedText } from '../jobText.ts'
import { type Call, JsonText, pageOf, type Route, route } from '../routes.ts'
import type { Query } from '../schemas/query.ts'
import {
  claimAnswer,
  claimBody,
  consumersAnswer,
  consumersQuery,
  jobDrafts,
  pausedAnswer,
  purgedAnswer,
  queueDetailAnswer,
  queueSettingsAnswer,
  queueSettingsBody,
  queuesAnswer,
  reportedAnswer,
  sendBody,
  sentAnswer,
  settledAnswer,
  storedQueueSettingsAnswer,
} from '../schemas/queues.ts'
import { changeQuery, listQuery } from '../schemas/topics.ts'

const DEFAULT_CONSUMERS = 100

export const queueRoutes: readonly Route[] = [
  route({
    id: 'sendJobs',
    method: 'post',
    path: '/queues/:queue/jobs',
    summary: 'Send a job, or several: all of them or none',
    refuses: ['conflict', 'storage_full'],
    headers: DRAFT_HEADERS,
    body: sendBody,
    status: 201,
    answer: sentAnswer,
    async run(call) {
      const most = call.core.queues.limits.batch
      const body = await call.json()
      checkFamilies(Array.isArray(body) ? body : [body], 'drafts', most)
      const drafts = jobDraftsOf(jobDrafts, body, call.request, most)
      // The body may have taken a while to come.
      call.core.admit()
      return await call.core.queues.send(call.caller, call.param('queue'), drafts)
    },
  }),

  route({
    id: 'claimJobs',
    method: 'post',
    path: '/queues/:queue/claims',
    summary: 'Take jobs to work on, or wait for one; each is held under a lease until it is settled',
    body: claimBody,
    bodyOptional: true,
    answer: claimAnswer,
    run: claimJobs,
  }),

  route({
    id: 'settleJobs',
    method: 'post',
    path: '/queues/:queue/settlements',
    summary: 'Settle leases: done, retry, release, dead, extend; each by itself, in their order',
    body: settlementsSchema,
    answer: settledAnswer,
    async run({ core, caller, param, json }) {
      const settlements = parseSettlements(await json(), 'settlements')
      return await core.queues.settle(caller, param('queue'), settlements)
    },
  }),

  route({
    id: 'tellProgress',
    method: 'post',
    path: '/queues/:queue/progress',
    summary: 'Tell how far held jobs are, and lines for their logs; each by itself',
    body: reportsSchema,
    refuses: ['storage_full'],
    answer: reportedAnswer,
    async run({ core, caller, param, json }) {
      const reports = parseReports(await json(), 'progress')
      return await core.queues.progress(caller, param('queue'), reports)
    },
  }),

  route({
    id: 'listQueues',
    method: 'get',
    path: '/queues',
    summary: 'List the queues in the order of their names',
    query: listQuery,
    answer: queuesAnswer,
    run: ({ core, caller }, query) =>
      pageOf(
        'queues',
        query,
        (part) => core.queues.list(caller, part),
        (found) => found.map((info) => sizeOf(info, core.queues.now)),
        ({ queue }) => queue,
      ),
  }),

  route({
    id: 'getQueue',
    method: 'get',
    path: '/queues/:queue',
    summary: 'What is known of a queue, where its bindings stand, and the settings in force',
    refuses: ['not_found'],
    answer: queueDetailAnswer,
    async run({ core, caller, param }) {
      const info = await core.queues.info(caller, param('queue'))
      const bindings = []
      for (const binding of info.bindings) {
        const bounds = await core.log.bounds(binding.topic)
        bindings.push({ ...binding, behind: bounds.head - seenOf(bounds, binding.position) })
      }
      const settings = shown(core.queueSettings.forQueue(info.queue))
      return { ...sizeOf(info, core.queues.now), bindings, settings }
    },
  }),

  route({
    id: 'listConsumers',
    method: 'get',
    path: '/queues/:queue/consumers',
    summary: 'List who consumes from a queue on this node, those that hold most first',
    query: consumersQuery,
    answer: consumersAnswer,
    async run({ core, caller, param }, { offset = 0, limit = DEFAULT_CONSUMERS }) {
      const page = await consumersOf(core.consumers, caller, param('queue'), { offset, limit })
      return { node: core.clients.node, ...page }
    },
  }),

  route({
    id: 'getQueueSettings',
    method: 'get',
    path: '/queues/:queue/settings',
    summary: 'The settings of a queue or of a name pattern with `*`: what is stored, and what is in force for a name',
    answer: storedQueueSettingsAnswer,
    async run({ core, caller, param }) {
      const queue = param('queue')
      checkPattern(mainQueue(queue))
      authorize(caller, 'read', queue)
      const answer = { queue, stored: shown(core.queueSettings.stored()[mainQueue(queue)] ?? {}) }
      return queue.includes('*') ? answer : { ...answer, settings: shown(core.queueSettings.forQueue(queue)) }
    },
  }),

  route({
    id: 'putQueueSettings',
    acts: true,
    method: 'put',
    path: '/queues/:queue',
    summary: 'Replace the stored settings of a queue or of a name pattern with `*`; `{}` removes them',
    query: changeQuery,
    body: queueSettingsBody,
    answer: queueSettingsAnswer,
    run: putSettings,
  }),

  ...([true, false] as const).map((paused) =>
    route({
      id: paused ? 'pauseQueue' : 'resumeQueue',
      acts: true,
      method: 'post',
      path: paused ? '/queues/:queue/pause' : '/queues/:queue/resume',
      summary: paused ? 'Hand nothing out any more; jobs are still taken in' : 'Hand jobs out again',
      answer: pausedAnswer,
      async run({ core, caller, param }) {
        await core.queues.pause(caller, param('queue'), paused)
        return { queue: param('queue'), paused }
      },
    }),
  ),

  route({
    id: 'purgeQueue',
    acts: true,
    method: 'post',
    path: '/queues/:queue/purge',
    summary: 'Remove all jobs that wait now; held ones stay',
    answer: purgedAnswer,
    async run({ core, caller, param }) {
      return { queue: param('queue'), removed: await core.queues.purge(caller, param('queue')) }
    },
  }),

  route({
    id: 'dropQueue',
    acts: true,
    method: 'delete',
    path: '/queues/:queue',
    summary: 'Drop a queue that nobody uses, with all that it remembers; its settings stay',
    refuses: ['conflict', 'not_found'],
    async run({ core, caller, param }) {
      await core.queues.drop(caller, param('queue'))
    },
  }),
]

async function claimJobs(call: Call): Promise<JsonText> {
  const { core, session, caller, request, response } = call
  const query = claimOf(session, parse(claimBody, await call.jsonOrNothing(), 'claim'))
  core.admit()
  const queue = call.param('queue')
  const leave = query.waitMs > 0 ? core.callers.take('longPolls', caller) : () => {}
  const claimed = await claim(core.consumers, caller, queue, query, call.over()).finally(leave)
  if (claimed.jobs.length === 0 && session.ended !== undefined) throw session.ended
  if (claimed.jobs.length > 0) whenWritten(request, response, claimed.keep, claimed.giveBack)
  return new JsonText(`{"jobs":[${claimed.jobs.map((job) => claimedText(queue, job)).join(',')}]}`)
}

/** Under the name that the token is for, where it is for one. Throws `forbidden` for another name. */
function claimOf(session: Session, query: ClaimQuery): ClaimQuery {
  const { client } = callerOf(session, query.client)
  return client === undefined ? query : { ...query, client }
}

function sizeOf(
  {
    queue,
    counts,
    bytes,
    oldestReadyAt,
    consumers,
    paused,
    tripped,
    lifeFull,
  }: Awaited<ReturnType<Call['core']['queues']['info']>>,
  now: number,
) {
  const oldestReadyMs = oldestReadyAt === undefined ? null : Math.max(0, Math.round(now - oldestReadyAt))
  const told = { ...(tripped !== undefined && { tripped }), ...(lifeFull !== undefined && { lifeFull }) }
  return { queue, counts, bytes, oldestReadyMs, consumers, paused, ...told }
}

async function putSettings(
  { core, caller, param, json, context, tries }: Call,
  { dryRun = false }: Query<typeof changeQuery>,
): Promise<object> {
  const queue = param('queue')
  if (isDead(queue)) {
    const main = mainQueue(queue)
    throw new RepriseError('bad_request', `${queue} has the settings of ${main}: put them there`)
  }
  authorize(caller, 'admin', queue)
  const given = await json()
  await prepareGiven(given, context.maxSchemaParts)
  const settings = context.readQueueSettings(queue, given)
  // Whoever binds a topic reads it.
  for (const { topic } of settings.from ?? []) authorize(caller, 'subscribe', topic)
  if (dryRun) {
    tries()
    if (queue.includes('*')) return { queue, settings: shown(settings) }
    const [before, would] = [core.queueSettings.forQueue(queue), core.queueSettings.forQueueWith(queue, settings)]
    const wouldDo = await previewSettings(core.queues, caller, queue, before, would)
    return { queue, settings: shown(would), would: wouldDo }
  }
  await core.queueSettings.put(queue, Object.keys(settings).length === 0 ? undefined : settings)
  const now = queue.includes('*') ? (core.queueSettings.stored()[queue] ?? {}) : core.queueSettings.forQueue(queue)
  return { queue, settings: shown(now) }
}

function shown({ keepDone, ...settings }: QueueOverrides): object {
  const told = Object.entries(settings).map(([name, value]) => [name, numberToDocument(value)])
  return { ...Object.fromEntries(told), ...(keepDone && { keepDone: keepDone.count === 0 ? false : keepDone }) }
}
