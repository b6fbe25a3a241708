/** The composition root: opens the store, puts the rules together, hands them to the edges. Only this file knows all. */

import { setMaxListeners } from 'node:events'
import { type Agent, createServer, type Server as HttpServer, type IncomingMessage } from 'node:http'

import type { HubTypes } from '../client/index.ts'
import { RepriseError } from '../shared/errors.ts'
import type { Hub } from './api.ts'
import { openGate, openToAll } from './auth/gate.ts'
import { StoredRevocations } from './auth/revocations.ts'
import { Tickets } from './auth/tickets.ts'
import { anonymous, type Gate, OPEN_GATE, PROGRAM_GATE, program, type TicketGate } from './core/access.ts'
import { StoreClock } from './core/clock.ts'
import type { Core } from './core/core.ts'
import { CallerLimits } from './core/guards/callers.ts'
import { pageRefusal } from './core/guards/origins.ts'
import { RequestRates } from './core/guards/requestRates.ts'
import { Unfinished } from './core/guards/unfinished.ts'
import { startMaintenance } from './core/maintenance.ts'
import { Bindings } from './core/queues/bindings.ts'
import { Consumers } from './core/queues/delivery/consumers.ts'
import { Life } from './core/queues/life/life.ts'
import { Losses } from './core/queues/losses.ts'
import { Queues } from './core/queues/queues.ts'
import { Scheduler } from './core/queues/schedules/scheduler.ts'
import { Schedules } from './core/queues/schedules/schedules.ts'
import { openQueueSettings } from './core/queues/settings.ts'
import { Clients } from './core/seeing/clients.ts'
import { nodeName, Probe } from './core/seeing/probe.ts'
import { CursorBook } from './core/topics/cursors.ts'
import { Fanout } from './core/topics/fanout.ts'
import { Log } from './core/topics/log.ts'
import { Pages } from './core/topics/pages.ts'
import { startRetention } from './core/topics/retention.ts'
import { openSettings } from './core/topics/settings.ts'
import { Subscription } from './core/topics/subscription.ts'
import { conditionOf } from './doctor/condition.ts'
import { handlesOf } from './handles.ts'
import { type LateApp, lateApp } from './http/late.ts'
import { listenForMetrics } from './http/routes/metricsPort.ts'
import { type Connect, LocalClients } from './localClients.ts'
import { readAuth } from './options/auth.ts'
import { readEncryption } from './options/encryption.ts'
import { type ResolvedHubOptions, readAttachOptions, readTopicOverrides } from './options/hub.ts'
import { addressesBehind } from './options/proxies.ts'
import { readQueueOverrides } from './options/queues.ts'
import { openGateway } from './socket/gateway.ts'
import { openSocketServer, type SocketServer } from './socket/server.ts'
import { closeConnections } from './socket/transport/drain.ts'
import { agentOf } from './socket/transport/inProcess.ts'
import { GuestRequests, type PageRefusal } from './socket/transport/requests.ts'
import { isSocketServer, targetOf } from './socket/transport/target.ts'
import type { Store } from './store/contract/store.ts'
import { openStore } from './store/open.ts'
import { type HubTelemetry, rotationTold } from './telemetry/telemetry.ts'
import { version } from './version.ts'

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

  let draining = false
  // What waits or streams over HTTP ends with it.
  const drain = new AbortController()
  const clients = new Clients({ node: nodeName(), telemetry })
  // Every request and every long poll under way listens to it.
  setMaxListeners(0, drain.signal)
  let closing: Promise<void> | undefined

  async function open(options: ResolvedHubOptions) {
    const { port, host = LOOPBACK } = options.metrics ?? {}
    const access = { text: () => metrics.text(), pageRefusal: (request: IncomingMessage) => ofPage(request), telemetry }
    // First, as a hub that cannot serve does not touch the store.
    const unlisten = port === undefined ? () => {} : await listenForMetrics({ port, host }, access)
    try {
      return await openIn(options, unlisten)
    } catch (error) {
      unlisten()
      throw error
    }
  }

  async function openIn(options: ResolvedHubOptions, unlisten: () => void) {
    const { store: location, reserveBytes, encryption } = options
    const losses = new Losses(telemetry)
    const store = await openStore(location, {
      lost: (queue, loss) => {
        if (loss.kind === 'lapsed') metrics.counts.lapsed(queue, loss.jobs)
        losses.add(queue, loss)
      },
      committed: (ms) => metrics.counts.commits.add(ms),
      warn,
      ...(reserveBytes === undefined ? {} : { reserveBytes }),
      ...(encryption === undefined ? {} : { encryption: readEncryption(encryption) }),
      rotation: rotationTold(telemetry),
    })
    try {
      return await compose(store, losses, options, unlisten)
    } catch (error) {
      await store.close()
      throw error
    }
  }

  async function guard({ auth }: ResolvedHubOptions, store: Store, now: () => number): Promise<TicketGate> {
    const tickets = new Tickets(store.topics, now)
    if (auth === undefined) return openToAll(tickets)
    const revocations = await StoredRevocations.open({ store: store.settings, warn })
    return await openGate(readAuth(auth), { revocations, tickets, warn })
  }

  function warn(message: string, cause?: unknown): void {
    telemetry.noticed(message, cause === undefined ? {} : { cause })
  }

  async function compose(store: Store, losses: Losses, options: ResolvedHubOptions, unlisten: () => void) {
    const documents = { store: store.settings, warn }
    const queueSettings = await openQueueSettings({ ...documents, file: options.queues })
    const settings = await openSettings({ ...documents, file: options.topics }, queueSettings.holdBytes)
    // What clients are told of.
    const { payload, batch, packet } = options.limits
    const limits = { payload, batch, packet }
    const callers = new CallerLimits(options.limits)
    const topicLog = new Log(store, settings, limits, callers, telemetry)
    const fanout = new Fanout(store, topicLog, telemetry)
    const pages = new Pages(topicLog)
    const context = { store, log: topicLog, pages, fanout, callers, telemetry }
    const probe = new Probe(store, telemetry, { id: clients.node, version: version() })
    const stopRetention = startRetention(store, settings, telemetry)
    const clock = new StoreClock(store)
    const shared = { store, settings: queueSettings, limits, callers, clock, telemetry, draining: drain.signal }
    const consumers = new Consumers(shared)
    losses.except((queue, consumer) => consumers.has(queue, consumer))
    const queues = new Queues({ ...shared, consumers })
    const retainOf = (topic: string) => settings.forTopic(topic).retain
    const life = new Life({ ...shared, retainOf })
    losses.lives((queue) => life.told(queue))
    const bindings = new Bindings({ store, log: topicLog, pages, settings: queueSettings, telemetry })
    const schedules = new Schedules({ ...shared, maxSchedules: options.limits.schedules })
    const scheduler = new Scheduler(shared)
    await clock.start()
    const gate = await guard(options, store, () => clock.now)
    await probe.start()
    const stopMaintenance = startMaintenance(store, queueSettings, telemetry)
    bindings.start()
    scheduler.start()
    const core: Core = {
      log: topicLog,
      callers,
      cursors: new CursorBook(store),
      queues,
      schedules,
      consumers,
      settings,
      queueSettings,
      probe,
      telemetry,
      clients,
      condition: conditionOf(options, store),
      ...(options.console ? { observer: () => metrics.observer() } : {}),
      subscription: (caller, topic, outlet) => new Subscription(context, caller, topic, outlet),
      subscribers: (topic) => fanout.subscribers(topic),
      admit: () => {
        if (draining) throw new RepriseError('unavailable', 'the hub is draining', { retryAfterMs: 1_000 })
      },
    }
    metrics.open({
      store,
      topicPattern: (topic) => settings.patternOf(topic),
      queuePattern: (queue) => queueSettings.patternOf(queue),
      now: () => clock.now,
      connections: () => servers.reduce((sum, { io }) => sum + (io.engine?.clientsCount ?? 0), 0),
      told: { node: probe.node.id, version: probe.node.version },
      health: () => probe.health(),
      nodes: () => probe.nodes(),
      subscriptions: () => fanout.all(),
    })
    const close = async () => {
      unlisten()
      metrics.close()
      gate.close?.()
      probe.stop()
      clock.stop()
      await Promise.all([stopRetention(), stopMaintenance(), scheduler.stop(), bindings.stop(), consumers.close()])
      await life.close()
      fanout.close()
      settings.close()
      queueSettings.close()
      await store.close()
      losses.close()
    }
    return { core, gate, close }
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
    draining = true
    drain.abort()
    const hub = await opened.catch(() => undefined)
    await Promise.all([hub?.core.log.idle(), hub?.core.queues.idle()])
    // The last answers are handed to their connections in this turn.
    await new Promise((resolve) => setImmediate(resolve))
    await Promise.all(servers.map(({ io, own }) => closeConnections(io, own)))
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
