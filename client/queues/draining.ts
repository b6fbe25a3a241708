/** Waits until a queue has no jobs left: looks at its counts, as soon as they may be down to nothing by the way they fall. */

import type { JobCounts } from '../../shared/queues.ts'
import { after } from '../connection/timer.ts'
import { checkNames, durationOf } from '../optionChecks.ts'
import type { Queue } from './api.ts'

/** Between two looks. */
const FIRST_MS = 50
const MOST_MS = 2_000
/** Where they do not fall. */
const GROWTH = 1.5

interface DrainContext {
  /** Makes a call again after what may pass, until time is up. */
  ask(timeoutMs: number, call: () => Promise<void>): Promise<void>
  /** Resolves when the hub has answered all that this handle sent. */
  sent(): Promise<void>
  counts(): Promise<JobCounts>
}

export function drainOf({ ask, sent, counts }: DrainContext): Queue['drain'] {
  return async (options = {}) => {
    checkNames('drain', options, ['timeoutMs'])
    const timeoutMs = durationOf('timeoutMs', options.timeoutMs, Infinity)
    let over = false
    let wake = () => {}
    const pause = (ms: number): Promise<void> =>
      new Promise((resolve) => {
        const cancel = after(ms, resolve)
        wake = () => {
          cancel()
          resolve()
        }
      })
    try {
      await ask(timeoutMs, async () => {
        let waitMs = FIRST_MS
        for (let before = Infinity; !over; ) {
          await sent()
          const { ready, delayed, held, waiting } = await counts()
          const left = ready + delayed + held + waiting
          if (left === 0 || over) return
          waitMs = left < before ? Math.max((waitMs * left) / (before - left), FIRST_MS) : waitMs * GROWTH
          waitMs = Math.min(waitMs, MOST_MS)
          before = left
          await pause(waitMs)
        }
      })
    } finally {
      over = true
      wake()
    }
  }
}
