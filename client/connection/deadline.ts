/** Waiting that ends. */

import { after } from './timer.ts'

export interface CloseOptions {
  /** How long is waited for handlers, acknowledgements and the outbox. Default: what `connect` was given, else 5,000 ms. */
  readonly drainMs?: number
}

/** Resolves with the first of these, or when the time is up. */
export async function atMost(ms: number, work: readonly Promise<unknown>[]): Promise<void> {
  let cancel = () => {}
  const deadline = new Promise<void>((resolve) => {
    cancel = after(ms, resolve)
  })
  await Promise.race([...work, deadline])
  cancel()
}
