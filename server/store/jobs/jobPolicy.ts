/** What counts for a job: what it has by itself, else the policy of its queue. The script of a queue has the same rules. */

import { overrunText } from '../../../shared/queues.ts'
import type { Claim, JobPolicy, Keeping, QueuePolicy } from '../contract/store.ts'

/** Beyond it, doubling is over any bound. */
const MAX_DOUBLED = 50

interface Own {
  readonly policy: JobPolicy | undefined
}

export function maxAttemptsOf({ policy: own }: Own, { maxAttempts }: Pick<QueuePolicy, 'maxAttempts'>): number {
  return own?.maxAttempts ?? maxAttempts
}

/** How long it waits after its last failure, which counts already. */
export function backoffOf(
  { policy: own, attempts }: Own & { readonly attempts: number },
  { backoffMs }: QueuePolicy,
): number {
  const backoff = own?.backoff
  if (backoff === undefined) return backoffMs[Math.min(attempts, backoffMs.length) - 1] ?? 0
  if (backoff.kind === 'fixed') return backoff.ms
  if (backoff.kind === 'list') return backoff.ms[Math.min(attempts, backoff.ms.length) - 1] ?? 0
  return Math.min(backoff.maxMs, backoff.ms * 2 ** Math.min(attempts - 1, MAX_DOUBLED))
}

/** For how long it is delivered, up to which cap, and whether it is lent up to a cap of its own. */
export function lendingOf({ policy: own }: Own, { leaseMs, capMs }: Pick<Claim, 'leaseMs' | 'capMs'>) {
  const most = Math.min(capMs, own?.runMs ?? capMs)
  return { leaseMs: Math.min(leaseMs, most), capMs: most, capped: most === own?.runMs && most <= leaseMs }
}

/** Why a lease has lapsed at its cap, where the job has said that. Of a dead letter `startedAt` is of another run. */
export function overrunOf(
  { policy: own, startedAt }: Own & { readonly startedAt: number },
  isDead: boolean,
  now: number,
): string | undefined {
  const runMs = own?.runMs
  return runMs !== undefined && (isDead || now - startedAt >= runMs) ? overrunText(runMs) : undefined
}

/** `undefined` where nothing is kept of it. */
export function keepOf({ policy: own }: Own, keep: Keeping | undefined): Keeping | undefined {
  if (keep === undefined || keep.count <= 0 || keep.ageMs <= 0) return undefined
  const ageMs = own?.keepMs ?? keep.ageMs
  return ageMs > 0 ? { ...keep, ageMs } : undefined
}
