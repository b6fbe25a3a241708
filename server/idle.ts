/** Work that can wait for a moment when there is little else to do. */

import { performance } from 'node:perf_hooks'

const LOOK_MS = 50
/** Of the time between two looks. */
const IDLE_SHARE = 0.5

/** Calls `run` once, when the process has been idle half of a moment. The result gives it up. */
export function whenIdle(run: () => void): () => void {
  let last = performance.eventLoopUtilization()
  const timer = setInterval(() => {
    const now = performance.eventLoopUtilization()
    const { utilization } = performance.eventLoopUtilization(now, last)
    last = now
    if (utilization > 1 - IDLE_SHARE) return
    clearInterval(timer)
    run()
  }, LOOK_MS).unref()
  return () => clearInterval(timer)
}
