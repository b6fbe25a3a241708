/** Work in the background that comes again and again, one round at a time. */

/** `ms` lie between two rounds. The result stops it and resolves when no round is under way. */
export function every(ms: number, work: () => Promise<void>, failed: (error: unknown) => void): () => Promise<void> {
  let running: Promise<void> = Promise.resolve()
  let timer: NodeJS.Timeout | undefined
  let stopped = false
  const next = () => {
    if (stopped) return
    timer = setTimeout(() => {
      running = work().catch(failed).then(next)
    }, ms)
    timer.unref()
  }
  next()
  return async () => {
    stopped = true
    clearTimeout(timer)
    await running
  }
}
