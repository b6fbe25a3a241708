/** The routes of topics: publish, read, list, look, set, drop. */

import { RepriseError } from '../../../shared/errors.ts'
import { authorize, type Caller } from '../../core/access.ts'
import type { Core } from '../../core/core.ts'
import { checkPattern } from '../../core/patterns.ts'
import { prepareGiven } from '../../core/schema/schema.ts'
import { numberToDocument } from '../../core/settings.ts'
import { checkTopic, type LogQuery } from '../../core/topics/log.ts'
import type { TopicOverrides } from '../../core/topics/settings.ts'
import { itsTurn, PAGE_WEIGHT } from '../../core/turns.ts'
import { DRAFT_HEADERS, draftsOf } from '../drafts.ts'
import { httpEventText } from '../eventText.ts'
import { type Call, JsonText, pageOf, type Route, route } from '../routes.ts'
import type { Query } from '../schemas/query.ts'
import {
  binaryDraft,
  changeQuery,
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
import { type FoundPage, isFilter, LOOKED_THROUGH, lookThrough } from './eventFilter.ts'

/** Up to here the cursors of a topic are counted: in the answer about one topic, and in lists. */
const COUNTED = 10_000
const COUNTED_IN_LISTS = 1_000
/** Of a search. */
const DEFAULT_FOUND = 100

export const topicRoutes: readonly Route[] = [
  route({
    id: 'publish',
    method: 'post',
    path: '/topics/:topic/events',
    summary: 'Publish a draft, or several: all of them or none',
    refuses: ['storage_full'],
    headers: DRAFT_HEADERS,
    body: publishBody,
    status: 201,
    answer: publishedAnswer,
    async run(call) {
      const drafts = draftsOf(
        { json: jsonDraft, binary: binaryDraft },
        await call.json(),
        call.request,
        call.core.log.limits.batch,
      )
      // The body may have taken a while to come.
      call.core.admit()
      return await call.core.log.publish(call.caller, call.param('topic'), drafts)
    },
  }),

  route({
    id: 'readEvents',
    method: 'get',
    path: '/topics/:topic/events',
    summary: 'Read a page of events, or wait for one',
    refuses: ['stale_epoch'],
    query: readQuery,
    answer: pageAnswer,
    run: read,
  }),

  route({
    id: 'listTopics',
    method: 'get',
    path: '/topics',
    summary: 'List the topics in the order of their names',
    query: listQuery,
    answer: topicsAnswer,
    run: ({ core, caller }, query) =>
      pageOf(
        'topics',
        query,
        (part) => core.log.list(caller, part),
        async (found) => {
          const topics = []
          for (const info of found) topics.push(await known(core, caller, info, COUNTED_IN_LISTS))
          return topics
        },
        ({ topic }) => topic,
      ),
  }),

  route({
    id: 'getTopic',
    method: 'get',
    path: '/topics/:topic',
    summary: 'What is known of a topic, and the settings in force',
    refuses: ['not_found'],
    answer: detailAnswer,
    async run({ core, caller, param }) {
      const info = await core.log.info(caller, param('topic'))
      const settings = shown(core.settings.forTopic(info.topic))
      return { ...(await known(core, caller, info, COUNTED)), settings }
    },
  }),

  route({
    id: 'getTopicSettings',
    method: 'get',
    path: '/topics/:topic/settings',
    summary: 'The settings of a topic or of a name pattern with `*`: what is stored, and what is in force for a name',
    answer: storedSettingsAnswer,
    async run({ core, caller, param }) {
      const topic = param('topic')
      checkPattern(topic)
      authorize(caller, 'read', topic)
      const stored = core.settings.stored()[topic]
      const answer = { topic, stored: stored === undefined ? {} : shown(stored) }
      return topic.includes('*') ? answer : { ...answer, settings: shown(core.settings.forTopic(topic)) }
    },
  }),

  route({
    id: 'putTopicSettings',
    acts: true,
    method: 'put',
    path: '/topics/:topic',
    summary: 'Replace the stored settings of a topic or of a name pattern with `*`; `{}` removes them',
    query: changeQuery,
    body: settingsBody,
    answer: settingsAnswer,
    run: putSettings,
  }),

  route({
    id: 'dropTopic',
    acts: true,
    method: 'delete',
    path: '/topics/:topic',
    summary: 'Drop a topic with its events; cursors and settings stay',
    refuses: ['not_found'],
    async run({ core, caller, param }) {
      await core.log.drop(caller, param('topic'))
    },
  }),
]

type Info = Awaited<ReturnType<Core['log']['info']>>

async function known(core: Core, caller: Caller, { topic, epoch, first, head, events, bytes }: Info, most: number) {
  const subscribers = core.subscribers(topic)
  const cursors = await core.cursors.count(caller, topic, most)
  return { topic, epoch, first, last: head, events, bytes, subscribers, cursors }
}

async function read(
  { core, caller, param, over, context }: Call,
  { waitMs = 0, at, key, header, text, ...asked }: Query<typeof readQuery>,
): Promise<JsonText> {
  const topic = param('topic')
  const filter = { key, header, text }
  let query = at === undefined ? asked : { ...asked, after: await behindTime(core, caller, topic, at, asked) }
  if (query.before !== undefined && waitMs > 0) {
    throw new RepriseError('bad_request', 'waitMs goes with after: nothing new comes before an event')
  }
  if (waitMs > 0) {
    // At once, not only where there is nothing to answer: whoever polls is refused each time or never.
    checkTopic(topic)
    authorize(caller, 'subscribe', topic)
  }
  const deadline = performance.now() + waitMs
  let waited: AbortSignal | undefined
  for (;;) {
    const page = await find(query)
    const leftMs = deadline - performance.now()
    const isOver = leftMs <= 0 || waited?.aborted === true || context.draining.aborted
    if (isOver || page.events.length > 0 || page.gaps !== undefined) return pageText(page)
    if (page.next !== undefined) query = { ...query, after: page.next }
    waited ??= over()
    if (page.next !== undefined && page.next < page.last) {
      // More is kept that was not looked through.
      await itsTurn(2 * PAGE_WEIGHT)
      continue
    }
    const head = { epoch: page.epoch, offset: page.last }
    await waitBehind(core, caller, topic, head, leftMs, waited)
    // The store may be closed by now, and the page is still true.
    if (context.draining.aborted) return pageText(page)
  }

  async function find(query: LogQuery): Promise<FoundPage> {
    if (!isFilter(filter)) return await core.log.read(caller, topic, query)
    const { limit = DEFAULT_FOUND } = query
    const page = await core.log.read(caller, topic, { ...query, limit: LOOKED_THROUGH })
    return lookThrough(page, filter, limit, query.before !== undefined)
  }
}

/** The place behind which everything from that time on lies. */
async function behindTime(
  core: Core,
  caller: Caller,
  topic: string,
  { at }: { readonly at: number },
  others: LogQuery,
): Promise<number> {
  if (others.after !== undefined || others.before !== undefined) {
    throw new RepriseError('bad_request', 'query: at stands in place of after and before')
  }
  checkTopic(topic)
  authorize(caller, 'read', topic)
  return (await core.log.seek(topic, at)).offset
}

function pageText({ epoch, first, last, events, gaps, next }: FoundPage): JsonText {
  const texts = events.flatMap((event) => ('damaged' in event ? [] : [httpEventText(event)]))
  const missing = gaps === undefined ? '' : `,"gaps":${JSON.stringify(gaps)}`
  const more = next === undefined ? '' : `,"next":${next}`
  const bounds = `"epoch":${JSON.stringify(epoch)},"first":${first},"last":${last}`
  return new JsonText(`{${bounds},"events":[${texts.join(',')}]${missing}${more}}`)
}

async function putSettings(call: Call, { dryRun = false }: Query<typeof changeQuery>): Promise<object> {
  const { core, caller, param, json, context } = call
  const topic = param('topic')
  authorize(caller, 'admin', topic)
  const given = await json()
  await prepareGiven(given, context.maxSchemaParts)
  const settings = context.readTopicSettings(topic, given)
  if (dryRun) {
    call.tries()
    return await previewSettings(call, topic, settings)
  }
  await core.settings.put(topic, Object.keys(settings).length === 0 ? undefined : settings)
  const now = topic.includes('*') ? (core.settings.stored()[topic] ?? {}) : core.settings.forTopic(topic)
  return { topic, settings: shown(now) }
}

async function previewSettings({ core }: Call, topic: string, settings: TopicOverrides): Promise<object> {
  if (topic.includes('*')) return { topic, settings: shown(settings) }
  const would = core.settings.forTopicWith(topic, settings)
  return { topic, settings: shown(would), trims: await core.log.trims(topic, would.retain, core.queues.now) }
}

function shown({ retain = {}, schema }: TopicOverrides) {
  const bounds = Object.entries(retain).map(([field, value]) => [field, numberToDocument(value)])
  return { retain: Object.fromEntries(bounds), ...(schema === undefined ? {} : { schema }) }
}
