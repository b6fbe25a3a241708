/** What a worker is given: its options, checked, and its way to the hub. */

import { RepriseError } from '../../shared/errors.ts'
import type { Limits } from '../../shared/protocol.ts'
import type { Warnings } from '../connection/warnings.ts'
import { checkNames, countOf } from '../optionChecks.ts'
import type { ConsumeOptions } from './api.ts'
import { checkLease } from './working/leasedJob.ts'

export interface WorkerContext {
  readonly queue: string
  readonly drainMs: number
  readonly warnings: Warnings
  readonly connected: boolean
  call<T>(name: string, ...args: unknown[]): Promise<T>
  /** What the hub takes, while there is a connection. */
  readonly limits?: Limits | undefined
  /** The worker is over and wants nothing more of its link. */
  detach(): void
}

const OPTIONS = ['concurrency', 'leaseMs'] as const satisfies readonly (keyof ConsumeOptions)[]

/** Throws `bad_request` for a handler or options that are none. */
export function checkConsume(handler: unknown, options: ConsumeOptions) {
  if (typeof handler !== 'function') throw new RepriseError('bad_request', 'consume takes a function')
  checkNames('consume', options, OPTIONS)
  const { leaseMs } = options
  if (leaseMs !== undefined) checkLease(leaseMs)
  const concurrency = countOf('concurrency', options.concurrency, 1)
  return { concurrency, leaseMs }
}
