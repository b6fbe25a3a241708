/** The calls of a client in a topic's namespace. */

import { RepriseError } from '../../shared/errors.ts'
import type { Subscription } from '../core/topics/subscription.ts'
import { parse, parseDrafts, positionSchema, producerSchema, readSchema, subscribeSchema } from '../wire/calls.ts'
import { type Calls, type SocketState, serving } from './calls.ts'
import { fittingPage, incomingList, wholePage } from './joining.ts'
import type { SocketOutlet } from './outlet.ts'

/** What is kept for a socket in a topic's namespace. */
export interface TopicState extends SocketState {
  /** Hears no more of the session. */
  readonly leave: () => void
  readonly topic: string
  readonly outlet: SocketOutlet
  readonly subscription: Subscription
  /** Whether the client reads joined replies. */
  readonly joined: boolean
}

const CALLS: Calls<TopicState> = {
  async publish({ core, caller, topic }, [drafts, row]) {
    core.admit()
    const parsed = parseDrafts(incomingList(drafts, 'data'), 'publish: drafts', core.log.limits.batch)
    if (row === undefined || row === null) return await core.log.publish(caller, topic, parsed)
    return await core.log.publish(caller, topic, parsed, parse(producerSchema, row, 'publish: options'))
  },

  async ack({ core, caller, topic, subscription }, [position]) {
    const parsed = parse(positionSchema, position, 'ack')
    // What a client has kept back while it was away comes with its handshake.
    await subscription.started
    return await core.cursors.ack(caller, topic, subscription.session, parsed)
  },

  async read({ core, caller, topic, joined }, [query]) {
    const parsed = parse(readSchema, query ?? {}, 'read')
    const page = await core.log.read(caller, topic, parsed)
    return joined ? wholePage(page) : fittingPage(page, parsed.before !== undefined)
  },

  async subscribe({ core, subscription }, [query]) {
    core.admit()
    const parsed = parse(subscribeSchema, query ?? {}, 'subscribe')
    if (parsed.from === 'none') throw new RepriseError('bad_request', "subscribe: from 'none' is for the handshake")
    return { ...(await subscription.start(parsed, true)), limits: core.log.limits }
  },

  async unsubscribe({ subscription }) {
    subscription.stop()
    return null
  },
}

export const serveTopic = serving(CALLS)
