/** The routes of topics: publish, read, list, look, set, drop. */

import { RepriseError } from '../../../shared/errors.ts'
import { authorize } from '../../core/access.ts'
import { checkPattern } from '../../core/patterns.ts'
import type { LogPage } from '../../core/topics/log.ts'
import type { TopicOverrides } from '../../core/topics/settings.ts'
import { draftsOf } from '../drafts.ts'
import { httpEventText } from '../eventText.ts'
import { type Answer, type Call, JsonText, type Route, route } from '../routes.ts'
import type { Query } from '../schemas/query.ts'
import {
  binaryDraft,
  detailAnswer,
  jsonDraft,
  listQuery,
  pageAnswer,
  publishBody,
  publishedAnswer,
  readQuery,
  settingsAnswer,
  settingsBody,
  storedSettingsAnswer,
  topicsAnswer,
} from '../schemas/topics.ts'
import { waitBehind } from '../wait.ts'

/** Up to here the cursors of a topic are counted: in the answer about one topic, and in lists. */
const COUNTED = 10_000
const COUNTED_IN_LISTS = 1_000

const DEFAULT_LIST = 100

export const topicRoutes: readonly Route[] = [
  route({
    method: 'post',
    path: '/topics/:topic/events',
    summary: 'Publish a draft, or several: all of them or none',
    query: {},
    headers: { 'Idempotency-Key': 'Stands for the `id` of a single draft' },
    body: publishBody,
    status: 201,
    answer: publishedAnswer,
    async run(call) {
      const drafts = draftsOf(
        { json: jsonDraft, binary: binaryDraft },
        await call.json(),
        call.request.get('idempotency-key'),
        call.core.log.limits.batch,
      )
      // The body may have taken a while to come.
      call.core.admit()
      return { status: 201, json: await call.core.log.publish(call.caller, call.param('topic'), drafts) }
    },
  }),

  route({
    method: 'get',
    path: '/topics/:topic/events',
    summary: 'Read a page of events, or wait for one',
    query: readQuery,
    status: 200,
    answer: pageAnswer,
    run: read,
  }),

  route({
    method: 'get',
    path: '/topics',
    summary: 'List the topics in the order of their names',
    query: listQuery,
    status: 200,
    answer: topicsAnswer,
    async run({ core, caller }, { after, limit = DEFAULT_LIST }) {
      const query = after === undefined ? { limit: limit + 1 } : { after, limit: limit + 1 }
      const found = await core.log.list(caller, query)
      const topics = []
      for (const info of found.slice(0, limit)) {
        const subscribers = core.subscribers(info.topic)
        const cursors = await core.cursors.count(caller, info.topic, COUNTED_IN_LISTS)
        topics.push({ ...sizeOf(info), subscribers, cursors })
      }
      return { status: 200, json: found.length > limit ? { topics, next: topics.at(-1)?.topic } : { topics } }
    },
  }),

  route({
    method: 'get',
    path: '/topics/:topic',
    summary: 'What is known of a topic, and the settings in force',
    query: {},
    status: 200,
    answer: detailAnswer,
    async run({ core, caller, param }) {
      const info = await core.log.info(caller, param('topic'))
      const subscribers = core.subscribers(info.topic)
      const cursors = await core.cursors.count(caller, info.topic, COUNTED)
      const settings = shown(core.settings.forTopic(info.topic))
      return { status: 200, json: { ...sizeOf(info), subscribers, cursors, settings } }
    },
  }),

  route({
    method: 'get',
    path: '/topics/:topic/settings',
    summary: 'The settings of a topic or of a name pattern with `*`: what is stored, and what is in force for a name',
    query: {},
    status: 200,
    answer: storedSettingsAnswer,
    async run({ core, caller, param }) {
      const topic = param('topic')
      checkPattern(topic)
      authorize(caller, 'read', topic)
      const stored = core.settings.stored()[topic]
      const answer = { topic, stored: stored === undefined ? {} : shown(stored) }
      if (topic.includes('*')) return { status: 200, json: answer }
      return { status: 200, json: { ...answer, settings: shown(core.settings.forTopic(topic)) } }
    },
  }),

  route({
    method: 'put',
    path: '/topics/:topic',
    summary: 'Replace the stored settings of a topic or of a name pattern with `*`; `{}` removes them',
    query: {},
    body: settingsBody,
    status: 200,
    answer: settingsAnswer,
    run: putSettings,
  }),

  route({
    method: 'delete',
    path: '/topics/:topic',
    summary: 'Drop a topic with its events; cursors and settings stay',
    query: {},
    status: 204,
    async run({ core, caller, param }) {
      await core.log.drop(caller, param('topic'))
      return { status: 204 }
    },
  }),
]

function sizeOf({ topic, epoch, first, head, events, bytes }: Awaited<ReturnType<Call['core']['log']['info']>>) {
  return { topic, epoch, first, last: head, events, bytes }
}

async function read(
  { core, caller, param, gone, context }: Call,
  { waitMs = 0, ...query }: Query<typeof readQuery>,
): Promise<Answer> {
  const topic = param('topic')
  if (query.before !== undefined && waitMs > 0) {
    throw new RepriseError('bad_request', 'waitMs goes with after: nothing new comes before an event')
  }
  const deadline = performance.now() + waitMs
  for (;;) {
    const page = await core.log.read(caller, topic, query)
    const leftMs = deadline - performance.now()
    const isOver = leftMs <= 0 || gone.aborted || context.draining.aborted
    if (isOver || page.events.length > 0 || page.gaps !== undefined) {
      return { status: 200, json: new JsonText(pageText(page)) }
    }
    const head = { epoch: page.epoch, offset: page.last }
    await waitBehind(core, caller, topic, head, leftMs, [gone, context.draining])
    // The store may be closed by now, and the page is still true.
    if (context.draining.aborted) return { status: 200, json: new JsonText(pageText(page)) }
  }
}

function pageText({ epoch, first, last, events, gaps }: LogPage): string {
  const texts = events.flatMap((event) => ('damaged' in event ? [] : [httpEventText(event)]))
  const missing = gaps === undefined ? '' : `,"gaps":${JSON.stringify(gaps)}`
  return `{"epoch":${JSON.stringify(epoch)},"first":${first},"last":${last},"events":[${texts.join(',')}]${missing}}`
}

async function putSettings({ core, caller, param, json, context }: Call): Promise<Answer> {
  const topic = param('topic')
  authorize(caller, 'admin', topic)
  const settings = context.readTopicSettings(topic, await json())
  await core.settings.put(topic, Object.keys(settings).length === 0 ? undefined : settings)
  const now = topic.includes('*') ? (core.settings.stored()[topic] ?? {}) : core.settings.forTopic(topic)
  return { status: 200, json: { topic, settings: shown(now) } }
}

/** JSON has no `Infinity`. */
function shown({ retain = {} }: TopicOverrides) {
  const bounds = Object.entries(retain).map(([field, value]) => [
    field,
    value === Number.POSITIVE_INFINITY ? 'unlimited' : value,
  ])
  return { retain: Object.fromEntries(bounds) }
}
