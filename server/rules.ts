/** The inside of a hub: opens the store and puts the rules of one node together. hub.ts puts the edges around it. */

import { openGate, openToAll } from './auth/gate.ts'
import { StoredRevocations } from './auth/revocations.ts'
import { Tickets } from './auth/tickets.ts'
import type { TicketGate } from './core/access.ts'
import { StoreClock } from './core/clock.ts'
import type { Core } from './core/core.ts'
import { CallerLimits } from './core/guards/callers.ts'
import { startMaintenance } from './core/maintenance.ts'
import { Bindings } from './core/queues/bindings.ts'
import { Consumers } from './core/queues/delivery/consumers.ts'
import { Life } from './core/queues/life/life.ts'
import { Losses } from './core/queues/losses.ts'
import { Queues } from './core/queues/queues.ts'
import { Scheduler } from './core/queues/schedules/scheduler.ts'
import { Schedules } from './core/queues/schedules/schedules.ts'
import { openQueueSettings } from './core/queues/settings.ts'
import type { Clients } from './core/seeing/clients.ts'
import { Probe } from './core/seeing/probe.ts'
import { CursorBook } from './core/topics/cursors.ts'
import { Fanout } from './core/topics/fanout.ts'
import { Log } from './core/topics/log.ts'
import { Pages } from './core/topics/pages.ts'
import { startRetention } from './core/topics/retention.ts'
import { openSettings } from './core/topics/settings.ts'
import { Subscription } from './core/topics/subscription.ts'
import { conditionOf } from './doctor/condition.ts'
import { readAuth, weakSecret } from './options/auth.ts'
import { readEncryption } from './options/encryption.ts'
import type { ResolvedHubOptions } from './options/hub.ts'
import type { Store } from './store/contract/store.ts'
import { openStore } from './store/open.ts'
import { type HubTelemetry, rotationTold } from './telemetry/telemetry.ts'
import { version } from './version.ts'

/** What the rules need of the hub around them. */
export interface Surroundings extends Pick<HubTelemetry, 'telemetry' | 'metrics'> {
  readonly clients: Clients
  /** Throws `unavailable` when the hub takes no more work. */
  readonly admit: () => void
  /** Aborted when the hub drains. */
  readonly draining: AbortSignal
  /** How many connections there are now. */
  readonly connections: () => number
}

export interface Rules {
  readonly core: Core
  readonly gate: TicketGate
  /** Ends what goes on by itself, and closes the store. */
  close(): Promise<void>
}

/** Rejects when the store cannot be opened, or what is needed to judge callers; nothing is left open then. */
export async function openRules(options: ResolvedHubOptions, surroundings: Surroundings): Promise<Rules> {
  const { store: location, reserveBytes, encryption } = options
  const { telemetry, metrics } = surroundings
  const warn = (message: string, cause?: unknown) => telemetry.noticed(message, cause === undefined ? {} : { cause })
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
    return await compose(options, { ...surroundings, store, losses, warn })
  } catch (error) {
    await store.close()
    throw error
  }
}

interface Opened extends Surroundings {
  readonly store: Store
  readonly losses: Losses
  readonly warn: (message: string, cause?: unknown) => void
}

async function compose(options: ResolvedHubOptions, opened: Opened): Promise<Rules> {
  const { store, losses, warn, telemetry, metrics, clients, admit, draining, connections } = opened
  const documents = { store: store.settings, warn }
  const queueSettings = await openQueueSettings({ ...documents, file: options.queues })
  const settings = await openSettings({ ...documents, file: options.topics }, queueSettings.holdBytes)
  // What clients are told of.
  const { payload, batch, packet } = options.limits
  const limits = { payload, batch, packet }
  const callers = new CallerLimits(options.limits)
  const log = new Log(store, settings, limits, callers, telemetry)
  const fanout = new Fanout(store, log, telemetry)
  const pages = new Pages(log)
  const context = { store, log, pages, fanout, callers, telemetry }
  const probe = new Probe(store, telemetry, { id: clients.node, version: version() })
  const stopRetention = startRetention(store, settings, telemetry)
  const clock = new StoreClock(store)
  const shared = { store, settings: queueSettings, limits, callers, clock, telemetry, draining }
  const consumers = new Consumers(shared)
  losses.except((queue, consumer) => consumers.has(queue, consumer))
  const queues = new Queues({ ...shared, consumers })
  const life = new Life({ ...shared, retainOf: (topic) => settings.forTopic(topic).retain })
  losses.lives((queue) => life.told(queue))
  const bindings = new Bindings({ store, log, pages, settings: queueSettings, telemetry })
  const schedules = new Schedules({ ...shared, maxSchedules: options.limits.schedules })
  const scheduler = new Scheduler(shared)
  await clock.start()
  const gate = await openGateOf(options, opened, () => clock.now)
  await probe.start()
  const stopMaintenance = startMaintenance(store, queueSettings, telemetry)
  bindings.start()
  scheduler.start()
  const core: Core = {
    log,
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
    reachable: () => store.ready(),
    admit,
  }
  metrics.open({
    store,
    topicPattern: (topic) => settings.patternOf(topic),
    queuePattern: (queue) => queueSettings.patternOf(queue),
    now: () => clock.now,
    connections,
    told: { node: probe.node.id, version: probe.node.version },
    health: () => probe.health(),
    nodes: () => probe.nodes(),
    subscriptions: () => fanout.all(),
  })
  return {
    core,
    gate,
    async close() {
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
    },
  }
}

async function openGateOf(
  { auth }: ResolvedHubOptions,
  { store, warn }: Opened,
  now: () => number,
): Promise<TicketGate> {
  const tickets = new Tickets(store.topics, now)
  if (auth === undefined) return openToAll(tickets)
  const revocations = await StoredRevocations.open({ store: store.settings, warn, now })
  const rules = readAuth(auth)
  const weak = weakSecret(rules.jwt?.secret)
  if (weak !== undefined) warn(weak)
  return await openGate(rules, { revocations, tickets, warn })
}
