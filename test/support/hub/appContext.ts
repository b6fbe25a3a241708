/** What the HTTP interface is handed, without a hub: anybody may ask, and the core is a test's own. */

import { OPEN_GATE } from '../../../server/core/access.ts'
import type { Core } from '../../../server/core/core.ts'
import { RequestRates } from '../../../server/core/guards/requestRates.ts'
import { Unfinished } from '../../../server/core/guards/unfinished.ts'
import type { AppContext } from '../../../server/http/app.ts'
import { LIMIT_DEFAULTS } from '../../../server/options/limits.ts'
import { addressesBehind } from '../../../server/options/proxies.ts'
import { SILENT } from '../core/silent.ts'

export function appContext(core: Partial<Core>): AppContext {
  const addresses = addressesBehind([])
  return {
    gate: Promise.resolve({ ...OPEN_GATE, issue: never, redeem: never }),
    core: Promise.resolve({ admit: () => {}, ...core } as Core),
    telemetry: SILENT,
    addresses,
    requests: new RequestRates(LIMIT_DEFAULTS, addresses),
    metrics: undefined,
    socketPath: undefined,
    draining: new AbortController().signal,
    maxBodyBytes: 1_000,
    maxSchemaParts: LIMIT_DEFAULTS.schemaParts,
    readTopicSettings: () => ({}),
    readQueueSettings: () => ({}),
    pageRefusal: async () => undefined,
    bodyTimeoutMs: 10_000,
    unfinished: new Unfinished(1_000_000),
  }
}

function never(): never {
  throw new Error('no ticket is asked for')
}
