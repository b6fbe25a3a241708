/** Socket.IO's connection: with which options it is made, and what it has and does not declare. */

import { Manager, type ManagerOptions, type Socket } from 'socket.io-client'
import type { ConnectOptions } from '../api.ts'

/** Socket.IO's numbers of packets. */
export const CONNECT = 0
export const DISCONNECT = 1
export const CONNECT_ERROR = 4

interface RawEngine {
  readonly hostname?: string
  /** The names of those that it may still try. */
  readonly transports: readonly string[]
  readonly transport?: { readonly name: string; close(): void }
  _hasPingExpired?(): boolean
  _onError(error: Error): void
}

export interface RawManager {
  readonly nsps: Record<string, Socket>
  readonly engine?: RawEngine
  readonly opts: { readonly transports: unknown[] }
  /** What is to be undone when it has opened, or is not to open any more. */
  readonly subs: (() => void)[]
  _packet(packet: { readonly type: number; readonly nsp: string }): void
}

export function managerOptions({ transports, path, socketOptions }: ConnectOptions) {
  return {
    transports: [...(transports ?? ['websocket', 'polling'])],
    tryAllTransports: true,
    ...(path === undefined ? {} : { path }),
    ...socketOptions,
    autoConnect: false,
    // Socket.IO's own reconnection has no full jitter, and would race with that of a connection.
    reconnection: false,
  } satisfies Partial<ManagerOptions>
}

/** Tries the next transport when one says nothing for half of the time: some proxies hold WebSocket back without a word. */
export class HubManager extends Manager {
  override open(opened?: (error?: Error) => void): this {
    const raw = this as unknown as RawManager
    const { engine: before } = raw
    super.open(opened)
    const { engine, opts, subs } = raw
    if (engine === undefined || engine === before) return this
    const timer = setTimeout(() => {
      if (engine.transports.length < 2) return
      const { transport } = engine
      engine._onError(new Error('timeout'))
      transport?.close()
      // The next connection begins with what may work.
      opts.transports.push(opts.transports.shift())
    }, Number(this.timeout()) / 2)
    subs.push(() => clearTimeout(timer))
    return this
  }
}
