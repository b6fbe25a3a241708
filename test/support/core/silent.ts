/** Telemetry that nobody listens to. */

import type { Telemetry } from '../../../server/core/telemetry.ts'

const nothing = () => {}

export const SILENT: Telemetry = {
  failed: nothing,
  noticed: nothing,
  happened: nothing,
  meter: {
    published: nothing,
    delivered: nothing,
    replayed: nothing,
    caughtUp: nothing,
    sent: nothing,
    fired: nothing,
    started: nothing,
    settled: nothing,
    ran: nothing,
  },
  spans: { around: (_what, _name, drafts, work) => work(drafts), delivered: nothing },
}
