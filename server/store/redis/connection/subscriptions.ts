/**
 * Who on this node listens to which channel, and the connections that hear them: one to each server that has any.
 * Owns that a channel is heard again after whatever happened, and that its listeners are told that they missed something.
 */

import type { Redis } from 'ioredis'
import { messageOf } from '../../../../shared/errors.ts'
import { WAIT_MS } from '../../contract/basics.ts'
import { storeClosed } from '../../refusals.ts'
import type { Connection } from './connection.ts'
import { failure, NotSent } from './errors.ts'
import type { Router } from './router.ts'

/** How often a silent connection is asked whether it lives, and how long it may take to say so. */
const PING_MS = 2_000
const PONG_MS = 1_500
const RETRY_MS = 100
/** After a server has said that slots moved away, until the others know of it. */
const LOOKS = 5

export interface Listener<T = unknown> {
  heard(message: T): void
  /** Messages may have been missed. */
  lost(): void
}

interface Channel {
  readonly listeners: Set<Listener>
  /** What a message says; once for all who listen. */
  readonly read: (message: Buffer) => unknown
  /** Where it is heard; `undefined` while it is not. */
  server: Server | undefined
  /** Resolves when it is heard for the first time. */
  heard: Promise<void>
  seeking: boolean
}

interface Server {
  readonly address: string
  readonly link: Connection
  redis: Redis | undefined
  /** How often it is still looked whether slots have moved away. */
  looks: number
}

export class Subscriptions {
  readonly #router: Router
  readonly #warn: (message: string, cause?: unknown) => void
  readonly #channels = new Map<string, Channel>()
  readonly #servers = new Map<string, Server>()
  readonly #pings: NodeJS.Timeout
  #closed = false

  constructor(router: Router, warn: (message: string, cause?: unknown) => void) {
    this.#router = router
    this.#warn = warn
    this.#pings = setInterval(() => {
      for (const server of this.#servers.values()) void this.#ping(server)
    }, PING_MS)
    this.#pings.unref()
  }

  /** Resolves when the channel is heard; the result stops it. What `read` answers `undefined` for is passed over. */
  async add<T>(name: string, read: (message: Buffer) => T | undefined, listener: Listener<T>): Promise<() => void> {
    if (this.#closed) throw storeClosed()
    let channel = this.#channels.get(name)
    if (channel === undefined) {
      channel = { listeners: new Set(), read, server: undefined, heard: Promise.resolve(), seeking: false }
      this.#channels.set(name, channel)
      channel.heard = this.#seek(name, channel, performance.now() + WAIT_MS)
      channel.heard.catch(() => {})
    }
    const own = channel
    // A listener may be given twice: each time counts for itself.
    const entry: Listener = { heard: (message) => listener.heard(message as T), lost: () => listener.lost() }
    own.listeners.add(entry)
    const stop = (): void => {
      if (!own.listeners.delete(entry) || own.listeners.size > 0) return
      if (this.#channels.get(name) === own) this.#channels.delete(name)
      // Another may have begun to listen by the time the server is told.
      const { server } = own
      own.server = undefined
      setImmediate(() => {
        if (!this.#channels.has(name)) server?.redis?.sunsubscribe(name).catch(() => {})
      })
    }
    try {
      await own.heard
    } catch (error) {
      stop()
      throw failure(error)
    }
    return stop
  }

  /** Finds the server that has the channel and listens there. Without a deadline until it is found or nobody listens. */
  async #seek(name: string, channel: Channel, deadline: number | undefined): Promise<void> {
    if (channel.seeking) return
    channel.seeking = true
    try {
      for (;;) {
        if (this.#closed) throw storeClosed()
        if (channel.listeners.size === 0 && deadline === undefined) return
        try {
          const server = this.#serverAt(this.#router.addressOf(name))
          const redis = await server.link.ready(
            Math.min(deadline ?? Number.POSITIVE_INFINITY, performance.now() + 1_000),
          )
          await redis.ssubscribe(name)
          if (server.redis !== redis) throw new NotSent('the connection was lost')
          channel.server = server
          return
        } catch (error) {
          if (deadline !== undefined && performance.now() + RETRY_MS > deadline) throw error
          await new Promise((resolve) => setTimeout(resolve, RETRY_MS))
          if (!/^(NOAUTH|NOPERM)/.test(messageOf(error))) await this.#router.refresh().catch(() => {})
        }
      }
    } finally {
      channel.seeking = false
    }
  }

  #serverAt(address: string): Server {
    const known = this.#servers.get(address)
    if (known !== undefined) return known
    const link = this.#router.ownLink(address, {
      connected: (redis) => {
        server.redis = redis
        redis.on('smessageBuffer', (channel: Buffer, message: Buffer) => this.#hear(channel.toString(), message))
        redis.on('moved', () => {
          if (server.looks === 0) void this.#look(server)
          server.looks = LOOKS
        })
      },
      lost: () => {
        server.redis = undefined
        for (const [name, channel] of this.#channels) if (channel.server === server) this.#missed(name, server)
      },
    })
    const server: Server = { address, link, redis: undefined, looks: 0 }
    this.#servers.set(address, server)
    return server
  }

  /** The server ends the subscriptions of slots that it gives away; which ones, the driver does not tell. */
  async #look(server: Server): Promise<void> {
    do {
      await this.#router.refresh().catch(() => {})
      this.#leaveMoved(server)
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS))
    } while (--server.looks > 0 && !this.#closed)
  }

  #leaveMoved(server: Server): void {
    for (const [name, channel] of this.#channels) {
      if (channel.server === server && this.#router.addressOf(name) !== server.address) this.#missed(name, server)
    }
  }

  #hear(name: string, message: Buffer): void {
    const channel = this.#channels.get(name)
    if (channel === undefined) return
    let read: unknown
    try {
      read = channel.read(message)
    } catch (error) {
      this.#warn(`a message on ${name} cannot be read`, error)
    }
    if (read === undefined) return
    for (const listener of channel.listeners) {
      try {
        listener.heard(read)
      } catch (error) {
        this.#warn(`a listener on ${name} threw`, error)
      }
    }
  }

  #missed(name: string, server: Server): void {
    const channel = this.#channels.get(name)
    if (channel?.server !== server || this.#closed) return
    channel.server = undefined
    const again = async (): Promise<void> => {
      await this.#seek(name, channel, undefined)
      for (const listener of channel.listeners) listener.lost()
    }
    again().catch((error) => this.#closed || this.#warn(`${name} is not heard any more`, error))
  }

  async #ping(server: Server): Promise<void> {
    const { redis } = server
    this.#leaveMoved(server)
    if (![...this.#channels.values()].some((channel) => channel.server === server)) {
      if (this.#router.masters.includes(server.address)) return
      // Its slots are elsewhere by now.
      this.#servers.delete(server.address)
      server.link.close()
      return
    }
    if (redis === undefined) return
    const timer = setTimeout(() => redis.disconnect(), PONG_MS)
    try {
      await redis.ping()
    } catch {
      // The connection is lost, and that is told where it is lost.
    } finally {
      clearTimeout(timer)
    }
  }

  /** Resolves when what was published before has been heard, on connections that stand. */
  async caughtUp(): Promise<void> {
    await Promise.all([...this.#servers.values()].map(({ redis }) => redis?.ping().catch(() => {})))
  }

  close(): void {
    this.#closed = true
    clearInterval(this.#pings)
    this.#channels.clear()
    for (const { link } of this.#servers.values()) link.close()
  }
}
