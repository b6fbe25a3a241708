/** Hubs in a program of one's own: with the SDK, so that the program also subscribes and works in them. */

import { connect, type HubTypes } from '../client/index.ts'
import type { Hub } from './api.ts'
import { buildHub } from './hub.ts'
import { type HubOptions, resolveHubOptions, type ServeOptions, shownStore } from './options/hub.ts'
import { type RunningServer, serve } from './serve.ts'
import { createTelemetry } from './telemetry/telemetry.ts'
import { version } from './version.ts'

const OPEN = 'without auth whoever reaches this hub may do everything: give createHub auth (docs/security.md)'

/**
 * A hub to embed: `createHub<{ topics: { orders: Order }, queues: { emails: Email } }>()` names what its topics and
 * queues carry. It can be attached and called at once; calls wait until the store is open. Throws `bad_request` for
 * wrong options. What goes wrong with the store rejects `ready` and every call.
 */
export function createHub<S extends HubTypes = HubTypes>(options: HubOptions = {}): Hub<S> {
  const resolved = resolveHubOptions(options)
  const told = createTelemetry(resolved.logLevel)
  const { telemetry } = told
  const hub = buildHub<S>(resolved, told, connect)
  const store = shownStore(resolved.store)
  hub.ready.then(
    () => {
      telemetry.happened({ kind: 'started', store, version: version() })
      if (resolved.auth === undefined) telemetry.noticed(OPEN)
    },
    (error: unknown) => telemetry.failed(`opening the store ${store}`, error),
  )
  return hub
}

/**
 * Resolves when it serves; until the store is open nothing listens. Rejects with a `RepriseError` whose message says in
 * one line what was wrong: a taken port, a data folder that is locked or cannot be written; nothing was changed then.
 */
export function startServer<S extends HubTypes = HubTypes>(options: ServeOptions = {}): Promise<RunningServer<S>> {
  return serve(options, connect)
}
