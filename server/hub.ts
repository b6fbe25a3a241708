/** The composition root: opens the store, puts the rules together, hands them to the edges. Only this file knows all. */

import { setMaxListeners } from 'node:events'
import type { Server as HttpServer } from 'node:http'

import { RepriseError } from '../shared/errors.ts'
import type { Draft, Published } from '../shared/protocol.ts'
import type { JobDraft, Sent } from '../shared/queues.ts'
import { anonymous } from './core/access.ts'
import { StoreClock } from './core/clock.ts'
import type { Core } from './core/core.ts'
import { mayConnect } from './core/origins.ts'
import { Probe } from './core/probe.ts'
import { Bindings } from './core/queues/bindings.ts'
import { Consumers } from './core/queues/consumers.ts'
import { Queues } from './core/queues/queues.ts'
import { openQueueSettings } from './core/queues/settings.ts'
import { startTurning } from './core/queues/turning.ts'
import { openSettings } from './core/settings.ts'
import { CursorBook } from './core/topics/cursors.ts'
import { Fanout } from './core/topics/fanout.ts'
import { Log } from './core/topics/log.ts'
import { startRetention } from './core/topics/retention.ts'
import { Subscription } from './core/topics/subscription.ts'
import { createApp, type HubHandler } from './http/app.ts'
import { createLog, type HubLog } from './observe/log.ts'
import { type HubOptions, type ResolvedHubOptions, readTopicOverrides, resolveHubOptions } from './options.ts'
import { readQueueOverrides } from './queueOptions.ts'
import { closeConnections } from './socket/drain.ts'
import { openGateway } from './socket/gateway.ts'
import { isSocketServer, openSocketServer, type SocketServer } from './socket/server.ts'
import { openStore } from './store/open.ts'
import { parseDrafts, parseJobDrafts } from './wire.ts'

/** Publishing from the program that embeds the hub. */
export interface HubTopic {
  /** Resolves when the event is durable. Rejects with a `RepriseError`. */
  publish(data: unknown, options?: Omit<Draft, 'data'>): Promise<{ readonly epoch: string; readonly offset: number }>
  /** The same for several drafts, all of them or none. */
  publishAll(drafts: readonly Draft[]): Promise<Published>
}

/** Sending from the program that embeds the hub. */
export interface HubQueue {
  /** Resolves with the job's id when it is durable. Rejects with a `RepriseError`. */
  send(data: unknown, options?: Omit<JobDraft, 'data'>): Promise<{ readonly id: string }>
  /** The same for several drafts, all of them or none. */
  sendAll(drafts: readonly JobDraft[]): Promise<Sent>
}

export interface Hub extends AsyncDisposable {
  /** Resolves when the store is open and an event went through; rejects when the hub cannot start. */
  readonly ready: Promise<void>
  /**
   * Serves Socket.IO's namespaces of the hub on an HTTP server, or in a Socket.IO server that exists already. A program
   * that has its own Socket.IO server passes that one: two on one HTTP server do not work.
   */
  attach(target: HttpServer | SocketServer, options?: { readonly path?: string }): void
  /**
   * The HTTP interface (`/v1`, health, console) as a handler to mount in Express or to give to `createServer`. What is
   * not the hub's goes on to the program's own routes.
   */
  readonly handler: HubHandler
  topic(name: string): HubTopic
  queue(name: string): HubQueue
  /** Tells clients by closing their transports, finishes what was accepted, closes the store. Safe to call twice. */
  close(): Promise<void>
}

/**
 * A hub to embed. It can be attached and called at once; calls wait until the store is open. Throws `bad_request` for
 * wrong options; what goes wrong with the store rejects `ready` and every call.
 */
export function createHub(options: HubOptions = {}): Hub {
  const resolved = resolveHubOptions(options)
  const log = createLog(resolved.logLevel)
  const opened = open(resolved, log)
  const core = opened.then(({ core }) => core)
  const ready = opened.then(() => {})
  // Whoever does not look at `ready` meets the failure in the first call.
  ready.catch(() => {})
  core.catch(() => {})

  const servers: { readonly io: SocketServer; readonly own: boolean }[] = []
  let draining = false
  // What waits or streams over HTTP ends with it.
  const drain = new AbortController()
  // Every request and every long poll under way listens to it.
  setMaxListeners(0, drain.signal)
  let closing: Promise<void> | undefined

  async function open(options: ResolvedHubOptions, log: HubLog) {
    const { store: location, reserveBytes } = options
    const store = await openStore(location, {
      warn: (message, cause) => log.happenings.noticed(message, cause === undefined ? {} : { cause }),
      ...(reserveBytes === undefined ? {} : { reserveBytes }),
    })
    try {
      return await compose(store, options, log)
    } catch (error) {
      await store.close()
      throw error
    }
  }

  async function compose(store: Awaited<ReturnType<typeof openStore>>, options: ResolvedHubOptions, log: HubLog) {
    const { happenings } = log
    const documents = {
      store: store.settings,
      warn: (message: string, cause?: unknown) => happenings.noticed(message, { cause }),
    }
    const queueSettings = await openQueueSettings({ ...documents, file: options.queues })
    const settings = await openSettings({ ...documents, file: options.topics }, queueSettings.holdBytes)
    const topicLog = new Log(store, settings, options.limits)
    const fanout = new Fanout(store, topicLog, happenings)
    const context = { store, log: topicLog, fanout, happenings }
    const probe = new Probe(store)
    const stopRetention = startRetention(store, settings, happenings)
    const clock = new StoreClock(store)
    const shared = { store, settings: queueSettings, limits: options.limits, clock, happenings, draining: drain.signal }
    const consumers = new Consumers(shared)
    const queues = new Queues({ ...shared, consumers })
    const bindings = new Bindings({ store, log: topicLog, settings: queueSettings, happenings })
    await clock.start()
    await probe.start()
    const stopTurning = startTurning(store, queueSettings, happenings)
    bindings.start()
    const core: Core = {
      log: topicLog,
      cursors: new CursorBook(store),
      queues,
      consumers,
      settings,
      queueSettings,
      probe,
      happenings,
      subscription: (caller, topic, outlet) => new Subscription(context, caller, topic, outlet),
      subscribers: (topic) => fanout.subscribers(topic),
      admit: () => {
        if (draining) throw new RepriseError('unavailable', 'the hub is draining', { retryAfterMs: 1_000 })
      },
    }
    const close = async () => {
      probe.stop()
      clock.stop()
      await Promise.all([stopRetention(), stopTurning(), bindings.stop(), consumers.close()])
      fanout.close()
      settings.close()
      queueSettings.close()
      await store.close()
    }
    return { core, close }
  }

  const context = { core, happenings: log.happenings }

  async function closeAll(): Promise<void> {
    draining = true
    drain.abort()
    const hub = await opened.catch(() => undefined)
    await Promise.all([hub?.core.log.idle(), hub?.core.queues.idle()])
    // The last answers are handed to their connections in this turn.
    await new Promise((resolve) => setImmediate(resolve))
    await Promise.all(servers.map(({ io, own }) => closeConnections(io, own)))
    await hub?.close()
  }

  return {
    ready,
    attach(target, { path = resolved.path } = {}) {
      if (draining) throw new RepriseError('unavailable', 'the hub is closed')
      if (isSocketServer(target)) {
        servers.push({ io: target, own: false })
        openGateway(target, context, false)
        return
      }
      const io = openSocketServer(target, {
        path,
        maxPacketBytes: resolved.limits.packet,
        mayConnect: (request) => mayConnect(request, resolved.allowOrigins),
      })
      servers.push({ io, own: true })
      openGateway(io, context, true)
    },
    handler: createApp({
      ...context,
      draining: drain.signal,
      maxBodyBytes: resolved.limits.packet,
      readTopicSettings: readTopicOverrides,
      readQueueSettings: readQueueOverrides,
      allowOrigins: resolved.allowOrigins,
    }),
    topic: (name) => ({
      async publish(data, options = {}) {
        const { epoch, offsets } = await publish(name, [{ ...options, data }])
        return { epoch, offset: offsets[0] ?? 0 }
      },
      publishAll: (drafts) => publish(name, drafts),
    }),
    queue: (name) => ({
      async send(data, options = {}) {
        const { ids } = await send(name, [{ ...options, data }])
        return { id: ids[0] ?? '' }
      },
      sendAll: (drafts) => send(name, drafts),
    }),
    close: () => {
      closing ??= closeAll()
      return closing
    },
    [Symbol.asyncDispose]() {
      return this.close()
    },
  }

  async function publish(topic: string, drafts: readonly Draft[]): Promise<Published> {
    const { log, admit } = await core
    admit()
    return await log.publish(anonymous(), topic, parseDrafts(drafts.map(given), 'publish: drafts'))
  }

  async function send(queue: string, drafts: readonly JobDraft[]): Promise<Sent> {
    const { queues, admit } = await core
    admit()
    return await queues.send(anonymous(), queue, parseJobDrafts(drafts.map(given), 'send: drafts'))
  }
}

/** Without what the program left undefined: on the wire that is not there either. */
function given<D extends object>(draft: D): D {
  for (const value of Object.values(draft)) {
    if (value === undefined)
      return Object.fromEntries(Object.entries(draft).filter(([, one]) => one !== undefined)) as D
  }
  return draft
}
