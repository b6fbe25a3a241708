/** The SDK tries for ever; a command that never got through says so. */

import { RepriseError } from '../shared/errors.ts'
import { startTimer } from '../shared/timer.ts'
import type { RemoteOptions } from './remote.ts'

/** A subscription or a worker, of which a command waits to hear that it is there. */
interface Begun {
  onStatus(listener: (status: { readonly state: string; readonly reason?: unknown }) => void): () => void
}

/** `what` was not there in time, as in `no subscription`. */
export function patience(begun: Begun, what: string, remote: RemoteOptions): { late: Promise<Error>; clear(): void } {
  let stop = () => {}
  let last: RepriseError | undefined
  const undo = begun.onStatus(({ state, reason }) => {
    if (state === 'offline') last = reason instanceof RepriseError ? reason : undefined
    else if (state !== 'connecting') clear()
  })
  function clear(): void {
    stop()
    undo()
  }
  const late = new Promise<Error>((resolve) => {
    stop = startTimer(remote.timeout, () => {
      resolve(last ?? new RepriseError('timeout', `${what} at ${remote.url} within ${remote.timeout} ms`))
    })
  })
  return { late, clear }
}
