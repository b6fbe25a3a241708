/** Who comes in over Socket.IO: checks a handshake, tells who calls, and what becomes of their session while they are in. */

import type { IncomingMessage } from 'node:http'
import type { Socket } from 'socket.io'
import { DEMO_NAMESPACE, DEMO_TOPIC } from '../../shared/console/demo.ts'
import { CONSOLE_NAMESPACE } from '../../shared/console/protocol.ts'
import { RepriseError } from '../../shared/errors.ts'
import { TOPIC_PREFIX, withoutPlace } from '../../shared/names.ts'
import { type From, type OnGap, PROTOCOL_VERSION } from '../../shared/protocol.ts'
import { QUEUES_NAMESPACE } from '../../shared/queues.ts'
import { authorize, type Caller, callerOf, type Gate, type Session } from '../core/access.ts'
import { type Core, started } from '../core/core.ts'
import type { Addresses } from '../core/guards/addresses.ts'
import { countedAs } from '../core/guards/callers.ts'
import type { Clients } from '../core/seeing/clients.ts'
import type { Telemetry } from '../core/telemetry.ts'
import { checkTopic } from '../core/topics/log.ts'
import type { Subscription } from '../core/topics/subscription.ts'
import { demoAuthSchema, parse, positionSchema, queuesAuthSchema, topicAuthSchema } from '../wire/calls.ts'
import type { RateRules } from './rates.ts'

export interface GatewayContext {
  readonly limits: RateRules & {
    /** That a connection may be in. */
    readonly namespacesPerSocket: number
  }
  readonly addresses: Addresses
  /** Resolves when the hub can serve; rejects when it never will. */
  readonly core: Promise<Core>
  /** Resolves when it can tell who calls. */
  readonly gate: Promise<Gate>
  readonly telemetry: Telemetry
  /** Whether the hub has one, and the demo beside it. */
  readonly console: boolean
  readonly draining: AbortSignal
  /** Whoever looks at who is connected. */
  readonly clients: Pick<Clients, 'from'>
}

/** What a handshake asked for, checked. */
export type Admission = TopicAdmission | QueuesAdmission | ConsoleAdmission | DemoAdmission

interface Admitted {
  readonly core: Core
  readonly caller: Caller
  readonly session: Session
}

export interface QueuesAdmission extends Admitted {
  readonly kind: 'queues'
}

/** What serves it is loaded with the first one. */
export interface ConsoleAdmission extends Admitted {
  readonly kind: 'console'
  /** It is in. */
  enter(): { readonly review: () => void; readonly left: () => void }
}

/** As the console's. */
export interface DemoAdmission extends Admitted {
  readonly kind: 'demo'
  enter(): Subscription
}

export interface TopicAdmission extends Admitted {
  readonly kind: 'topic'
  readonly topic: string
  readonly from: From | undefined
  readonly onGap: OnGap | undefined
  readonly paced: boolean
  readonly joined: boolean
}

export async function admit(socket: Socket, context: GatewayContext): Promise<Admission> {
  try {
    return await admission(socket, context)
  } catch (error) {
    leaveSession(socket)
    throw error
  }
}

async function admission(socket: Socket, context: GatewayContext): Promise<Admission> {
  const name = withoutPlace(socket.nsp.name)
  if (name === QUEUES_NAMESPACE) {
    return { kind: 'queues', ...(await admitTo(socket, authOf(socket, queuesAuthSchema), context)) }
  }
  if (name === CONSOLE_NAMESPACE && context.console) return await admitToConsole(socket, context)
  if (name === DEMO_NAMESPACE && context.console) return await admitToDemo(socket, context)
  if (!name.startsWith(TOPIC_PREFIX)) {
    const known = `topics are ${TOPIC_PREFIX}<topic>, queues are in ${QUEUES_NAMESPACE}`
    throw new RepriseError('not_found', `there is no namespace ${name.slice(0, 80)}; ${known}`)
  }
  const topic = name.slice(TOPIC_PREFIX.length)
  checkTopic(topic)
  const auth = authOf(socket, topicAuthSchema)
  const admitted = await admitTo(socket, auth, context)
  const { positions } = auth
  // A topic may be called `constructor`.
  const listed = positions != null && Object.hasOwn(positions, topic) ? positions[topic] : undefined
  const from = listed === undefined ? auth.from : parse(positionSchema, listed, `auth: positions.${topic}`)
  if (from === 'cursor' && admitted.caller.client === undefined) {
    throw new RepriseError('bad_request', "auth: from 'cursor' needs a client: its name names the cursor")
  }
  if (from !== 'none') authorize(admitted.caller, 'subscribe', topic)
  return {
    kind: 'topic',
    ...admitted,
    topic,
    from: from ?? undefined,
    onGap: auth.onGap ?? undefined,
    paced: auth.paced ?? false,
    joined: auth.joined ?? false,
  }
}

async function admitToDemo(socket: Socket, context: GatewayContext): Promise<DemoAdmission> {
  const { token, protocol, topic: asked } = authOf(socket, demoAuthSchema)
  const topic = asked ?? DEMO_TOPIC
  if (!topic.startsWith(DEMO_TOPIC)) {
    throw new RepriseError('bad_request', `auth: topic: the names of the demo's topics begin with ${DEMO_TOPIC}`)
  }
  const admitted = await admitTo(socket, { token, protocol }, context)
  authorize(admitted.caller, 'subscribe', topic)
  const { enterDemo } = await import('./demo.ts')
  return { kind: 'demo', ...admitted, enter: () => enterDemo(socket, admitted, topic) }
}

function authOf<T>({ handshake }: Socket, schema: Parameters<typeof parse<T>>[0]): T {
  return parse(schema, handshake.auth ?? {}, 'auth')
}

interface Auth {
  readonly protocol?: unknown
  readonly token?: string | null | undefined
  readonly client?: string | null | undefined
}

async function admitTo(socket: Socket, { protocol, token, client }: Auth, context: GatewayContext): Promise<Admitted> {
  checkVersion(protocol)
  const session = await enter(socket, token ?? undefined, context)
  const core = await started(context.core)
  core.admit()
  const counted = countedAs(session.subject, addressOf(socket, context))
  return { core, session, caller: callerOf(session, client ?? undefined, counted) }
}

async function admitToConsole(socket: Socket, context: GatewayContext): Promise<ConsoleAdmission> {
  const admitted = await admitTo(socket, authOf(socket, queuesAuthSchema), context)
  const [observer, { enterConsole }] = await Promise.all([admitted.core.observer?.(), import('./console.ts')])
  if (observer === undefined) throw new RepriseError('not_found', 'this hub has no console')
  return { kind: 'console', ...admitted, enter: () => enterConsole(socket, { ...admitted, observer }) }
}

/** A session that a token has opened over a connection: that token, and how many namespaces are in with it or on the way. */
interface Use {
  token: string | undefined
  namespaces: number
}

/** Of each connection: a session is forgotten with the last of its namespaces, as a connection may last for months. */
const sessions = new WeakMap<Socket['conn'], Map<Session, Use>>()
/** With which one a namespace is in, or on the way. */
const entered = new WeakMap<Socket, Session>()

async function enter(socket: Socket, token: string | undefined, context: GatewayContext): Promise<Session> {
  const { conn, handshake } = socket
  const { headers, auth, query } = handshake
  const address = addressOf(socket, context)
  // A hub that cannot start has no gate either, and says so.
  await started(context.core)
  const gate = await context.gate
  const known = [...(sessions.get(conn) ?? [])].find(([, use]) => use.token === token)?.[0]
  const session = await gate.enter({ headers, address, auth: auth ?? {}, query }, token, known)
  if (!gate.guarded || !session.byToken) return session
  const here = sessions.get(conn) ?? new Map<Session, Use>()
  const namespaces = (here.get(session)?.namespaces ?? 0) + 1
  sessions.set(conn, here.set(session, { token, namespaces }))
  entered.set(socket, session)
  return session
}

/** A namespace has left, or was refused after all. */
function leaveSession(socket: Socket): void {
  const session = entered.get(socket)
  const here = sessions.get(socket.conn)
  const use = session && here?.get(session)
  if (session === undefined || use === undefined) return
  entered.delete(socket)
  use.namespaces -= 1
  if (use.namespaces === 0) here?.delete(session)
}

/** A WebTransport has no request. */
export function addressOf(
  { conn, handshake }: Socket,
  { addresses }: Pick<GatewayContext, 'addresses'>,
): string | undefined {
  const request = conn.request as IncomingMessage | null
  return request === null ? handshake.address : addresses.of(request)
}

/** The new token is for all of the connection that the same caller has opened, also with an older or a newer one. */
function renewAll(connection: Socket['conn'], session: Session, token: string): void {
  const here = sessions.get(connection)
  const own = here?.get(session)
  if (here === undefined || own === undefined) return
  own.token = token
  for (const [other, its] of here) {
    if (its.token === token || other.subject !== session.subject || other.client !== session.client) continue
    its.token = token
    // One that may not go on ends as it would have.
    other.renew(token).catch(() => {})
  }
}

/** The namespace is told what becomes of its session, and ends with it. */
export function heed(socket: Socket, session: Session, renewed: () => void): () => void {
  const stop = session.onChange((change) => {
    switch (change.kind) {
      case 'expiring':
        socket.emit('expiring', { inMs: change.inMs })
        return
      case 'renewed':
        renewAll(socket.conn, session, change.token)
        renewed()
        return
      case 'ended':
        socket.emit('error', change.error.toWire())
        socket.disconnect()
    }
  })
  return () => {
    stop()
    leaveSession(socket)
  }
}

function checkVersion(version: unknown): void {
  if ((version ?? PROTOCOL_VERSION) === PROTOCOL_VERSION) return
  // What else it may be is as large and as deep as its sender likes.
  const asked =
    typeof version === 'number' || typeof version === 'string' ? JSON.stringify(version).slice(0, 80) : 'that'
  throw new RepriseError('unsupported', `this hub speaks protocol ${PROTOCOL_VERSION}, not ${asked}`)
}
