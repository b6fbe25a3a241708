/** A hub with an HTTP server of its own: what `reprise serve` runs. */

import { createServer, type Server as HttpServer, type ServerOptions } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import { type AddressInfo, connect as connectTo, type Socket } from 'node:net'
import type { HubTypes } from '../client/index.ts'
import { RepriseError } from '../shared/errors.ts'
import { startTimer } from '../shared/timer.ts'
import type { Hub } from './api.ts'
import { contextOf, followFiles } from './certificates.ts'
import { type Addresses, networkOf } from './core/guards/addresses.ts'
import { Places } from './core/guards/places.ts'
import type { Telemetry } from './core/telemetry.ts'
import { buildHub } from './hub.ts'
import { whenIdle } from './idle.ts'
import type { Connect } from './localClients.ts'
import { resolveServeOptions, type ServeOptions, shownStore } from './options/hub.ts'
import { addressesBehind } from './options/proxies.ts'
import { readTls, type TlsOptions } from './options/tls.ts'
import { createTelemetry } from './telemetry/telemetry.ts'
import { version } from './version.ts'

export interface RunningServer<S extends HubTypes = HubTypes> {
  /** `http://HOST:PORT` or `https://HOST:PORT`, as it can be reached. */
  readonly url: string
  readonly hub: Hub<S>
  /** Drains: nothing new is accepted, clients are told, what was accepted is finished. */
  close(): Promise<void>
}

/** How long whoever may have the port already is waited for. */
const ASK_MS = 500

/** The longest that a request may take to come; bodies are bounded by what has come of them. */
const REQUEST_MS = 150_000
/** How often is looked for what is late. */
const CHECK_MS = 1_000
/**
 * Connections that the system takes while the hub is busy, as far as the system allows so many. Of those beyond it a client
 * hears nothing, and tries again after one second, three, seven: when all come back at once, Node's own 511 are few.
 */
const BACKLOG = 4_096
const TOO_MANY = 'HTTP/1.1 429 Too Many Requests\r\nConnection: close\r\nRetry-After: 5\r\nContent-Length: 0\r\n\r\n'

/**
 * Resolves when it serves; until the store is open nothing listens. Rejects with a `RepriseError` whose message says in
 * one line what was wrong: a taken port, a data folder that is locked or cannot be written; nothing was changed then.
 * `loaded`: called when all code is there that a hub reads after it listens.
 */
export async function serve<S extends HubTypes = HubTypes>(
  options: ServeOptions,
  connect?: Connect,
  loaded: () => void = () => {},
): Promise<RunningServer<S>> {
  const resolved = resolveServeOptions(options)
  const { port, host, drainMs, keepAliveMs, tls, config: _file, open: _open, ...hubOptions } = resolved
  const { connectTimeoutMs, connectionsPerAddress } = resolved.limits
  // A hub that cannot serve does not touch the store, and one that has no store takes no port.
  if (port !== 0 && (await isTaken(port, host))) {
    throw portTaken(port, host, Object.assign(new Error('somebody answers there'), { code: 'EADDRINUSE' }))
  }
  const told = createTelemetry(hubOptions.logLevel)
  const { telemetry } = told
  const { server, unfollow } = openServer(tls, telemetry, {
    keepAliveTimeout: keepAliveMs,
    headersTimeout: connectTimeoutMs,
    requestTimeout: Math.max(REQUEST_MS, connectTimeoutMs),
    connectionsCheckingInterval: CHECK_MS,
  })
  const addresses = addressesBehind(resolved.trustProxy)
  const connections = boundConnections(server, {
    places: new Places(connectionsPerAddress),
    addresses,
    isPlain: tls === undefined,
    telemetry,
  })
  const hub = buildHub<S>({ ...hubOptions, serving: { host, tls } }, told, connect)
  try {
    await hub.ready
    server.on('request', hub.handler)
    hub.attach(server)
    await listen(server, port, host)
  } catch (error) {
    unfollow()
    await hub.close()
    throw error
  }
  const address = server.address() as AddressInfo
  const shown = address.family === 'IPv6' ? `[${address.address}]` : address.address
  const url = `${tls === undefined ? 'http' : 'https'}://${shown}:${address.port}`
  // The log and HTTP are loaded when whoever waits for this hub has been told that it is there.
  const tell = setImmediate(() =>
    telemetry.happened({ kind: 'started', url, store: shownStore(hubOptions.store), version: version() }),
  )
  const stopLoading = whenIdle(() => {
    hub.app.load().then(loaded, (cause: unknown) => telemetry.failed('loading the HTTP interface', cause))
  })
  let closing: Promise<void> | undefined
  return {
    url,
    hub,
    close: () => {
      unfollow()
      stopLoading()
      clearImmediate(tell)
      closing ??= drain(server, hub, connections, drainMs)
      return closing
    },
  }
}

/** One that speaks TLS where it has certificates, and follows their files. */
function openServer(
  tls: TlsOptions | undefined,
  telemetry: Telemetry,
  options: ServerOptions & { readonly headersTimeout: number },
): { readonly server: HttpServer; readonly unfollow: () => void } {
  if (tls === undefined) return { server: createServer(options), unfollow: () => {} }
  const certificates = readTls(tls)
  const server = createSecureServer({
    ...options,
    ...contextOf(certificates),
    requestCert: certificates.ca !== undefined,
    // A handshake that does not end is over when a head would have to be there.
    handshakeTimeout: options.headersTimeout,
  })
  const warn = (message: string, cause: unknown) => telemetry.noticed(message, { cause })
  return { server: server as HttpServer, unfollow: followFiles(server, certificates, () => readTls(tls), warn) }
}

/**
 * Whoever has too many connections gets an answer instead of one more, where it can be read before any handshake. Gives
 * those that are open.
 */
function boundConnections(
  server: HttpServer,
  {
    places,
    addresses,
    isPlain,
    telemetry,
  }: {
    readonly places: Places
    readonly addresses: Addresses
    readonly isPlain: boolean
    readonly telemetry: Telemetry
  },
): ReadonlySet<Socket> {
  const serve = server.listeners('connection') as ((connection: Socket) => void)[]
  const open = new Set<Socket>()
  server.removeAllListeners('connection')
  server.on('connection', (connection: Socket) => {
    // Some requests are served in a second go on their connection.
    if (open.has(connection) || admit(connection)) for (const listener of serve) listener.call(server, connection)
  })
  return open

  function admit(connection: Socket): boolean {
    const { remoteAddress } = connection
    // A proxy has those of many, which are counted by what it says of them.
    const network = addresses.isProxy(remoteAddress) ? undefined : networkOf(remoteAddress)
    open.add(connection)
    connection.once('close', () => open.delete(connection))
    if (places.hasRoom(network)) {
      connection.once('close', places.take(network))
      return true
    }
    const reason = `${remoteAddress} has as many as limits.connectionsPerAddress allows`
    telemetry.happened({ kind: 'refused', code: 'too_many', what: 'a connection', reason })
    connection.on('error', () => {})
    if (isPlain) connection.end(TOO_MANY, () => connection.destroy())
    else connection.destroy()
    return false
  }
}

/** Asked by connecting: to listen just to see whether one can would be a port that somebody may come to. */
async function isTaken(port: number, host: string): Promise<boolean> {
  const local = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host
  const probe = connectTo({ port, host: local })
  try {
    return await new Promise<boolean>((resolve) => {
      probe.once('connect', () => resolve(true))
      probe.once('error', () => resolve(false))
      probe.setTimeout(ASK_MS, () => resolve(false))
    })
  } finally {
    probe.destroy()
  }
}

function portTaken(port: number, host: string, cause: unknown): RepriseError {
  return new RepriseError('conflict', `port ${port} of ${host} is taken by another program`, { cause })
}

async function listen(server: HttpServer, port: number, host: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const cannot = `port ${port} of ${host} cannot be used: ${cause.message}`
      const isInUse = cause.code === 'EADDRINUSE'
      reject(isInUse ? portTaken(port, host, cause) : new RepriseError('bad_request', cannot, { cause }))
    })
    server.listen({ port, host, backlog: BACKLOG }, () => {
      server.removeAllListeners('error')
      resolve()
    })
  })
}

async function drain(
  server: HttpServer,
  hub: Pick<Hub, 'close'>,
  connections: ReadonlySet<Socket>,
  drainMs: number,
): Promise<void> {
  const stopped = new Promise<void>((resolve) => server.close(() => resolve()))
  // A client that hardly reads would not get to the end of its connection for long; nor does one that has gone silent.
  const stopWaiting = startTimer(
    drainMs,
    () => {
      for (const connection of connections) connection.destroy()
    },
    { unref: true },
  )
  await hub.close()
  server.closeIdleConnections()
  await stopped
  stopWaiting()
}
