/** Timers that take any time, `Infinity` too: the platform's own end at once beyond 2^31 ms. */

export const LONGEST_MS = 2 ** 31 - 1

/** Calls `fire` once after `ms`; the result calls it off. */
export function after(ms: number, fire: () => void): () => void {
  let timer: ReturnType<typeof setTimeout>
  const wait = (leftMs: number) => {
    timer = setTimeout(() => (leftMs > LONGEST_MS ? wait(leftMs - LONGEST_MS) : fire()), Math.min(leftMs, LONGEST_MS))
  }
  if (ms !== Infinity) wait(ms)
  return () => clearTimeout(timer)
}
