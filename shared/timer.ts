/** Timers of any length. `setTimeout` takes 2^31 ms and more for no time at all and fires at once. */

/** The longest wait that one `setTimeout` keeps. */
const LONGEST_MS = 2 ** 31 - 1

/** Whether the timer lets the process end that has nothing else to do. */
export interface TimerOptions {
  readonly unref?: boolean
}

/** Calls `run` once after `ms`; never, where that is `Infinity`. The result stops it. */
export function startTimer(ms: number, run: () => void, { unref = false }: TimerOptions = {}): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined
  function wait(leftMs: number): void {
    const partMs = Math.min(leftMs, LONGEST_MS)
    timer = setTimeout(() => (leftMs > partMs ? wait(leftMs - partMs) : run()), partMs)
    if (unref && typeof timer === 'object') timer.unref()
  }
  wait(ms)
  return () => clearTimeout(timer)
}

/** A signal that fires after `ms`, as `AbortSignal.timeout` does for shorter times. */
export function timeoutSignal(ms: number): AbortSignal {
  const late = new AbortController()
  startTimer(ms, () => late.abort(new DOMException('The operation was aborted due to timeout', 'TimeoutError')), {
    unref: true,
  })
  return late.signal
}
