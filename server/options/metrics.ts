/** Who may read a hub's metrics, and where: what may be written. */

import { readSwitch } from '../../shared/units.ts'
import { host, known, optional, readPort, value } from './checks.ts'

export interface MetricsOptions {
  /** Whoever reaches the hub may read `/metrics`, also without a token. Default: `auth` wants `admin` on `*`. */
  readonly open?: boolean
  /** A port of their own: whoever reaches it may read them, and they are nowhere else. */
  readonly port?: number
  /** Where that port listens. Default 127.0.0.1. */
  readonly host?: string
}

export const metricsOptions = known({
  open: optional(value('true or false', readSwitch)),
  port: optional(value('a port: 1 to 65535', (input) => readPort(input) || undefined)),
  host: optional(host),
})

/** What is wrong although each by itself is right; each sentence begins with the option. */
export function metricsFaults({ open, port, host }: MetricsOptions = {}): readonly string[] {
  if (port === undefined) return host === undefined ? [] : ['metrics.host: is for metrics.port, which is not given']
  return open === false ? ['metrics.open: whoever reaches metrics.port may read; leave one of the two out'] : []
}
