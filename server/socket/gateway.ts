/** The way in over Socket.IO: declares the namespaces, admits or refuses handshakes, removes what nobody uses. */

import type { Namespace, Server, Socket } from 'socket.io'
import { RepriseError } from '../../shared/errors.ts'
import { knownError, refusalOf } from '../core/refusal.ts'
import type { Channel } from '../core/topics/outlet.ts'
import type { Subscription } from '../core/topics/subscription.ts'
import {
  type Admission,
  admit,
  type ConsoleAdmission,
  type DemoAdmission,
  type GatewayContext,
  heed,
  type QueuesAdmission,
  type TopicAdmission,
} from './admission.ts'
import { Entrances } from './entrances.ts'
import { SocketJobOutlet } from './jobOutlet.ts'
import { RoomChannel, SocketOutlet } from './outlet.ts'
import { type QueuesState, serveQueues } from './queues.ts'
import { boundRates, ratesOf } from './rates.ts'
import { connectionsOf } from './seeing/connected.ts'
import { serveTopic, type TopicState } from './topic.ts'
import { cut } from './transport/connections.ts'
import { isOverfull } from './transport/flow.ts'
import type { GuestRequests } from './transport/requests.ts'

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
  const names = guests === undefined ? /^\/.+$/s : /^\/(topics\/.*|queues(#.*)?|console)$/s
  if ([...rawOf(io).parentNamespacesFromRegExp.keys()].some(({ source }) => source === names.source)) {
    throw new RepriseError('conflict', 'attach: another hub is attached to this Socket.IO server')
  }
  const parent = io.of(names)
  const channels = new WeakMap<Namespace, Channel>()
  const admissions = new WeakMap<Socket, Admission>()

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
  context.clients.from(connectionsOf(io, entrances, context))
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
        // Socket.IO's clients come back to a hub by themselves from a transport that closed, and not from a refusal.
        if (context.draining.aborted && guests === undefined) return socket.conn.close()
        const refusal = refusalOf(error, 'a handshake', context.telemetry)
        // Whoever does not read why it is refused, again and again, has had its answers.
        if (isOverfull(socket.conn)) cut(socket.conn)
        next(Object.assign(new Error(refusal.message), { data: refusal.toWire() }))
        tidyLater(io, socket.nsp)
      },
    )
  })

  async function knock(socket: Socket): Promise<Admission> {
    guests?.watch(io)
    const refusal = await guests?.enter(socket.conn)
    if (refusal !== undefined) throw new RepriseError('forbidden', refusal)
    return await admit(socket, context)
  }

  parent.on('connection', (socket: Socket) => {
    const admission = admissions.get(socket)
    if (admission === undefined) return
    admissions.delete(socket)
    if (asksForLimits(socket)) socket.emit('limits', admission.core.log.limits)
    if (admission.kind === 'topic') enterTopic(socket, admission)
    else if (admission.kind === 'queues') enterQueues(socket, admission)
    else if (admission.kind === 'demo') enterDemo(socket, admission)
    else enterConsole(socket, admission)
  })

  return entrances

  function enterQueues(socket: Socket, { core, caller, session }: QueuesAdmission): void {
    const client = { caller, id: socket.id, outlet: new SocketJobOutlet(socket) }
    socket.data = { core, caller, client, session, socket } satisfies QueuesState
    const leave = heed(socket, session, () => core.consumers.review(client))
    serveQueues(socket)
    socket.on('disconnect', (reason) => {
      leave()
      core.consumers.leave(client, reason === 'client namespace disconnect')
      tidyLater(io, socket.nsp)
    })
  }

  function enterConsole(socket: Socket, { session, enter }: ConsoleAdmission): void {
    const { review, left } = enter()
    const leave = heed(socket, session, review)
    socket.on('disconnect', () => {
      leave()
      left()
      tidyLater(io, socket.nsp)
    })
  }

  function enterDemo(socket: Socket, { core, session, enter }: DemoAdmission): void {
    const subscription = enter()
    const leave = heed(socket, session, () => subscription.review())
    socket.on('disconnect', () => {
      leave()
      subscription.close()
      tidyLater(io, socket.nsp)
    })
    void begin(socket, subscription, { core, from: 'end', onGap: undefined })
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
    if (from !== 'none') void begin(socket, subscription, admission)
  }

  function onDisconnect(this: Socket): void {
    const { subscription, outlet, leave } = this.data as TopicState
    leave()
    subscription.close()
    outlet.letGo()
    tidyLater(io, this.nsp)
  }
}

async function begin(
  socket: Socket,
  subscription: Subscription,
  { core, from, onGap }: Pick<TopicAdmission, 'core' | 'from' | 'onGap'>,
): Promise<void> {
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

/** A client that does not gets no packet that it may not know. */
function asksForLimits(socket: Socket): boolean {
  return (socket.handshake.auth as { readonly limits?: unknown } | undefined)?.limits === true
}
