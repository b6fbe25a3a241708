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

/** As far as it is told. */
interface Pass {
  readonly to: string
  readonly total: number
  readonly seen: number
  readonly changed: number
  readonly beganAt: number
  readonly at: number
}

/** What the store says of a pass that puts it under another key. */
export function rotationTold(telemetry: Telemetry) {
  return {
    told: (what: 'began' | 'ended', { to: key, total, seen, changed, beganAt, at }: Pass): void =>
      telemetry.happened(
        what === 'began'
          ? { kind: 'rotating', key, left: Math.max(0, total - seen) }
          : { kind: 'rotated', key, payloads: changed, afterMs: at - beganAt },
      ),
    failed: (cause: unknown): void => telemetry.failed('putting what is stored under the present key', cause),
  }
}

export function createTelemetry(logLevel: string): HubTelemetry {
  const log = createLog(logLevel)
  const metrics = new Metrics()
  return { telemetry: { ...metrics.listening(log.telemetry), spans }, metrics, close: () => log.close() }
}
