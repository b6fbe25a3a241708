/**
 * A hub that does what a test tells it, on real Socket.IO: every handshake and every call waits for the test's answer.
 * For exact orders of faults; what a hub really does is tested against the real one.
 */

import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Server, type Socket } from 'socket.io'
import { RepriseError } from '../../../shared/errors.ts'
import {
  DEFAULT_LIMITS,
  type Draft,
  type Durability,
  type Event,
  type Gap,
  type Limits,
  type ProducerSeq,
  type Subscribed,
  type TopicAuth,
} from '../../../shared/protocol.ts'
import { atEnd } from '../ending.ts'
import { within } from '../until.ts'

/** What came in first and was not asked for yet; or who asked first. */
class Mailbox<T> {
  readonly #items: T[] = []
  readonly #takers: ((item: T) => void)[] = []

  put(item: T): void {
    const taker = this.#takers.shift()
    if (taker === undefined) this.#items.push(item)
    else taker(item)
  }

  take(what: string): Promise<T> {
    const item = this.#items.shift()
    if (item !== undefined) return Promise.resolve(item)
    return within(new Promise<T>((resolve) => this.#takers.push(resolve)), 5_000, what)
  }

  get waiting(): number {
    return this.#items.length
  }
}

export interface Call {
  readonly args: readonly unknown[]
  reply(value: unknown): void
  refuse(code: RepriseError['code'], retryAfterMs?: number): void
}

/** A client in a topic's namespace, or in the one of the queues. */
export interface Guest {
  /** Empty in the namespace of the queues. */
  readonly topic: string
  readonly auth: TopicAuth
  subscribed(position: Subscribed['position'], behind?: number, limits?: Limits): void
  events(epoch: string, offsets: readonly number[]): void
  /** A page of a catch-up; resolves when the client asks for the next one. */
  page(epoch: string, offsets: readonly number[]): Promise<void>
  gap(gap: Gap): void
  live(offset: number): void
  send(packet: string, ...args: unknown[]): void
  /** Says `error` and disconnects the namespace for good. */
  end(code: RepriseError['code']): void
  /** Closes the transport. */
  cut(): void
  /** Disconnects the namespace without a word. */
  disconnect(): void
  readonly left: Promise<void>
}

export interface FakeHub {
  readonly url: string
  /** Transports open now. */
  readonly transports: number
  /** Transports that were ever opened. */
  readonly opened: number
  /** The next client that joins a namespace. */
  guest(): Promise<Guest>
  /** The next call of this name. */
  call(name: string): Promise<Call>
  /** From now on calls of this name are answered so. */
  answer(name: string, value: unknown): void
  /** Calls of this name that wait. */
  waiting(name: string): number
  /** How many of the next handshakes are refused, and with what. */
  refuse(code: RepriseError['code'], options?: { times?: number; retryAfterMs?: number }): void
  close(): Promise<void>
}

export function event(offset: number, data: unknown = `event ${offset}`): Event {
  return { offset, at: offset, data }
}

export function range(from: number, to: number): number[] {
  return Array.from({ length: Math.max(0, to - from + 1) }, (_, i) => from + i)
}

export interface Publish extends Call {
  readonly drafts: readonly Draft[]
  readonly row: ProducerSeq
  /** Answers with these offsets on. */
  kept(firstOffset: number, epoch?: string, durability?: Durability): void
}

export async function nextPublish(hub: FakeHub): Promise<Publish> {
  const call = await hub.call('publish')
  const drafts = call.args[0] as Draft[]
  return {
    ...call,
    drafts,
    row: call.args[1] as ProducerSeq,
    kept: (first, epoch = 'a', durability = 'fsync') =>
      call.reply({ epoch, offsets: drafts.map((_, i) => first + i), duplicates: 0, durability }),
  }
}

export async function startFakeHub(atPort = 0): Promise<FakeHub> {
  const server = createServer()
  const io = new Server(server, { serveClient: false })
  const guests = new Mailbox<Guest>()
  const calls = new Map<string, Mailbox<Call>>()
  const answers = new Map<string, unknown>()
  const refusals: RepriseError[] = []
  let opened = 0
  const mailbox = (name: string) => {
    const box = calls.get(name) ?? new Mailbox<Call>()
    calls.set(name, box)
    return box
  }
  io.engine.on('connection', () => {
    opened++
  })
  io.of(/^\/(topics\/.+|queues)$/)
    .use((_socket, next) => {
      const refusal = refusals.shift()
      next(refusal && Object.assign(new Error(refusal.message), { data: refusal.toWire() }))
    })
    .on('connection', (socket: Socket) => {
      socket.onAny((name: string, ...args: unknown[]) => {
        const respond = args.pop() as (reply: unknown) => void
        if (answers.has(name)) return respond({ ok: true, value: answers.get(name) })
        mailbox(name).put({
          args,
          reply: (value) => respond({ ok: true, value }),
          refuse: (code, retryAfterMs) => respond({ ok: false, error: failure(code, retryAfterMs).toWire() }),
        })
      })
      if ((socket.handshake.auth as TopicAuth).limits) socket.emit('limits', DEFAULT_LIMITS)
      guests.put(guestOf(socket))
    })
  server.listen(atPort, '127.0.0.1')
  await once(server, 'listening')
  let closed: Promise<void> | undefined
  const close = () => {
    closed ??= io.close()
    return closed
  }
  atEnd(close)
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    get transports() {
      return io.engine.clientsCount
    },
    get opened() {
      return opened
    },
    guest: () => guests.take('a client to join'),
    call: (name) => mailbox(name).take(`the call ${name}`),
    answer: (name, value) => void answers.set(name, value),
    waiting: (name) => mailbox(name).waiting,
    refuse: (code, { times = 1, retryAfterMs } = {}) => {
      for (let i = 0; i < times; i++) refusals.push(failure(code, retryAfterMs))
    },
    close,
  }
}

function failure(code: RepriseError['code'], retryAfterMs: number | undefined): RepriseError {
  return new RepriseError(code, `scripted ${code}`, retryAfterMs === undefined ? {} : { retryAfterMs })
}

function guestOf(socket: Socket): Guest {
  const topic = socket.nsp.name.slice('/topics/'.length)
  const packet = (epoch: string, offsets: readonly number[]) => ({ epoch, events: offsets.map((o) => event(o)) })
  return {
    topic,
    auth: socket.handshake.auth as TopicAuth,
    subscribed: (position, behind = 0, limits = DEFAULT_LIMITS) => {
      const { epoch, offset } = position
      socket.emit('subscribed', { topic, epoch, first: 1, last: offset + behind, position, behind, limits })
    },
    events: (epoch, offsets) => {
      socket.emit('events', packet(epoch, offsets))
    },
    page: (epoch, offsets) => new Promise((resolve) => socket.emit('events', packet(epoch, offsets), () => resolve())),
    gap: (gap) => {
      socket.emit('gap', gap)
    },
    live: (offset) => {
      socket.emit('live', { offset })
    },
    send: (name, ...args) => {
      socket.emit(name, ...args)
    },
    end: (code) => {
      socket.emit('error', failure(code, undefined).toWire())
      socket.disconnect()
    },
    cut: () => {
      socket.conn.close()
    },
    disconnect: () => {
      socket.disconnect()
    },
    left: new Promise((resolve) => socket.once('disconnect', () => resolve())),
  }
}
