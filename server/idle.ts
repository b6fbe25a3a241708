/** Work that can wait for a moment when there is little else to do. */

import { performance } from 'node:perf_hooks'

const LOOK_MS = 50
/** A process that is idle for half of this time keeps nobody waiting. */
const TIDY_MS = 200
/** A start leaves less memory than this. To collect much more would hold the process up. */
const TIDY_BYTES = 100e6
/** Of the time between two looks. */
const IDLE_SHARE = 0.5

/** Calls `run` once, when the process has been idle half of `lookMs`. The result gives it up. */
export function whenIdle(run: () => void, lookMs = LOOK_MS): () => void {
  let last = performance.eventLoopUtilization()
  const timer = setInterval(() => {
    const now = performance.eventLoopUtilization()
    const { utilization } = performance.eventLoopUtilization(now, last)
    last = now
    if (utilization > 1 - IDLE_SHARE) return
    clearInterval(timer)
    run()
  }, lookMs).unref()
  return () => clearInterval(timer)
}

/**
 * Gives the memory back that a start has used, when there is nothing to do. V8 does so by itself, but only after some 16
 * quiet seconds. For a program that is a hub and nothing else.
 */
export function tidyUp(): void {
  whenIdle(() => {
    if (isSmall()) void collectGarbage()
  }, TIDY_MS)
}

function isSmall(): boolean {
  try {
    return process.memoryUsage.rss() < TIDY_BYTES
  } catch {
    // Linux tells it in a file: a process that may open no more files does not learn it.
    return false
  }
}

async function collectGarbage(): Promise<void> {
  // Not every build of Node has it.
  const { Session } = await import('node:inspector').catch(() => ({ Session: undefined }))
  if (Session === undefined) return
  const session = new Session()
  session.connect()
  // To disconnect within the answer would hang the process.
  session.post('HeapProfiler.collectGarbage', () => setImmediate(() => session.disconnect()))
}
