/** A plain socket.io-client, as any library in any language would speak to the hub. No SDK. */

import { io, type Socket } from 'socket.io-client'
import { RepriseError } from '../../../shared/errors.ts'
import type { Event, EventsPacket, Reply, TopicAuth, TopicPackets } from '../../../shared/protocol.ts'
import { atEnd } from '../ending.ts'
import { until, within } from '../until.ts'

export interface Packet {
  readonly name: string
  readonly args: readonly unknown[]
}

type Auth = TopicAuth | Readonly<Record<string, unknown>>

export interface JoinOptions {
  /** Default `['websocket']`; `['polling']` stays with long polling. */
  readonly transports?: readonly ('websocket' | 'polling')[]
  /** Default false: a test says itself when it comes back. */
  readonly reconnection?: boolean
  /** Do not call `done` of a paced page; the test does. */
  readonly holdPages?: boolean
  readonly path?: string
  readonly headers?: Readonly<Record<string, string>>
  /** Default 10,000; for the connection and for each reply. */
  readonly deadlineMs?: number
}

export interface Wire {
  readonly socket: Socket
  /** Everything that came, in order. */
  readonly packets: readonly Packet[]
  /** Calls and gives the reply as it came. */
  call<T = unknown>(name: string, ...args: unknown[]): Promise<Reply<T>>
  /** Calls and gives the value; an error is thrown as `RepriseError`. */
  value<T = unknown>(name: string, ...args: unknown[]): Promise<T>
  /** First arguments of all packets of a name so far. */
  all<N extends keyof TopicPackets>(name: N): Parameters<TopicPackets[N]>[0][]
  /** Waits until `count` packets of the name have come in all; gives the first argument of that one. */
  seen<N extends keyof TopicPackets>(
    name: N,
    count?: number,
    deadlineMs?: number,
  ): Promise<Parameters<TopicPackets[N]>[0]>
  /** All events that have come so far. */
  events(): Event[]
  /** Waits until `count` events have come in all; gives them, also those beyond the count. */
  eventsSeen(count: number, deadlineMs?: number): Promise<Event[]>
  /** Resolves with the reason when the socket is disconnected. */
  readonly disconnected: Promise<string>
  /** Closes the transport below the namespace. A network that dies without a word is relay.ts's work. */
  cut(): void
  /** Disconnects as a client does on purpose. */
  close(): void
}

/** Connects to `/topics/<topic>`; resolves when connected, rejects with the `RepriseError` of a refused namespace. */
export function join(url: string, topic: string, auth: Auth = {}, options: JoinOptions = {}): Promise<Wire> {
  return joinNamespace(url, `/topics/${topic}`, auth, options)
}

export async function joinNamespace(
  url: string,
  namespace: string,
  auth: Auth | (() => Auth) = {},
  options: JoinOptions = {},
): Promise<Wire> {
  const { transports = ['websocket'], reconnection = false, deadlineMs = 10_000 } = options
  const socket = io(`${url}${namespace}`, {
    transports: [...transports],
    reconnection,
    forceNew: true,
    autoConnect: false,
    auth: typeof auth === 'function' ? (give) => give({ ...auth() }) : { ...auth },
    ...(options.path === undefined ? {} : { path: options.path }),
    ...(options.headers === undefined ? {} : { extraHeaders: { ...options.headers } }),
  })
  atEnd(() => {
    socket.disconnect()
  })
  const packets: Packet[] = []
  socket.onAny((name: string, ...args: unknown[]) => {
    packets.push({ name, args })
    const done = args.at(-1)
    if (name === 'events' && typeof done === 'function' && options.holdPages !== true) done()
  })
  const disconnected = new Promise<string>((resolve) => socket.once('disconnect', resolve))
  const connected = new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve)
    socket.once('connect_error', (error: Error & { data?: unknown }) => {
      if (!reconnection) reject(error.data === undefined ? error : RepriseError.fromWire(error.data))
    })
  })
  socket.connect()
  await within(connected, deadlineMs, `a connection to ${namespace}`).catch((error) => {
    socket.disconnect()
    throw error
  })
  return wire(socket, packets, disconnected, deadlineMs)
}

function wire(socket: Socket, packets: Packet[], disconnected: Promise<string>, replyMs: number): Wire {
  const call = <T>(name: string, ...args: unknown[]): Promise<Reply<T>> => {
    const reply = new Promise<Reply<T>>((resolve) => socket.emit(name, ...args, resolve))
    return within(reply, replyMs, `the reply of ${name}`)
  }
  const all = <N extends keyof TopicPackets>(name: N) =>
    packets.filter((packet) => packet.name === name).map((packet) => packet.args[0] as Parameters<TopicPackets[N]>[0])
  const events = (): Event[] => all('events').flatMap((packet) => (packet as EventsPacket).events)
  const names = () => packets.map((packet) => packet.name).slice(-20)
  return {
    socket,
    packets,
    disconnected,
    call,
    all,
    events,
    async value<T>(name: string, ...args: unknown[]): Promise<T> {
      const reply = await call<T>(name, ...args)
      if (reply.ok) return reply.value
      throw RepriseError.fromWire(reply.error)
    },
    async seen(name, count = 1, deadlineMs = 10_000) {
      await until(() => all(name).length >= count, { what: `${count} × ${name}`, deadlineMs, seen: names })
      return all(name)[count - 1] as Parameters<TopicPackets[typeof name]>[0]
    },
    async eventsSeen(count, deadlineMs = 10_000) {
      let seen = 0
      let looked = 0
      await until(
        () => {
          for (; looked < packets.length; looked++) {
            const packet = packets[looked]
            if (packet?.name === 'events') seen += (packet.args[0] as EventsPacket).events.length
          }
          return seen >= count
        },
        { what: `${count} events`, deadlineMs, seen: () => ({ events: seen, last: names() }) },
      )
      return events()
    },
    cut: () => {
      socket.io.engine?.close()
    },
    close: () => {
      socket.disconnect()
    },
  }
}
