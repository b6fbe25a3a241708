/** The way in over Socket.IO: declares the namespaces, admits or refuses handshakes, removes what nobody uses. */

import type { IncomingMessage } from 'node:http'
import type { Namespace, Server, Socket } from 'socket.io'
import { RepriseError } from '../../shared/errors.ts'
import { TOPIC_PREFIX } from '../../shared/names.ts'
import { type From, type OnGap, PROTOCOL_VERSION } from '../../shared/protocol.ts'
import { QUEUES_NAMESPACE } from '../../shared/queues.ts'
import { authorize, type Caller, callerOf, type Gate, type Session } from '../core/access.ts'
import { type Core, started } from '../core/core.ts'
import type { Addresses } from '../core/guards/addresses.ts'
import { countedAs } from '../core/guards/callers.ts'
import { knownError, refusalOf } from '../core/refusal.ts'
import type { Telemetry } from '../core/telemetry.ts'
import { checkTopic } from '../core/topics/log.ts'
import type { Channel } from '../core/topics/outlet.ts'
import type { Subscription } from '../core/topics/subscription.ts'
import { parse, positionSchema, queuesAuthSchema, topicAuthSchema } from '../wire.ts'
import { Entrances } from './entrances.ts'
import { SocketJobOutlet } from './jobOutlet.ts'
import { RoomChannel, SocketOutlet } from './outlet.ts'
import { type QueuesState, serveQueues } from './queues.ts'
import { boundRates, type RateRules, ratesOf } from './rates.ts'
import { serveTopic, type TopicState } from './topic.ts'
import { cut } from './transport/connections.ts'
import { isOverfull } from './transport/flow.ts'
import type { GuestRequests } from './transport/requests.ts'

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
}

/** What a handshake of the queues' namespace asked for, checked. */
interface QueuesAdmission {
  readonly core: Core
  readonly caller: Caller
  readonly session: Session
  readonly topic?: undefined
}

/** What a handshake of a topic's namespace asked for, checked. */
interface TopicAdmission {
  readonly core: Core
  readonly caller: Caller
  readonly session: Session
  readonly topic: string
  readonly from: From | undefined
  readonly onGap: OnGap | undefined
  readonly paced: boolean
  readonly joined: boolean
}

/** A subscription whose start failed for a passing reason is tried again after this long. */
const RETRY_MS = 500
/** A connection that is in too many namespaces may ask for another one after this long. */
const TOO_MANY_RETRY_MS = 5_000
/** Socket.IO's number of the packet. */
const CONNECT_ERROR = 4

/**
 * Serves a hub's namespaces. `guests`: the server is a program's own. There, names outside of the hub's are not the
 * hub's to refuse, and what has to hold at each request is looked at by the hub. Gives who is in.
 */
export function openGateway(io: Server, context: GatewayContext, guests?: GuestRequests): Entrances {
  // Matched loosely, so that a wrong name is refused below with its reason instead of Socket.IO's bare text.
  const names = guests === undefined ? /^\/.+$/s : /^\/(topics\/.*|queues)$/s
  if ([...rawOf(io).parentNamespacesFromRegExp.keys()].some(({ source }) => source === names.source)) {
    throw new RepriseError('conflict', 'attach: another hub is attached to this Socket.IO server')
  }
  const parent = io.of(names)
  const channels = new WeakMap<Namespace, Channel>()
  const admissions = new WeakMap<Socket, TopicAdmission | QueuesAdmission>()

  const { namespacesPerSocket: max } = context.limits
  const entrances = new Entrances({
    max,
    refusal({ conn }) {
      // Connections of a program's own server are known from here on.
      if (guests !== undefined) boundRates(conn, context.limits)
      return ratesOf(conn)?.refusal()
    },
    refuse(client, namespace, refused, untouched, why = noRoom(max)) {
      const refusal = refusalOf(why, 'a handshake', context.telemetry)
      if (refused > max || isOverfull(client.conn)) cut(client.conn)
      else turnAway(client, namespace.name, refusal)
      if (untouched) remove(io, namespace)
    },
  })
  if (guests === undefined) entrances.watch(io.sockets)
  const raw = parent as unknown as RawParent
  const create = raw.createChild
  raw.createChild = (name) => {
    const child = create.call(raw, name)
    entrances.watch(child)
    return child
  }

  guests?.watch(io)
  parent.use((socket, next) => {
    knock(socket).then(
      (admission) => {
        admissions.set(socket, admission)
        next()
        tidyLater(io, socket.nsp)
      },
      (error) => {
        const refusal = refusalOf(error, 'a handshake', context.telemetry)
        // Whoever does not read why it is refused, again and again, has had its answers.
        if (isOverfull(socket.conn)) cut(socket.conn)
        next(Object.assign(new Error(refusal.message), { data: refusal.toWire() }))
        tidyLater(io, socket.nsp)
      },
    )
  })

  async function knock(socket: Socket): Promise<TopicAdmission | QueuesAdmission> {
    guests?.watch(io)
    const refusal = await guests?.enter(socket.conn)
    if (refusal !== undefined) throw new RepriseError('forbidden', refusal)
    return await admit(socket, context)
  }

  parent.on('connection', (socket: Socket) => {
    const admission = admissions.get(socket)
    if (admission === undefined) return
    admissions.delete(socket)
    if (admission.topic === undefined) enterQueues(socket, admission)
    else enterTopic(socket, admission)
  })

  return entrances

  function enterQueues(socket: Socket, { core, caller, session }: QueuesAdmission): void {
    const client = { caller, id: socket.id, outlet: new SocketJobOutlet(socket) }
    socket.data = { core, caller, client, session, socket } satisfies QueuesState
    const leave = heed(socket, session, () => core.consumers.review(client))
    serveQueues(socket)
    if (tellsLimits(socket)) socket.emit('limits', core.log.limits)
    socket.on('disconnect', (reason) => {
      leave()
      core.consumers.leave(client, reason === 'client namespace disconnect')
      tidyLater(io, socket.nsp)
    })
  }

  function enterTopic(socket: Socket, admission: TopicAdmission): void {
    let channel = channels.get(socket.nsp)
    if (channel === undefined) {
      channel = new RoomChannel(socket.nsp)
      channels.set(socket.nsp, channel)
    }
    const { core, caller, session, topic, paced, from, joined } = admission
    const outlet = new SocketOutlet(socket, channel, paced, core.log.limits)
    const subscription = core.subscription(caller, topic, outlet)
    const leave = heed(socket, session, () => subscription.review())
    socket.data = { core, caller, session, topic, outlet, subscription, joined, leave } satisfies TopicState
    serveTopic(socket)
    socket.on('disconnect', onDisconnect)
    if (tellsLimits(socket)) socket.emit('limits', core.log.limits)
    if (from !== 'none') void begin(socket, subscription, admission)
  }

  function onDisconnect(this: Socket): void {
    const { subscription, outlet, leave } = this.data as TopicState
    leave()
    subscription.close()
    outlet.close()
    tidyLater(io, this.nsp)
  }
}

async function admit(socket: Socket, context: GatewayContext): Promise<TopicAdmission | QueuesAdmission> {
  const { name } = socket.nsp
  if (name === QUEUES_NAMESPACE) return await admitToQueues(socket, context)
  if (!name.startsWith(TOPIC_PREFIX)) {
    const known = `topics are ${TOPIC_PREFIX}<topic>, queues are in ${QUEUES_NAMESPACE}`
    throw new RepriseError('not_found', `there is no namespace ${name.slice(0, 80)}; ${known}`)
  }
  const topic = name.slice(TOPIC_PREFIX.length)
  checkTopic(topic)
  const auth = parse(topicAuthSchema, socket.handshake.auth ?? {}, 'auth')
  checkVersion(auth.protocol)
  const session = await enter(socket, auth.token ?? undefined, context)
  const caller = callerOf(session, auth.client ?? undefined, countedAs(session.subject, addressOf(socket, context)))
  const { positions } = auth
  // A topic may be called `constructor`.
  const listed = positions != null && Object.hasOwn(positions, topic) ? positions[topic] : undefined
  const from = listed === undefined ? auth.from : parse(positionSchema, listed, `auth: positions.${topic}`)
  if (from === 'cursor' && caller.client === undefined) {
    throw new RepriseError('bad_request', "auth: from 'cursor' needs a client: its name names the cursor")
  }
  if (from !== 'none') authorize(caller, 'subscribe', topic)
  const core = await started(context.core)
  core.admit()
  return {
    core,
    caller,
    session,
    topic,
    from: from ?? undefined,
    onGap: auth.onGap ?? undefined,
    paced: auth.paced ?? false,
    joined: auth.joined ?? false,
  }
}

async function admitToQueues(socket: Socket, context: GatewayContext): Promise<QueuesAdmission> {
  const auth = parse(queuesAuthSchema, socket.handshake.auth ?? {}, 'auth')
  checkVersion(auth.protocol)
  const session = await enter(socket, auth.token ?? undefined, context)
  const core = await started(context.core)
  core.admit()
  const counted = countedAs(session.subject, addressOf(socket, context))
  return { core, session, caller: callerOf(session, auth.client ?? undefined, counted) }
}

/** The sessions of a connection that a token has opened, with that token. */
const sessions = new WeakMap<Socket['conn'], Map<Session, string | undefined>>()

async function enter(socket: Socket, token: string | undefined, context: GatewayContext): Promise<Session> {
  const { conn, handshake } = socket
  const { headers, auth, query } = handshake
  const address = addressOf(socket, context)
  // A hub that cannot start has no gate either, and says so.
  await started(context.core)
  const gate = await context.gate
  const known = [...(sessions.get(conn) ?? [])].find(([, its]) => its === token)?.[0]
  const session = await gate.enter({ headers, address, auth: auth ?? {}, query }, token, known)
  if (!gate.guarded || !session.byToken) return session
  const here = sessions.get(conn) ?? new Map<Session, string | undefined>()
  sessions.set(conn, here.set(session, token))
  return session
}

/** A WebTransport has no request. */
function addressOf({ conn, handshake }: Socket, { addresses }: GatewayContext): string | undefined {
  const request = conn.request as IncomingMessage | null
  return request === null ? handshake.address : addresses.of(request)
}

/** The new token is for all of the connection that the same caller has opened, also with an older or a newer one. */
function renewAll(connection: Socket['conn'], session: Session, token: string): void {
  const here = sessions.get(connection)
  if (here?.get(session) === undefined) return
  here.set(session, token)
  for (const [other, its] of here) {
    if (its === token || other.subject !== session.subject || other.client !== session.client) continue
    here.set(other, token)
    // One that may not go on ends as it would have.
    other.renew(token).catch(() => {})
  }
}

/** The namespace is told what becomes of its session, and ends with it. */
function heed(socket: Socket, session: Session, renewed: () => void): () => void {
  return session.onChange((change) => {
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
}

function checkVersion(version: unknown): void {
  if ((version ?? PROTOCOL_VERSION) === PROTOCOL_VERSION) return
  // What else it may be is as large and as deep as its sender likes.
  const asked =
    typeof version === 'number' || typeof version === 'string' ? JSON.stringify(version).slice(0, 80) : 'that'
  throw new RepriseError('unsupported', `this hub speaks protocol ${PROTOCOL_VERSION}, not ${asked}`)
}

async function begin(socket: Socket, subscription: Subscription, { core, from, onGap }: TopicAdmission): Promise<void> {
  const query = { ...(from === undefined ? {} : { from }), ...(onGap === undefined ? {} : { onGap }) }
  while (socket.connected) {
    try {
      await subscription.start(query, false)
      return
    } catch (cause) {
      if (!socket.connected || subscription.steered) return
      const error = knownError(cause, 'a subscription', core.telemetry)
      if (!error.retryable) return subscription.end(refusalOf(error, 'a subscription', core.telemetry))
      await new Promise((resolve) => setTimeout(resolve, error.retryAfterMs ?? RETRY_MS))
      if (subscription.steered) return
    }
  }
}

/** The answer to one namespace more than a connection may have, given without making a socket for it. */
function turnAway(client: Socket['client'], name: string, refusal: RepriseError): void {
  const raw = client as unknown as { _packet(packet: object): void }
  raw._packet({ type: CONNECT_ERROR, nsp: name, data: { message: refusal.message, data: refusal.toWire() } })
}

function noRoom(max: number): RepriseError {
  const message = `this connection is in ${max} namespaces, which is the limit (limits.namespacesPerSocket): leave some, or open another connection`
  return new RepriseError('too_many', message, { retryAfterMs: TOO_MANY_RETRY_MS })
}

/**
 * Removes a namespace that nobody is in or about to enter. Later, as a client that enters is not to be seen anywhere for
 * a moment of this turn.
 */
function tidyLater(io: Server, namespace: Namespace): void {
  setImmediate(() => {
    const { _preConnectSockets: entering } = namespace as unknown as { _preConnectSockets: ReadonlyMap<string, Socket> }
    if (namespace.sockets.size === 0 && entering.size === 0) remove(io, namespace)
  })
}

function remove(io: Server, namespace: Namespace): void {
  if (namespace === io.sockets || io._nsps.get(namespace.name) !== namespace) return
  namespace.adapter.close()
  io._nsps.delete(namespace.name)
  for (const parent of rawOf(io).parentNamespacesFromRegExp.values()) parent.children.delete(namespace)
}

/** What Socket.IO has and does not declare. */
interface RawParent {
  createChild(name: string): Namespace
}

interface RawServer {
  readonly parentNamespacesFromRegExp: ReadonlyMap<RegExp, { readonly children: Set<Namespace> }>
}

function rawOf(io: Server): RawServer {
  return io as unknown as RawServer
}

/** Whether the handshake asks for them; a client that does not gets no packet that it may not know. */
function tellsLimits(socket: Socket): boolean {
  return (socket.handshake.auth as { readonly limits?: unknown } | undefined)?.limits === true
}
