/** The composition root: opens the rules (rules.ts) and hands them to the edges, HTTP and Socket.IO. */

import { setMaxListeners } from 'node:events'
import { type Agent, createServer, type Server as HttpServer, type IncomingMessage } from 'node:http'

import type { HubTypes } from '../client/index.ts'
import { RepriseError } from '../shared/errors.ts'
import type { Hub } from './api.ts'
import { anonymous, type Gate, OPEN_GATE, PROGRAM_GATE, program } from './core/access.ts'
import { pageRefusal } from './core/guards/origins.ts'
import { RequestRates } from './core/guards/requestRates.ts'
import { Unfinished } from './core/guards/unfinished.ts'
import { draining } from './core/refusal.ts'
import { Clients } from './core/seeing/clients.ts'
import { nodeName } from './core/seeing/probe.ts'
import { handlesOf } from './handles.ts'
import { type LateApp, lateApp } from './http/late.ts'
import { listenForMetrics } from './http/routes/metricsPort.ts'
import { type Connect, LocalClients } from './localClients.ts'
import { type ResolvedHubOptions, readAttachOptions, readTopicOverrides } from './options/hub.ts'
import { addressesBehind } from './options/proxies.ts'
import { readQueueOverrides } from './options/queues.ts'
import { openRules } from './rules.ts'
import { openGateway } from './socket/gateway.ts'
import { openSocketServer, type SocketServer } from './socket/server.ts'
import { closeConnections } from './socket/transport/drain.ts'
import { agentOf } from './socket/transport/inProcess.ts'
import { GuestRequests, type PageRefusal } from './socket/transport/requests.ts'
import { isSocketServer, targetOf } from './socket/transport/target.ts'
import type { HubTelemetry } from './telemetry/telemetry.ts'

/**
 * A hub that leaves it to its caller to say when it has started, and why it has not. Without `connect` the program itself
 * cannot subscribe and work in it.
 */
export function buildHub<S extends HubTypes = HubTypes>(
  resolved: ResolvedHubOptions,
  { telemetry, metrics, close: closeTelemetry }: HubTelemetry,
  connect?: Connect,
): Hub<S> & { readonly app: LateApp } {
  const servers: { readonly io: SocketServer; readonly own: boolean; readonly target: unknown }[] = []
  // What waits or streams over HTTP ends with it.
  const drain = new AbortController()
  const clients = new Clients({ node: nodeName(), telemetry })
  // Every request and every long poll under way listens to it.
  setMaxListeners(0, drain.signal)
  const opened = open(resolved)
  /** Of a hub that never started there is nothing to stop. */
  let failed = false
  const core = opened.then(({ core }) => core)
  const ready = opened.then(() => {})
  // Whoever does not look at `ready` meets the failure in the log, and in the first call.
  ready.catch(() => {
    failed = true
  })
  core.catch(() => {})
  let closing: Promise<void> | undefined

  async function open(options: ResolvedHubOptions) {
    const { port, host = LOOPBACK } = options.metrics ?? {}
    const access = { text: () => metrics.text(), pageRefusal: (request: IncomingMessage) => ofPage(request), telemetry }
    // First, as a hub that cannot serve does not touch the store.
    const unlisten = port === undefined ? () => {} : await listenForMetrics({ port, host }, access)
    try {
      const rules = await openRules(options, {
        telemetry,
        metrics,
        clients,
        admit,
        draining: drain.signal,
        connections,
      })
      return { ...rules, unlisten }
    } catch (error) {
      unlisten()
      throw error
    }
  }

  function admit(): void {
    if (drain.signal.aborted) throw draining()
  }

  function connections(): number {
    return servers.reduce((sum, { io }) => sum + (io.engine?.clientsCount ?? 0), 0)
  }

  const unfinished = new Unfinished(resolved.limits.unfinishedBytes)
  const gate = opened.then(({ gate }) => gate)
  gate.catch(() => {})
  const addresses = addressesBehind(resolved.trustProxy)
  const requests = new RequestRates(resolved.limits, addresses)
  const { limits, console } = resolved
  const context = { core, gate, addresses, requests, telemetry, clients, limits, console, draining: drain.signal }
  /** The program itself is not asked for a token. */
  const [own, ownGate] = resolved.auth === undefined ? [anonymous(), OPEN_GATE] : [program(), PROGRAM_GATE]
  const ofPage = async (request: IncomingMessage) => {
    try {
      return await pageRefusal(request, resolved.allowOrigins)
    } catch (cause) {
      telemetry.failed('allowOrigins', cause)
      return 'the rule of origins failed; the log of the hub says more'
    }
  }

  const { port: metricsPort, open: isOpen = false } = resolved.metrics ?? {}
  const ofMetrics =
    metricsPort === undefined
      ? { text: () => metrics.text(), open: isOpen, asked: resolved.metrics !== undefined }
      : undefined

  const app = lateApp({
    ...context,
    maxBodyBytes: resolved.limits.packet,
    unfinished,
    maxSchemaParts: resolved.limits.schemaParts,
    readTopicSettings: readTopicOverrides,
    readQueueSettings: readQueueOverrides,
    pageRefusal: ofPage,
    metrics: ofMetrics,
    socketPath: console ? resolved.path : undefined,
    bodyTimeoutMs: resolved.limits.connectTimeoutMs,
  })

  /** The way of this program's own subscriptions and workers: a server that does not listen. */
  function openLocal(): Agent {
    const http = createServer()
    serve(http, resolved.path, async () => undefined, Promise.resolve(ownGate))
    return agentOf(http)
  }
  const local = new LocalClients<S>(connect, resolved.path, openLocal)

  function serve(http: HttpServer, path: string, pageRefusal: PageRefusal, asked: Promise<Gate> = gate): void {
    const io = openSocketServer(http, {
      ...context,
      path,
      unfinished,
      pageRefusal,
      withCookies: resolved.allowOrigins !== '*',
      open: (io) => openGateway(io, { ...context, gate: asked }),
    })
    servers.push({ io, own: true, target: http })
  }

  async function closeAll(): Promise<void> {
    const began = performance.now()
    if (!failed) telemetry.happened({ kind: 'stopping' })
    // What their handlers still publish, send and settle is accepted.
    const left = local.close()
    if (local.used) await left
    drain.abort()
    const hub = await opened.catch(() => undefined)
    await Promise.all([hub?.core.log.idle(), hub?.core.queues.idle()])
    // The last answers are handed to their connections in this turn.
    await new Promise((resolve) => setImmediate(resolve))
    await Promise.all(servers.map(({ io, own }) => closeConnections(io, own)))
    hub?.unlisten()
    await hub?.close()
    closeTelemetry()
    if (!failed) {
      telemetry.happened({ kind: 'stopped', afterMs: Math.round(performance.now() - began) })
    }
  }

  return {
    ready,
    attach(target, options = {}) {
      if (closing !== undefined) throw new RepriseError('unavailable', 'attach: the hub is closed')
      const { path } = readAttachOptions(options)
      if (servers.some((server) => server.target === target)) {
        throw new RepriseError('conflict', 'attach: the hub is attached to this server already')
      }
      const server = targetOf(target)
      if (!isSocketServer(server)) return serve(server, path ?? resolved.path, ofPage)
      if (path !== undefined) {
        throw new RepriseError('bad_request', 'attach: path is for an HTTP server; a Socket.IO server has its own')
      }
      openGateway(server, context, new GuestRequests(ofPage, telemetry))
      servers.push({ io: server, own: false, target })
    },
    handler: app.handler,
    app,
    ...handlesOf(core, own, local),
    close: () => {
      closing ??= closeAll()
      return closing
    },
    [Symbol.asyncDispose]() {
      return this.close()
    },
  }
}

const LOOPBACK = '127.0.0.1'
