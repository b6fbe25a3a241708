/** Jobs at a steady pace through whatever carries them, in one process with one clock. */

import { percentile } from '../series.ts'

/** The median of the times from `send` until what `listen` was given is called with the same number, in ms. */
export async function measureTrickle(
  count: number,
  everyMs: number,
  send: (n: number) => Promise<unknown>,
  listen: (arrived: (n: number) => void) => void,
): Promise<number> {
  const sentAt = new Float64Array(count + 1)
  const took: number[] = []
  await new Promise<void>((resolve, reject) => {
    listen((n) => {
      // What a former run has left does not count, nor does what comes twice.
      const at = sentAt[n] ?? 0
      if (at === 0) return
      sentAt[n] = 0
      took.push(performance.now() - at)
      if (took.length === count) resolve()
    })
    const started = performance.now()
    let n = 0
    const next = () => {
      n += 1
      sentAt[n] = performance.now()
      send(n).catch(reject)
      if (n < count) setTimeout(next, Math.max(0, started + n * everyMs - performance.now()))
    }
    next()
  })
  return percentile(took, 50)
}
