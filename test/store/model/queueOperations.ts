/** Which operations the random tests of queues draw, and of what. Jobs and leases are drawn as places in what there is. */

import fc from 'fast-check'
import type { JobPolicy, Leaving, Settlement } from '../../../server/store/contract/store.ts'
import { type DrawnSchedule, drawnSchedule } from '../scheduleSteps.ts'

export interface DrawnDraft {
  readonly size: number
  readonly id: string | undefined
  readonly key: string | undefined
  readonly group: string | undefined
  readonly priority: number
  readonly due: { readonly delayMs: number } | { readonly inMs: number } | undefined
  readonly ttlMs: number
  readonly own: JobPolicy | undefined
  readonly replyMs: number | undefined
  /** In a step of a binding. */
  readonly isGap: boolean
  /** Each of them may have as many of its own. */
  readonly children: DrawnChildren | undefined
}

export type DrawnChild = Omit<DrawnDraft, 'id' | 'replyMs' | 'isGap' | 'children'>

export interface DrawnChildren {
  readonly drafts: readonly (DrawnChild & {
    /** Of the other queue than its parent's. */
    readonly isElsewhere: boolean
    readonly children: DrawnChildren | undefined
  })[]
  readonly onDead: 'fail' | 'skip'
  readonly bytes: number
}

export interface DrawnSettlement {
  /** From the last one back: small ones of the leases that count, others of all that there were. */
  readonly pick: number
  readonly as: Settlement['as']
  readonly delayMs: number | undefined
  readonly leaseMs: number
  readonly error: string | undefined
  readonly reply: boolean
  /** With the id of another job, or a lease that never was. */
  readonly wrong: 'id' | 'lease' | undefined
}

export interface DrawnClaim {
  readonly client: string
  readonly max: number
  readonly bytes: number
  readonly leaseMs: number
  readonly capMs: number
  readonly rate: number | undefined
  /** Of a session before the newest one. */
  readonly old: boolean
  readonly comes: boolean
  readonly policy: number
}

export interface DrawnReport {
  readonly lease: Pick<DrawnSettlement, 'pick' | 'wrong'>
  readonly value: boolean
  readonly log: string[]
}

export type QueueOperation =
  | {
      kind: 'enqueue'
      queue: string
      subject: string
      drafts: DrawnDraft[]
      limit: { jobs: number; bytes: number }
      producer: { name: string; ahead: number } | undefined
      binding: { topic: string; ahead: number } | undefined
    }
  /** `settles`: at once, from the last one back; not where it comes together with others. */
  | ({ kind: 'claim'; queue: string; settles: DrawnSettlement[] } & DrawnClaim)
  | { kind: 'settle'; queue: string; settlements: DrawnSettlement[]; policy: number; next: DrawnClaim | undefined }
  | { kind: 'progress'; queue: string; reports: DrawnReport[]; policy: number }
  | {
      kind: 'attach'
      queue: string
      client: string
      leaseMs: number
      /** Which of its leases it names: all that it has without. */
      holding: number[] | undefined
      policy: number
    }
  | { kind: 'detach'; queue: string; client: string; leaving: Leaving; old: boolean; policy: number }
  | { kind: 'touch'; queue: string; clients: string[] }
  | { kind: 'turn'; queue: string; policy: number }
  | { kind: 'pause'; queue: string; paused: boolean }
  | { kind: 'remove'; queue: string; pick: number }
  | { kind: 'purge'; queue: string; back: number; limit: number }
  | { kind: 'awaitEnd'; queue: string; pick: number; ms: number }
  | { kind: 'runNow'; queue: string; picks: number[] }
  | { kind: 'redrive'; queue: string; picks: number[]; ttlMs: number }
  | { kind: 'bind'; queue: string; topic: string; on: boolean }
  /** What waits to come to the queue from the other one, so many, and so many again that had come. */
  | { kind: 'carry'; queue: string; count: number; again: number }
  /** Whether what happens to jobs is told. */
  | { kind: 'life'; queue: string; on: boolean }
  /** How deliveries are ordered from now on: by priority, in turns over groups, and with a rate of each group. */
  | { kind: 'mode'; queue: string; mode: 'plain' | 'grouped' | 'rated' }
  | { kind: 'breaker'; on: boolean }
  | {
      kind: 'schedule'
      queue: string
      drawn: DrawnSchedule
      drafts: DrawnDraft[]
      limit: { jobs: number; bytes: number }
    }
  | { kind: 'clock'; ms: number }
  | { kind: 'maintain' | 'reopen' }
  | { kind: 'together'; operations: QueueOperation[] }

const base = fc.constantFrom('q', 'q', 'q', 'p')
const queue = fc.constantFrom('q', 'q', 'q', 'q', 'q/dead', 'q/dead', 'p', 'p', 'p', 'p/dead')
const client = fc.constantFrom('a', 'b', 'c')
const subject = fc.constantFrom('ann', 'ann', 'bob')
const topic = fc.constantFrom('s', 't')
const policy = fc.constantFrom(0, 0, 0, 1)
const leaseMs = fc.constantFrom(1_000, 5_000, 30_000, 30_000, 90_000)
const pick = fc.nat(30)
/** Picks below it are of leases that count. */
export const LIVE_PICKS = 5
const ttlMs = fc.constantFrom(1, 1_000, 4_000, 60_000, 600_000, 600_000, 600_000, 600_000, 600_000, 600_000)
/** There once in so many cases. */
const option = <T>(arbitrary: fc.Arbitrary<T>, oneIn: number) =>
  fc.oneof({ weight: oneIn - 1, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary })

const plain = {
  size: fc.oneof({ weight: 8, arbitrary: fc.nat(60) }, { weight: 1, arbitrary: fc.nat(8_000) }),
  key: option(fc.constantFrom('k', 'l'), 3),
  group: option(fc.constantFrom('k', 'g', 'h'), 3),
  priority: fc.constantFrom(4, 4, 4, 0, 9, 5),
  due: option(
    fc.oneof(
      fc.record({ delayMs: fc.constantFrom(0, 1, 1_000, 4_000, 70_000) }),
      fc.record({ inMs: fc.constantFrom(-5_000, 0, 1_000, 5_000) }),
    ),
    4,
  ),
  ttlMs,
  own: option(
    fc.constantFrom<JobPolicy>(
      { maxAttempts: 1 },
      { maxAttempts: 5, backoff: { kind: 'exponential', ms: 500, maxMs: 1_500 } },
      { backoff: { kind: 'fixed', ms: 4_000, maxMs: 4_000 }, keepMs: 5_000 },
      { backoff: { kind: 'fixed', ms: 0, maxMs: 0 } },
      { maxAttempts: 4, backoff: { kind: 'list', ms: [1_000, 0, 3_000] } },
      { keepMs: 0 },
      { runMs: 5_000 },
      { runMs: 20_000, maxAttempts: 2 },
    ),
    4,
  ),
}

const child = {
  ...plain,
  ttlMs: fc.constantFrom(1_000, 600_000, 600_000, 600_000),
  isElsewhere: fc.boolean(),
}

/** Of so many generations. */
function family(depth: number): fc.Arbitrary<DrawnChildren | undefined> {
  const children = depth === 1 ? fc.constant(undefined) : family(depth - 1)
  return option(
    fc.record({
      drafts: fc.array(fc.record({ ...child, children }), { minLength: 1, maxLength: 2 }),
      onDead: fc.constantFrom('fail', 'skip'),
      bytes: fc.constantFrom(1_000, 1_000, 20),
    }),
    3,
  )
}

const draft: fc.Arbitrary<DrawnDraft> = fc.record({
  ...plain,
  id: option(fc.constantFrom('i', 'j', 'k', 'l', '1-n', 'i~1'), 3),
  replyMs: option(fc.constantFrom(1, 3_000, 60_000, 400_000), 4),
  isGap: fc.boolean(),
  children: family(2),
})

const settlement: fc.Arbitrary<DrawnSettlement> = fc.record({
  pick: fc.oneof({ weight: 4, arbitrary: fc.nat(LIVE_PICKS - 1) }, { weight: 1, arbitrary: fc.nat(20) }),
  as: fc.constantFrom('done', 'done', 'done', 'done', 'retry', 'retry', 'release', 'dead', 'extend'),
  delayMs: option(fc.constantFrom(0, 1, 1_000, 70_000), 2),
  leaseMs,
  error: option(fc.constantFrom('no', 'ä\n{}'), 2),
  reply: fc.boolean(),
  wrong: option(fc.constantFrom('id' as const, 'lease' as const), 12),
})

const report: fc.Arbitrary<DrawnReport> = fc.record({
  lease: fc.record({ pick: fc.nat(4), wrong: option(fc.constantFrom('id' as const, 'lease' as const), 12) }),
  value: fc.boolean(),
  log: fc.array(fc.constantFrom('a', 'ä\n{}"'), { maxLength: 3 }),
})

function kind<K extends string>(name: K) {
  return { kind: fc.constant(name) }
}

const enqueue = fc.record({
  ...kind('enqueue'),
  queue: base,
  subject,
  drafts: fc.array(draft, { minLength: 1, maxLength: 6 }),
  limit: fc.record({
    jobs: fc.constantFrom(1_000, 1_000, 1_000, 5),
    bytes: fc.constantFrom(1e9, 1e9, 1e9, 1_000),
  }),
  producer: option(fc.record({ name: fc.constantFrom('p', 'r'), ahead: fc.constantFrom(-5, -2, -1, 0, 0, 0, 1) }), 4),
  binding: option(fc.record({ topic, ahead: fc.constantFrom(0, 0, 0, 1) }), 6),
})

const claim = {
  client,
  max: fc.constantFrom(1, 2, 3, 20, 20),
  bytes: fc.constantFrom(1e9, 1e9, 1e9, 300, 1),
  leaseMs,
  capMs: fc.constantFrom(100_000, 100_000, 20_000, 30_000),
  rate: option(fc.constantFrom(1, 10, 40, 0.5), 5),
  old: fc.constantFrom(false, false, false, false, false, false, false, false, false, true),
  comes: fc.constantFrom(true, true, true, true, true, false),
  policy,
}

const single: fc.Arbitrary<QueueOperation> = fc.oneof(
  { weight: 12, arbitrary: enqueue },
  {
    weight: 12,
    arbitrary: fc.record({
      ...kind('claim'),
      queue,
      ...claim,
      settles: fc.oneof(
        fc.constant<DrawnSettlement[]>([]),
        fc.array(settlement, { minLength: 1, maxLength: 6 }).map((all) => all.map((one, pick) => ({ ...one, pick }))),
      ),
    }),
  },
  {
    weight: 12,
    arbitrary: fc.record({
      ...kind('settle'),
      queue,
      settlements: fc.array(settlement, { minLength: 1, maxLength: 4 }),
      policy,
      next: option(fc.record(claim), 2),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      ...kind('progress'),
      queue,
      reports: fc.array(report, { minLength: 1, maxLength: 3 }),
      policy,
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      ...kind('attach'),
      queue,
      client,
      leaseMs,
      holding: option(fc.array(fc.nat(3), { maxLength: 3 }), 2),
      policy,
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      ...kind('detach'),
      queue,
      client,
      leaving: fc.constantFrom<Leaving>('keep', 'release', { graceMs: 0 }, { graceMs: 5_000 }, { graceMs: 40_000 }),
      old: fc.constantFrom(false, false, false, true),
      policy,
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ ...kind('touch'), queue, clients: fc.array(client, { minLength: 1, maxLength: 2 }) }),
  },
  { weight: 2, arbitrary: fc.record({ ...kind('turn'), queue, policy }) },
  { weight: 1, arbitrary: fc.record({ ...kind('pause'), queue, paused: fc.constantFrom(true, false, false) }) },
  { weight: 2, arbitrary: fc.record({ ...kind('remove'), queue, pick }) },
  {
    weight: 1,
    arbitrary: fc.record({
      ...kind('purge'),
      queue,
      back: fc.constantFrom(0, 1, 5_000, -1),
      limit: fc.constantFrom(1, 3, 100, 100),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ ...kind('awaitEnd'), queue: base, pick, ms: fc.constantFrom(-1, 1_000, 70_000, 300_000) }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ ...kind('runNow'), queue, picks: fc.array(pick, { minLength: 1, maxLength: 4 }) }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      ...kind('redrive'),
      queue: base,
      picks: fc.array(pick, { minLength: 1, maxLength: 4 }),
      ttlMs,
    }),
  },
  {
    weight: 16,
    arbitrary: fc.record({
      ...kind('carry'),
      queue: fc.constantFrom('q', 'p'),
      count: fc.constantFrom(1, 2, 6, 6),
      again: fc.constantFrom(0, 0, 0, 1, 3, 20),
    }),
  },
  { weight: 1, arbitrary: fc.record({ ...kind('bind'), queue: base, topic, on: fc.constantFrom(true, true, false) }) },
)

export const queueOperation: fc.Arbitrary<QueueOperation> = fc.oneof(
  { weight: 16, arbitrary: single },
  {
    weight: 3,
    arbitrary: fc.record({ ...kind('together'), operations: fc.array(single, { minLength: 2, maxLength: 6 }) }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      ...kind('clock'),
      ms: fc.constantFrom(
        -500,
        1,
        1,
        1,
        999,
        1_000,
        1_000,
        1_000,
        4_000,
        5_000,
        5_000,
        30_000,
        60_001,
        299_999,
        300_000,
      ),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('maintain' as const, 'reopen' as const) }) },
  {
    weight: 5,
    arbitrary: fc.record({
      ...kind('schedule'),
      queue: base,
      drawn: drawnSchedule,
      drafts: fc.array(draft, { maxLength: 3 }),
      limit: fc.record({ jobs: fc.constantFrom(1_000, 1_000, 1_000, 3), bytes: fc.constant(1e9) }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ ...kind('life'), queue: base, on: fc.constantFrom(true, true, false) }) },
  { weight: 1, arbitrary: fc.record({ ...kind('breaker'), on: fc.constantFrom(true, true, false) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      ...kind('mode'),
      queue: base,
      mode: fc.constantFrom('plain', 'grouped', 'grouped', 'rated'),
    }),
  },
)
