/**
 * One transport to the hub, shared by namespaces: opens it, and opens it again with full jitter after every loss.
 * What a namespace does with it is the link's affair.
 */

import type { Manager, Socket } from 'socket.io-client'
import { RepriseError } from '../../shared/errors.ts'
import { DEFAULT_LIMITS, type Limits, type Reply } from '../../shared/protocol.ts'
import type { ConnectOptions, Jitter } from '../api.ts'
import type { Sharing } from '../browser/sharing.ts'
import { jitterOf } from '../optionChecks.ts'
import { fullJitter } from './backoff.ts'
import { watchPage } from './page.ts'
import { CONNECT, CONNECT_ERROR, DISCONNECT, HubManager, managerOptions, type RawManager } from './socketIo.ts'
import { type Token, Tokens } from './token.ts'
import { UNREACHABLE_MS, type Warnings } from './warnings.ts'

/** A hub of an older version tells them with a subscription only. */
const UNTOLD_MS = 3_000

export class Connection {
  readonly tokens: Tokens
  readonly jitter: Required<Jitter>
  /** What has to be done before a handshake, under its token. */
  readonly prepare: ((token: string | undefined) => Promise<void>) | undefined
  readonly #manager: Manager
  readonly #sockets = new Set<Socket>()
  /** Namespaces that wish to join, but wait until the transport is tried again. */
  readonly #waiting = new Set<Socket>()
  /** Namespaces released before the hub has answered their handshake, each with what will join it next. */
  readonly #released = new Map<string, Socket | undefined>()
  #timer: ReturnType<typeof setTimeout> | undefined
  #attempts = 0
  #openedAt = 0
  #suspended = false
  /** Nothing of the page runs: a connection would keep it out of the browser's cache, and get what nobody reads. */
  #away = false
  /** Why it is to be given up when the page is back, as that cannot be done before. */
  #frozen: string | undefined
  #closed = false
  #renewing: Promise<void> | undefined
  #limits: Limits | undefined
  #limitWaiters: (() => void)[] = []
  #limitTimer: ReturnType<typeof setTimeout> | undefined
  /** Why the connection was closed from here, until there is another. */
  #reason: string | undefined
  readonly #unwatch: () => void
  readonly #onClose: () => void
  readonly #warnings: Warnings
  readonly #url: string | undefined
  /** Runs while the hub cannot be reached. */
  #unreachable: ReturnType<typeof setTimeout> | undefined
  #error: unknown

  constructor(
    url: string | undefined,
    options: ConnectOptions,
    warnings: Warnings,
    onClose: () => void,
    prepare?: (token: string | undefined) => Promise<void>,
    sharing?: Sharing,
  ) {
    this.#onClose = onClose
    this.prepare = prepare
    this.#warnings = warnings
    this.#url = url
    this.tokens = new Tokens(options.token)
    this.jitter = jitterOf('reconnect', options.reconnect, 250, 5_000)
    const shared = sharing?.transport(() => this.#tokenOf())
    this.#manager = new HubManager(url, { ...managerOptions(options), ...(shared && { transports: [shared] }) })
    this.#unwatch = watchPage({
      offline: () => this.#goneOffline(),
      away: (why, isFrozen) => this.#goneAway(why, isFrozen),
      back: () => this.#back(),
    })
    // Ahead of the sockets' own listeners.
    this.#manager.on('packet', ({ type, nsp }) => this.#heard(type, nsp))
    this.#manager.on('open', () => {
      this.#openedAt = Date.now()
      this.#reason = undefined
    })
    this.#manager.on('error', (error: unknown) => {
      this.#error = error
      if (this.#manager._readyState === 'closed') this.#retry()
    })
    this.#manager.on('close', () => {
      // Only a connection that held for a while starts its waits from the beginning: a hub that closes every new
      // connection at once (overload) must not be tried at full speed.
      if (Date.now() - this.#openedAt >= this.jitter.maxMs) this.#attempts = 0
      this.tokens.forget()
      // One that hangs is not to be the last one.
      this.#renewing = undefined
      this.#forgetLimits()
      for (const next of this.#released.values()) if (next !== undefined) this.#waiting.add(next)
      this.#released.clear()
      this.#retry()
    })
  }

  /** Before there is a connection, as its name says which of those that tabs share. */
  async #tokenOf(): Token {
    try {
      return await this.tokens.get()
    } catch (error) {
      this.tokenFailed(RepriseError.fromWire(error))
      throw error
    }
  }

  /** Why there is no connection, where that is known better than to Socket.IO. */
  get reason(): string | undefined {
    const offline = (globalThis.navigator as Navigator | undefined)?.onLine === false
    return this.#reason ?? (offline ? 'the browser is offline' : undefined)
  }

  /** What the hub takes; told on each connection anew, as it may be another hub. */
  get limits(): Limits | undefined {
    return this.#limits
  }

  learn(limits: Limits): void {
    clearTimeout(this.#limitTimer)
    this.#limitTimer = undefined
    this.#limits = limits
    for (const told of this.#limitWaiters.splice(0)) told()
  }

  /** Calls `told` once the limits are known, unless the connection is lost before. */
  whenLimits(told: () => void): void {
    this.#limitWaiters.push(told)
    // A hub of an older version does not say them.
    this.#limitTimer ??= setTimeout(() => this.learn(DEFAULT_LIMITS), UNTOLD_MS)
  }

  #forgetLimits(): void {
    clearTimeout(this.#limitTimer)
    this.#limitTimer = this.#limits = undefined
    this.#limitWaiters = []
  }

  /** A namespace of this connection, not joined yet. */
  socket(namespace: string): Socket {
    const socket = this.#manager.socket(namespace)
    this.#sockets.add(socket)
    return socket
  }

  /** Joins a namespace now, or with the next try of the transport. */
  join(socket: Socket, namespace: string): void {
    if (this.#closed) return
    if (this.#suspended || this.#away || this.#timer !== undefined) this.#waiting.add(socket)
    else if (this.#released.has(namespace)) this.#released.set(namespace, socket)
    else {
      this.#await()
      socket.connect()
    }
  }

  /** Leaves a namespace; the transport closes with the last one. */
  leave(socket: Socket, namespace: string): void {
    this.#waiting.delete(socket)
    if (this.#released.get(namespace) === socket) this.#released.set(namespace, undefined)
    socket.disconnect()
  }

  /** Leaves a namespace and forgets it. `unanswered`: the hub has a handshake and may still let it in. */
  release(socket: Socket, namespace: string, unanswered: boolean): void {
    if (unanswered) this.#released.set(namespace, undefined)
    this.leave(socket, namespace)
    socket.off()
    this.#sockets.delete(socket)
    // Socket.IO keeps every namespace ever used, and walks them all whenever one leaves.
    delete this.#raw.nsps[namespace]
  }

  suspend(): void {
    this.#suspended = true
    this.#reached()
    this.#stopTimer()
    this.#cut('the program has suspended it')
  }

  resume(): void {
    if (!this.#suspended) return
    this.#suspended = false
    this.#attempts = 0
    if (!this.#away) this.#reopen()
  }

  close(): void {
    this.#closed = true
    this.#forgetLimits()
    this.#unwatch()
    this.#reached()
    this.#stopTimer()
    this.#manager._close()
    this.#onClose()
  }

  /** The program's token function has failed. Each try asks it again. */
  tokenFailed({ message, cause }: RepriseError): void {
    if (this.#warnings.watchers === 0) this.#warnings.tell('token', `${message}; it is asked again`, cause)
  }

  /** Renews the token in place; the hub keeps one per connection. */
  renew(): Promise<void> {
    if (this.#renewing !== undefined) return this.#renewing
    const renewing = this.#renew().finally(() => {
      if (this.#renewing === renewing) this.#renewing = undefined
    })
    this.#renewing = renewing
    return renewing
  }

  /** The hub says in each namespace that the token is about to end. What fails shows when it has. */
  renewSoon(): void {
    if (this.tokens.renewable) this.renew().catch(() => {})
  }

  async #renew(): Promise<void> {
    this.tokens.forget()
    const token = await this.tokens.get()
    for (const socket of this.#sockets) {
      if (!socket.connected || token === undefined) continue
      const reply: Reply<null> = await ask(socket, 'auth', [{ token }])
      if (!reply.ok) throw RepriseError.fromWire(reply.error)
      return
    }
  }

  /** Socket.IO hears of it too, but tells only every second one of a page's connections. */
  #goneOffline(): void {
    const { engine } = this.#raw
    if (this.#manager._readyState === 'open' && engine?.hostname !== 'localhost') this.#manager._close()
  }

  #goneAway(why: string, isFrozen: boolean): void {
    if (this.#away) return
    this.#away = true
    if (this.#suspended) return
    this.#reached()
    this.#stopTimer()
    // A request would be refused by then, and the console tell it as an error.
    if (isFrozen && this.#raw.engine?.transport?.name === 'polling') this.#frozen = why
    else this.#cut(why)
  }

  /** Timers may have stood still for long: what waits is tried at once, and what has heard no ping in time is over. */
  #back(): void {
    const isOpen = this.#manager._readyState === 'open'
    const isDead = isOpen && this.#raw.engine?._hasPingExpired?.()
    const why = this.#frozen ?? (isDead ? 'the page or its network was asleep' : undefined)
    if (why !== undefined) this.#cut(why)
    const wasAway = this.#away
    this.#away = false
    this.#frozen = undefined
    if (wasAway && !this.#suspended) {
      this.#attempts = 0
      this.#reopen()
    } else this.again()
  }

  /** What waits for the next try is tried now. */
  again(): void {
    if (this.#timer === undefined) return
    this.#attempts = 0
    this.#reopen()
  }

  #cut(reason: string): void {
    this.#reason = reason
    this.#manager._close()
  }

  /** Before a namespace hears of it. */
  #heard(type: number, namespace: string): void {
    if (type !== CONNECT && type !== CONNECT_ERROR) return
    this.#reached()
    if (this.#released.has(namespace)) {
      const next = this.#released.get(namespace)
      this.#released.delete(namespace)
      if (type === CONNECT) this.#raw._packet({ type: DISCONNECT, nsp: namespace })
      next?.connect()
      return
    }
    // What Socket.IO has kept for this moment was said to the one that was in the namespace before.
    const socket = this.#raw.nsps[namespace]
    if (socket !== undefined) socket.receiveBuffer = []
  }

  get #raw(): RawManager {
    return this.#manager as unknown as RawManager
  }

  #retry(): void {
    if (this.#closed || this.#suspended || this.#away || this.#timer !== undefined || !this.#wanted()) return
    this.#await()
    this.#timer = setTimeout(() => this.#reopen(), fullJitter(this.#attempts++, this.jitter))
  }

  #reopen(): void {
    this.#stopTimer()
    this.#reason = undefined
    for (const socket of this.#waiting) socket.connect()
    this.#waiting.clear()
    if (!this.#wanted()) return
    this.#await()
    this.#manager.open()
  }

  /** Somebody wants in. */
  #await(): void {
    this.#unreachable ??= setTimeout(() => this.#warn(), UNREACHABLE_MS)
  }

  #warn(): void {
    if (this.#warnings.watchers > 0 || !this.#wanted()) return
    const where = `no hub has answered at ${this.#url ?? 'this page’s address'}`
    const what = this.tokens.asking ? 'the token function has not answered' : where
    this.#warnings.tell(what, `${what} for ${UNREACHABLE_MS / 1_000} s; still trying`, this.#error)
  }

  #reached(): void {
    clearTimeout(this.#unreachable)
    this.#unreachable = undefined
  }

  #stopTimer(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  /** Whether a namespace wants this transport; when the last one leaves, Socket.IO closes it on purpose. */
  #wanted(): boolean {
    if (this.#waiting.size > 0) return true
    for (const socket of this.#sockets) if (socket.active) return true
    return false
  }
}

/** A call in a namespace. Rejects with `unavailable` when the connection is lost before the reply. */
export async function ask<T>(socket: Socket, name: string, args: readonly unknown[]): Promise<Reply<T>> {
  try {
    return await socket.emitWithAck(name, ...args)
  } catch (cause) {
    throw new RepriseError('unavailable', 'the connection was lost before the reply', { cause })
  }
}
