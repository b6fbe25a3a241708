/** Who listens to a hub: its log, its metrics, and who traces. */

import type { Telemetry } from '../core/telemetry.ts'
import { createLog } from './log.ts'
import { Metrics } from './metrics.ts'
import { spans } from './traces.ts'

export interface HubTelemetry {
  readonly telemetry: Telemetry
  readonly metrics: Metrics
  /** What is still counted for the log is told. */
  close(): void
}

export function createTelemetry(logLevel: string): HubTelemetry {
  const log = createLog(logLevel)
  const metrics = new Metrics()
  return { telemetry: { ...metrics.counts.listening(log.telemetry), spans }, metrics, close: () => log.close() }
}
