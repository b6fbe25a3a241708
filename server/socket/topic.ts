/** The calls of a client in a topic's namespace: from packet to core and back to a reply. */

import type { Socket } from 'socket.io'
import { RepriseError } from '../../shared/errors.ts'
import type { ReadPage, Reply } from '../../shared/protocol.ts'
import type { Caller } from '../core/access.ts'
import type { Core } from '../core/core.ts'
import { refusalOf } from '../core/refusal.ts'
import { eventObject } from '../core/topics/packet.ts'
import type { Subscription } from '../core/topics/subscription.ts'
import {
  credentialsSchema,
  parse,
  parseDrafts,
  positionSchema,
  producerSchema,
  readSchema,
  subscribeSchema,
} from '../wire.ts'
import type { SocketOutlet } from './outlet.ts'

/** What is kept for a socket in a topic's namespace. */
export interface TopicState {
  readonly core: Core
  readonly caller: Caller
  readonly topic: string
  readonly outlet: SocketOutlet
  readonly subscription: Subscription
}

type Call = (state: TopicState, args: readonly unknown[]) => Promise<unknown>

const CALLS: Readonly<Record<string, Call>> = {
  async publish({ core, caller, topic }, [drafts, row]) {
    core.admit()
    const parsed = parseDrafts(drafts, 'publish: drafts')
    if (row === undefined || row === null) return await core.log.publish(caller, topic, parsed)
    return await core.log.publish(caller, topic, parsed, parse(producerSchema, row, 'publish: options'))
  },

  async ack({ core, caller, topic, subscription }, [position]) {
    const parsed = parse(positionSchema, position, 'ack')
    // What a client has kept back while it was away comes with its handshake.
    await subscription.started
    return await core.cursors.ack(caller, topic, subscription.session, parsed)
  },

  async read({ core, caller, topic }, [query]) {
    const page = await core.log.read(caller, topic, parse(readSchema, query ?? {}, 'read'))
    const events = page.events.flatMap((event) => ('damaged' in event ? [] : [eventObject(event)]))
    return { ...page, events } satisfies ReadPage
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

  async auth(_state, [credentials]) {
    parse(credentialsSchema, credentials, 'auth')
    return null
  },
}

/** Serves the calls of a socket whose `data` is a `TopicState`. One function for all sockets, as each has thousands. */
export function serveTopic(socket: Socket): void {
  socket.onAny(onCall)
}

function onCall(this: unknown, name: unknown, ...args: unknown[]): void {
  const socket = this as Socket
  const state = socket.data as TopicState
  const last = args.at(-1)
  const respond = typeof last === 'function' ? (args.pop() as (reply: Reply<unknown>) => void) : () => {}
  answer(state, name, args).then(
    (value) => respond({ ok: true, value }),
    (error) => respond({ ok: false, error: refusalOf(error, String(name), state.core.happenings).toWire() }),
  )
}

async function answer(state: TopicState, name: unknown, args: readonly unknown[]): Promise<unknown> {
  const call = typeof name === 'string' && Object.hasOwn(CALLS, name) ? CALLS[name] : undefined
  if (call === undefined) {
    const known = Object.keys(CALLS).join(', ')
    throw new RepriseError(
      'bad_request',
      `there is no call ${JSON.stringify(String(name).slice(0, 80))} here; there are ${known}`,
    )
  }
  return await call(state, args)
}
