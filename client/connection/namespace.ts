/**
 * One namespace of the hub: joins with a fresh handshake each time, comes back after refusals that may pass, and makes
 * calls. What is said in the namespace is the affair of its owner.
 */

import type { Socket } from 'socket.io-client'
import { isErrorCode, RepriseError, type WireError } from '../../shared/errors.ts'
import { whole } from '../../shared/joined.ts'
import { type Limits, PROTOCOL_VERSION, type Reply, type Subscribed, type TopicAuth } from '../../shared/protocol.ts'
import { checkFits, measure } from '../outgoing/measure.ts'
import { fullJitter } from './backoff.ts'
import type { Token } from './token.ts'
import { ask, type Connection } from './transport.ts'

export interface LinkOwner {
  /** Called before the handshake, until it returns `undefined`: then `introduce` is asked at once. */
  prepare?(token: string | undefined): Promise<void> | undefined
  /** What the handshake says besides the token; asked at the last moment, at every join. */
  introduce(): TopicAuth
  joined(): void
  /** Away; comes back by itself. */
  lost(reason: RepriseError): void
  /** Away for good, unless `open` is called again. */
  refused(error: RepriseError): void
  /** `true`: what the hub's `error` says is not the namespace's end. */
  takes?(error: unknown): boolean
}

/** How long the hub may take to disconnect a namespace after its `error`, before the link leaves by itself. */
const GOODBYE_MS = 2_000

/** Calls whose arguments are held against the limits where they are made. */
const MEASURED: ReadonlySet<string> = new Set(['publish', 'send', 'settle', 'request'])

export class Link {
  readonly #connection: Connection
  readonly #namespace: string
  readonly #owner: LinkOwner
  readonly #socket: Socket
  #wanted = false
  /** A handshake was sent and is not answered yet. Leaving now would orphan the hub's side of it. */
  #joining = false
  #stale = false
  #handshake = 0
  #token: Token | undefined
  #renewed = false
  #attempts = 0
  #timer: ReturnType<typeof setTimeout> | undefined
  /** The hub's `error`: the disconnection that follows is meant. */
  #fault: RepriseError | undefined
  readonly #waiters = new Set<{ resolve(): void; reject(error: RepriseError): void }>()

  constructor(connection: Connection, namespace: string, owner: LinkOwner) {
    this.#connection = connection
    this.#namespace = namespace
    this.#owner = owner
    this.#socket = connection.socket(namespace)
    this.#socket.auth = (send: (auth: TopicAuth) => void) => this.#introduce(send)
    this.#socket.on('connect', () => this.#joined())
    this.#socket.on('disconnect', (reason) => this.#disconnected(reason))
    this.#socket.on('connect_error', (error) => this.#connectError(error))
    this.#socket.on('limits', (limits: Limits) => connection.learn(limits))
    this.#socket.on('expiring', () => connection.renewSoon())
    this.#socket.on('subscribed', ({ limits }: Subscribed) => connection.learn(limits))
    this.#socket.on('error', (error: unknown) => {
      if (!owner.takes?.(error)) this.#faulted(RepriseError.fromWire(error))
    })
  }

  /** Joined, and the hub's limits are known. */
  get connected(): boolean {
    return this.#socket.connected && this.limits !== undefined
  }

  get limits(): Limits | undefined {
    return this.#connection.limits
  }

  learn(limits: Limits): void {
    if (this.#socket.connected) this.#connection.learn(limits)
  }

  /** Whether it is joined or on its way. */
  get wanted(): boolean {
    return this.#wanted
  }

  on<A extends unknown[]>(packet: string, listener: (...args: A) => void): void {
    this.#socket.on(packet, listener as (...args: unknown[]) => void)
  }

  open(): void {
    if (this.#wanted) return
    this.#wanted = true
    if (!this.#joining) this.#join()
  }

  /** Joins with a new handshake: at once where there was one already, else with the one to come. */
  rejoin(): void {
    if (this.#joining) this.#stale = true
    else if (this.#socket.connected) {
      this.#wanted = true
      this.#leave()
      this.#join()
    }
    this.open()
  }

  leave(): void {
    this.#wanted = false
    this.#handshake++
    clearTimeout(this.#timer)
    this.#reject(new RepriseError('unavailable', 'this handle was closed'))
    if (this.#joining) this.#stale = true
    else this.#leave()
  }

  /** Leaves for good. */
  close(): void {
    this.leave()
    this.#connection.release(this.#socket, this.#namespace, this.#joining)
  }

  /** Resolves when joined; rejects when that was refused. `givenUp`: rejects when nobody waits for that any more. */
  whenJoined(givenUp?: Promise<never>): Promise<void> {
    if (this.connected) return Promise.resolve()
    return new Promise((resolve, reject) => {
      const waiter = { resolve, reject }
      this.#waiters.add(waiter)
      givenUp?.catch(() => this.#waiters.delete(waiter))
      this.open()
    })
  }

  /** Rejects with the hub's error, or with `unavailable` when the connection was lost before the reply. */
  async call<T>(name: string, ...args: unknown[]): Promise<T> {
    if (!this.#socket.connected) throw new RepriseError('unavailable', 'not connected to the hub')
    if (!MEASURED.has(name)) checkFits(measure(args).bytes, this.limits?.packet, name)
    const reply: Reply<T> = await ask(this.#socket, name, args)
    if (reply.ok) return reply.joined === undefined ? reply.value : (whole(reply.joined) as T)
    throw RepriseError.fromWire(reply.error)
  }

  #join(): void {
    this.#connection.join(this.#socket, this.#namespace)
  }

  #leave(): void {
    this.#connection.leave(this.#socket, this.#namespace)
  }

  async #introduce(send: (auth: TopicAuth) => void): Promise<void> {
    const handshake = ++this.#handshake
    this.#token = this.#connection.tokens.get()
    let token: string | undefined
    try {
      token = await this.#token
    } catch (error) {
      if (handshake !== this.#handshake) return
      const failure = RepriseError.fromWire(error)
      this.#leave()
      if (failure.retryable) this.#connection.tokenFailed(failure)
      this.#refused(failure)
      return
    }
    await this.#connection.prepare?.(token)
    for (let more = this.#owner.prepare?.(token); more !== undefined; more = this.#owner.prepare?.(token)) await more
    // The transport may have gone, or the namespace been left, while the token was fetched.
    if (handshake !== this.#handshake) return
    this.#joining = true
    this.#stale = false
    send({
      ...(token === undefined ? {} : { token }),
      protocol: PROTOCOL_VERSION,
      ...(this.limits === undefined ? { limits: true } : {}),
      ...this.#owner.introduce(),
    })
  }

  #joined(): void {
    this.#joining = false
    this.#fault = undefined
    if (!this.#wanted) {
      this.#leave()
      return
    }
    if (this.#stale) {
      this.rejoin()
      return
    }
    if (this.limits === undefined) {
      const handshake = this.#handshake
      this.#connection.whenLimits(() => {
        if (handshake === this.#handshake && this.#socket.connected) this.#joined()
      })
      return
    }
    this.#attempts = 0
    this.#renewed = false
    for (const waiter of this.#waiters) waiter.resolve()
    this.#waiters.clear()
    this.#owner.joined()
  }

  #disconnected(reason: string): void {
    this.#forget()
    if (reason === 'io client disconnect') return
    clearTimeout(this.#timer)
    const fault = this.#fault
    this.#fault = undefined
    const error = new RepriseError('unavailable', `the connection was lost: ${this.#connection.reason ?? reason}`)
    if (!this.#wanted) this.#leave()
    else if (fault !== undefined) {
      this.#leave()
      this.#refused(fault)
    } else if (reason === 'io server disconnect') this.#again(error)
    else this.#owner.lost(error)
  }

  #connectError(error: Error & { readonly data?: unknown }): void {
    this.#forget()
    if (!this.#wanted) this.#leave()
    else if (this.#socket.active) {
      const why = this.#connection.reason ?? error.message
      this.#owner.lost(new RepriseError('unavailable', `the hub cannot be reached: ${why}`, { cause: error }))
    } else this.#refused(refusalOf(error))
  }

  #faulted(error: RepriseError): void {
    this.#fault = error
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => {
      this.#fault = undefined
      this.#leave()
      this.#refused(error)
    }, GOODBYE_MS)
  }

  /** What Socket.IO has kept for the next connection (a ping was late) belongs to the last one. */
  #forget(): void {
    this.#handshake++
    this.#joining = false
    this.#socket.sendBuffer = []
    this.#socket.receiveBuffer = []
  }

  #refused(error: RepriseError): void {
    const { tokens } = this.#connection
    if (error.code === 'unauthorized' && tokens.renewable && !this.#renewed) {
      this.#renewed = true
      tokens.forget(this.#token)
      this.#owner.lost(error)
      this.#join()
    } else if (error.retryable) {
      this.#again(error)
    } else {
      this.#wanted = false
      this.#reject(error)
      this.#owner.refused(error)
    }
  }

  #again(reason: RepriseError): void {
    clearTimeout(this.#timer)
    const delayMs = fullJitter(this.#attempts++, this.#connection.jitter, reason.retryAfterMs)
    this.#timer = setTimeout(() => {
      if (this.#wanted) this.#join()
    }, delayMs)
    this.#owner.lost(reason)
  }

  #reject(error: RepriseError): void {
    for (const waiter of this.#waiters) waiter.reject(error)
    this.#waiters.clear()
  }
}

/** A refusal as it was said: by the hub, by Socket.IO, or by a middleware of the program around the hub. */
function refusalOf(error: Error & { readonly data?: unknown }): RepriseError {
  const { data, message } = error
  // What Socket.IO itself says where nobody serves the namespace.
  if (data === undefined && message === 'Invalid namespace') {
    return new RepriseError('unsupported', `no Reprise hub answers here: ${message}`)
  }
  const told = (typeof data === 'object' && data !== null ? data : {}) as Partial<WireError>
  const code = isErrorCode(told.code) ? told.code : told.retryable === true ? 'unavailable' : 'forbidden'
  const options = typeof told.retryAfterMs === 'number' ? { retryAfterMs: told.retryAfterMs } : {}
  return new RepriseError(code, message, { ...options, cause: error })
}
