/** The route of server-sent events: where a stream starts, and when it ends. */

import { RepriseError } from '../../../shared/errors.ts'
import type { SubscribeQuery } from '../../../shared/protocol.ts'
import { authorize } from '../../core/access.ts'
import { checkTopic } from '../../core/topics/log.ts'
import { EventStream } from '../outlet.ts'
import { type Call, type Route, route } from '../routes.ts'
import type { Query } from '../schemas/query.ts'
import { streamQuery } from '../schemas/topics.ts'

export const streamRoutes: readonly Route[] = [
  route({
    id: 'streamEvents',
    method: 'get',
    path: '/topics/:topic/stream',
    summary: 'Events as they come, as server-sent events; comes back where it was',
    query: streamQuery,
    headers: { 'Last-Event-ID': '`epoch:offset` of the last event seen; goes before the query' },
    answer: 'text/event-stream',
    ticketed: true,
    run: stream,
  }),
]

async function stream(call: Call, query: Query<typeof streamQuery>): Promise<void> {
  const { core, session, caller, request, response, context, gone } = call
  const topic = call.param('topic')
  if (request.method === 'HEAD') {
    checkTopic(topic)
    authorize(caller, 'subscribe', topic)
    response.setHeader('Content-Type', 'text/event-stream; charset=utf-8')
    response.end()
    return
  }
  const where = startOf(request.get('last-event-id'), query)
  const giveBack = core.callers.take('streams', caller)
  const outlet = new EventStream(response, { passGaps: query.onGap !== 'fail' })
  const since = Date.now()
  const subscription = core.subscription(caller, topic, outlet)
  const stop = () => {
    subscription.close()
    outlet.finish()
  }
  const leave = session.onChange((change) => {
    if (change.kind === 'ended') subscription.end(change.error)
  })
  const forget = core.clients.add({
    key: outlet,
    transport: 'stream',
    address: context.addresses.of(request),
    parts: () => [{ caller, since, subscription: { topic, ...subscription.progress } }],
    disconnect: () => response.destroy(),
  })
  const close = () => {
    forget()
    giveBack()
    leave()
    context.draining.removeEventListener('abort', stop)
    subscription.close()
  }
  context.draining.addEventListener('abort', stop)
  gone.addEventListener('abort', close)
  try {
    await subscription.start(where, false)
  } catch (error) {
    close()
    throw error
  }
}

function startOf(header: string | undefined, { from, lastEventId, onGap }: Query<typeof streamQuery>): SubscribeQuery {
  const position = lastSeen(header) ?? lastEventId
  const place = position ?? from
  return { ...(place === undefined ? {} : { from: place }), ...(onGap === undefined ? {} : { onGap }) }
}

/** A browser that has seen nothing yet sends none, or an empty one. */
function lastSeen(header: string | undefined) {
  if (header === undefined || header === '') return undefined
  const result = streamQuery.lastEventId.safeParse(header)
  if (result.success) return result.data
  throw new RepriseError('bad_request', 'Last-Event-ID is none of this topic: it is a position such as 3f2a:42')
}
