/** How the calls of a queue reach the hub: each is made again after what may pass, until it is answered or its time is up. */

import { RepriseError } from '../../shared/errors.ts'
import type { Limits } from '../../shared/protocol.ts'
import type { Again, Asking } from '../connection/retryingCall.ts'
import { durationOf } from '../optionChecks.ts'
import type { QueuesLink } from './namespace.ts'

/** How long a request and `waitFor` wait. */
const WAIT_MS = 30_000
const MAX_WAIT_MS = 3_600_000

export interface QueueCalls {
  /** What the hub takes, while there is a connection. */
  readonly limits: Limits | undefined
  /** One try. */
  call<R>(name: string, ...args: unknown[]): Promise<R>
  /** Tries within `timeoutMs`, by default that of reads. Throws where the handle is closed. */
  ask<R>(again: Again<R>, timeoutMs?: number): Promise<R>
  /** The same for a call with these arguments. */
  read<R>(name: string, ...args: unknown[]): Promise<R>
  /** The same for one that removes `what`, and answers whether it was there. */
  remove(what: string, name: string, ...args: unknown[]): Promise<boolean>
}

export function callsOf(
  queue: string,
  link: QueuesLink,
  asking: Asking,
  readTimeoutMs: number | undefined,
  checkOpen: () => void,
): QueueCalls {
  const call = <R>(name: string, ...args: unknown[]) => link.call<R>(name, queue, ...args)
  const ask = async <R>(again: Again<R>, timeoutMs = readTimeoutMs ?? 10_000) => {
    checkOpen()
    return await asking.ask(timeoutMs, again)
  }
  return {
    get limits() {
      return link.limits
    },
    call,
    ask,
    read: (...args) => ask(() => call(...args)),
    remove: (what, ...args) =>
      ask(async (_, tries) => {
        const removed = await call<boolean>(...args)
        if (removed || tries === 1) return removed
        const text = `the reply was lost, and the ${what} is not there: whether it was removed is unknown`
        throw new RepriseError('conflict', text)
      }),
  }
}

/** How long `what` waits. Throws `bad_request` for a time that it cannot wait. */
export function waitMsOf(what: string, timeoutMs: number = WAIT_MS): number {
  if (durationOf('timeoutMs', timeoutMs, 0) >= 1 && timeoutMs <= MAX_WAIT_MS) return timeoutMs
  const text = `timeoutMs of ${what} is a number of milliseconds from 1 to an hour, ${MAX_WAIT_MS}`
  throw new RepriseError('bad_request', text)
}
