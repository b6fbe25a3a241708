/** Socket.IO's connection: with which options it is made, and what it has and does not declare. */

import type { ManagerOptions, Socket } from 'socket.io-client'
import type { ConnectOptions } from '../api.ts'

/** Socket.IO's numbers of packets. */
export const CONNECT = 0
export const DISCONNECT = 1
export const CONNECT_ERROR = 4

export interface RawManager {
  readonly nsps: Record<string, Socket>
  readonly engine?: {
    readonly hostname?: string
    readonly transport?: { readonly name: string }
    _hasPingExpired?(): boolean
  }
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
