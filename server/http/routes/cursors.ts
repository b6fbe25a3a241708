/** The routes of cursors: who is where, who lacks an offset; seek; forget. */

import { RepriseError } from '../../../shared/errors.ts'
import { seenOf } from '../../../shared/positions.ts'
import { authorize } from '../../core/access.ts'
import { placeOf } from '../../core/topics/start.ts'
import { parse } from '../../wire/calls.ts'
import { type Call, pageOf, type Route, route } from '../routes.ts'
import type { Query } from '../schemas/query.ts'
import { cursorAnswer, cursorsAnswer, cursorsQuery, ownerQuery, seekBody } from '../schemas/topics.ts'

interface Owner {
  readonly subject: string
  readonly client: string
}

export const cursorRoutes: readonly Route[] = [
  route({
    id: 'listCursors',
    method: 'get',
    path: '/topics/:topic/cursors',
    summary: 'List the cursors of a topic: who is where, or who has not seen an offset',
    query: cursorsQuery,
    answer: cursorsAnswer,
    run: list,
  }),

  route({
    id: 'seekCursor',
    acts: true,
    method: 'put',
    path: '/topics/:topic/cursors/:client',
    summary: 'Seek: put a cursor somewhere else, back or forth; ends the session that the client has open',
    refuses: ['stale_epoch'],
    query: ownerQuery,
    body: seekBody,
    answer: cursorAnswer,
    async run({ core, caller, param, json }, { subject = caller.subject }) {
      const topic = param('topic')
      authorize(caller, 'admin', topic)
      const owner = { subject, client: param('client') }
      const seek = parse(seekBody, await json(), 'seek')
      const place =
        'position' in seek ? seek.position : await placeOf(core.log, topic, seek.from, await core.log.bounds(topic))
      return { ...owner, position: await core.cursors.place(caller, topic, owner, place) }
    },
  }),

  route({
    id: 'forgetCursor',
    acts: true,
    method: 'delete',
    path: '/topics/:topic/cursors/:client',
    summary: 'Forget a cursor',
    refuses: ['not_found'],
    query: ownerQuery,
    async run({ core, caller, param }, { subject = caller.subject }) {
      await core.cursors.forget(caller, param('topic'), { subject, client: param('client') })
    },
  }),
]

async function list({ core, caller, param }: Call, { behind, ...query }: Query<typeof cursorsQuery>): Promise<object> {
  const topic = param('topic')
  authorize(caller, 'admin', topic)
  const lack = await lacking(behind)
  return await pageOf('cursors', query, find, seen, ({ subject, client }) => `${subject}/${client}`)

  function find({ after, limit }: { readonly after?: string | undefined; readonly limit: number }) {
    return core.cursors.list(caller, topic, { limit, after: after === undefined ? undefined : ownerOf(after), ...lack })
  }

  /** The store is asked by lag, as it has it: whoever lacks the offset now has at least this one when it is asked. */
  async function lacking(offset: number | undefined): Promise<{ readonly behind?: number }> {
    if (offset === undefined) return {}
    const { head } = await core.log.bounds(topic)
    return offset > head ? {} : { behind: head - offset + 1 }
  }

  /** Without those that only lack what was published since. */
  async function seen(cursors: Awaited<ReturnType<typeof find>>) {
    if (behind === undefined) return cursors
    const bounds = await core.log.bounds(topic)
    return cursors.filter(({ position }) => seenOf(bounds, position) < behind)
  }
}

/** `next` of the page before: no name of a client has a slash. */
function ownerOf(after: string): Owner {
  const slash = after.lastIndexOf('/')
  if (slash < 1) throw new RepriseError('bad_request', 'query: after is the next of the page before (subject/client)')
  return { subject: after.slice(0, slash), client: after.slice(slash + 1) }
}
