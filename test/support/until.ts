/** Awaits a condition: by asking again, with a deadline and a message that says what was awaited and what was there. */

import { setTimeout as sleep } from 'node:timers/promises'

interface Wait {
  /** What is awaited, for the message: "the subscriber to be live". */
  readonly what?: string
  /** Default 10,000. */
  readonly deadlineMs?: number
  /** Default 5. */
  readonly everyMs?: number
  /** What is there instead, for the message. */
  readonly seen?: () => unknown
}

type Falsy = false | null | undefined | 0 | ''

/** The first truthy value of `condition`. An error that it throws is told when the deadline passes. */
export async function until<T>(condition: () => T | Promise<T>, wait: Wait = {}): Promise<Exclude<T, Falsy>> {
  const { what = 'the condition', deadlineMs = 10_000, everyMs = 5, seen } = wait
  const deadline = performance.now() + deadlineMs
  let cause: unknown
  for (;;) {
    try {
      const value = await condition()
      if (value) return value as Exclude<T, Falsy>
      cause = undefined
    } catch (error) {
      cause = error
    }
    if (performance.now() > deadline) break
    await sleep(everyMs)
  }
  const instead = seen ? `; seen: ${JSON.stringify(seen())}` : ''
  throw new Error(`waited ${deadlineMs} ms in vain for ${what}${instead}`, cause === undefined ? undefined : { cause })
}

/** `promise`, or an error that names what was awaited once the deadline passes. */
export async function within<T>(promise: Promise<T>, deadlineMs: number, what: string): Promise<T> {
  const lapse = new AbortController()
  const late = sleep(deadlineMs, undefined, { signal: lapse.signal }).then(() => {
    throw new Error(`waited ${deadlineMs} ms in vain for ${what}`)
  })
  late.catch(() => {})
  try {
    return await Promise.race([promise, late])
  } finally {
    lapse.abort()
  }
}
