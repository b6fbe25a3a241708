/** Work in the background that comes again and again, one round at a time. */

export interface Repeated {
  /** A round begins at once, or after the one that is under way. */
  soon(): void
  /** Resolves when no round is under way. */
  stop(): Promise<void>
}

/** `ms` lie between two rounds. */
export function every(ms: number, work: () => Promise<void>, failed: (error: unknown) => void): Repeated {
  let running: Promise<void> = Promise.resolve()
  let timer: NodeJS.Timeout | undefined
  let stopped = false
  let isAsked = false
  const begin = () => {
    timer = undefined
    isAsked = false
    running = work().catch(failed).then(next)
  }
  const next = () => {
    if (stopped) return
    timer = setTimeout(begin, isAsked ? 0 : ms)
    timer.unref()
  }
  next()
  return {
    soon() {
      isAsked = true
      if (timer === undefined || stopped) return
      clearTimeout(timer)
      next()
    },
    async stop() {
      stopped = true
      clearTimeout(timer)
      await running
    },
  }
}
