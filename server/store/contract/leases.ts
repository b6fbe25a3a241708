/** What is asked and answered about deliveries and leases: claims, settlements, consumers that come and leave. */

import type { RepriseError } from '../../../shared/errors.ts'
import type { Body, Owner } from './basics.ts'
import type { Child } from './children.ts'
import type { QueuePolicy } from './policy.ts'

export interface Claim {
  readonly consumer: Owner
  readonly session: number
  /** At most this many jobs, 1 or more. */
  readonly max: number
  /** Bytes of bodies and of children's results; at least one job is delivered, however large. */
  readonly bytes: number
  readonly leaseMs: number
  /** A lease and its extensions end this long after the delivery at the latest, or after the `runMs` of the job. */
  readonly capMs: number
  /** Deliveries of the queue per second, over all consumers; evenly, with a burst of a tenth of a second, 1 at least. */
  readonly rate?: number
  /** The same for each group by itself; only where the policy is `grouped`. */
  readonly groupRate?: number
  readonly policy: QueuePolicy
}

export interface HeldJob {
  readonly id: string
  readonly lease: string
  /** When the lease lapses. */
  readonly expiresAt: number
  /** Failures before this delivery. */
  readonly attempts: number
  /** Deliveries, including this one. */
  readonly deliveries: number
  readonly sentAt: number
  /** When it fell due. */
  readonly dueAt: number
  readonly replyBy?: number
  /** As its draft had it. */
  readonly runMs?: number
  /** Those that it waited for, in the order of their drafts. */
  readonly children?: readonly Child[]
  /** `undefined`: the checksum is wrong. The job is delivered all the same, for its consumer to end it. */
  readonly body: Body | undefined
}

export interface Claimed {
  /** In the order of their delivery. */
  readonly jobs: readonly HeldJob[]
  /**
   * Further jobs that could have been delivered now, as many as the rate allows, with suspects; 0 while paused. Those of
   * resting groups are not among them; of other groups all are, whatever their rate.
   */
  readonly waiting: number
  /** Suspects among them. */
  readonly suspects: number
  /** When something more can be claimed: a due time, a lapse, the rate. `undefined`: when a notification tells. */
  readonly nextAt?: number
}

export type Settlement = {
  readonly id: string
  readonly lease: string
} /** `reply` is the answer of a request, and the result of any job. */ & (
  | { readonly as: 'done'; readonly reply?: Body }
  /** `delayMs` in place of the policy's backoff. */
  | { readonly as: 'retry'; readonly delayMs?: number; readonly error?: string }
  /** `inPlace`: by who takes no more, or never saw it. */
  | { readonly as: 'release'; readonly inPlace?: true }
  | { readonly as: 'dead'; readonly error?: string }
  | { readonly as: 'extend'; readonly leaseMs: number }
)

/** Of an extension that the cap has cut: when the lease lapses. */
export type Settled = 'ok' | 'lost' | { readonly expiresAt: number }

export interface SettleOutcome {
  readonly settled: readonly Settled[]
  /** Of `next`: what a claim would have answered, or been refused with. */
  readonly claimed?: Claimed | RepriseError
}

/** What a consumer tells of a job while it works on it. */
export interface Report {
  readonly id: string
  readonly lease: string
  /** How far it is, in place of what was told before. */
  readonly value?: Body
  /** Lines for the job's log, of which the last 100 are kept. */
  readonly log?: readonly string[]
}

export type Progress = 'ok' | 'lost'

/** A lease that returns to its consumer. */
export interface KeptLease {
  readonly id: string
  readonly lease: string
  readonly expiresAt: number
}

export interface Attaching {
  readonly leaseMs: number
  readonly holding?: readonly string[]
  /** The consumer's session when the caller last looked. When it is another one now: `conflict`, and nothing is done. */
  readonly since?: number
  readonly policy: QueuePolicy
}

export interface Attached {
  /** Higher than every earlier one of this consumer at this queue. */
  readonly session: number
  /** All leases that it holds now. */
  readonly held: readonly KeptLease[]
}

/** How a consumer leaves. `keep`: it takes no more, its jobs stay held. `release`: all its jobs are released. */
export type Leaving = 'keep' | 'release' | { readonly graceMs: number }
