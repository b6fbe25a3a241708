/** Which operations the random tests draw, and of what. */

import fc from 'fast-check'
import type { Owner, Retention } from '../../../server/store/contract/store.ts'

export type Operation =
  | {
      kind: 'append'
      topic: string
      subject: string
      sizes: { size: number; id: string | undefined }[]
      producer: { name: string; ahead: number } | undefined
      retain: Retention
    }
  | { kind: 'read'; topic: string; after: number; events: number; bytes: number }
  | { kind: 'seek'; topic: string; back: number }
  | { kind: 'trim'; topic: string; retain: Retention }
  | { kind: 'drop'; topic: string }
  | { kind: 'open' | 'place'; topic: string; owner: Owner; start: 'start' | 'end' | number; epoch: number }
  | { kind: 'commit'; topic: string; owner: Owner; offset: number; epoch: number; old: boolean }
  | { kind: 'forget'; topic: string; owner: Owner }
  | { kind: 'clock'; ms: number }
  | { kind: 'sweep' | 'reopen' }
  | { kind: 'together'; operations: Operation[] }

const topic = fc.constantFrom('a', 'b', 'c')
const subject = fc.constantFrom('ann', 'bob')
const owner = fc.record({ subject, client: fc.constantFrom('phone', 'tab') })
const retain = fc.record({
  events: fc.constantFrom(Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY, 0, 1, 5, 40),
  bytes: fc.constantFrom(Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY, 0, 300, 2_000, 60_000),
  ageMs: fc.constantFrom(Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY, 0, 1_000, 400_000),
})
const place = { epoch: fc.integer({ min: -1, max: 3 }), offset: fc.integer({ min: 0, max: 60 }) }
const start = fc.oneof(fc.constantFrom('start' as const, 'end' as const), place.offset)

const size = fc.oneof({ weight: 8, arbitrary: fc.nat(60) }, { weight: 1, arbitrary: fc.nat(20_000) })
const named = fc.record({
  size,
  id: fc.option(fc.constantFrom('i', 'j', 'k', 'l', 'm', 'n', 'o', 'p', 'q', 'r'), { nil: undefined }),
})
const nameless = fc.record({ size, id: fc.constant(undefined) })

const single: fc.Arbitrary<Operation> = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.record({
      kind: fc.constant('append' as const),
      topic,
      subject,
      sizes: fc.oneof(
        { weight: 8, arbitrary: fc.array(named, { minLength: 1, maxLength: 12 }) },
        { weight: 4, arbitrary: fc.array(nameless, { minLength: 1, maxLength: 12 }) },
        { weight: 1, arbitrary: fc.array(nameless, { minLength: 100, maxLength: 150 }) },
      ),
      producer: fc.option(
        fc.record({ name: fc.constantFrom('p', 'q'), ahead: fc.constantFrom(-20, -3, -1, 0, 0, 0, 0, 1) }),
        { nil: undefined },
      ),
      retain,
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('read' as const),
      topic,
      after: fc.nat(60),
      events: fc.integer({ min: 1, max: 20 }),
      bytes: fc.constantFrom(0, 100, 1_000, 1e6),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('seek' as const), topic, back: fc.nat(500_000) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('trim' as const), topic, retain }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('drop' as const), topic }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constantFrom('open' as const, 'open' as const, 'place' as const),
      topic,
      owner,
      start,
      epoch: place.epoch,
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('commit' as const),
      topic,
      owner,
      ...place,
      old: fc.constantFrom(false, false, false, true),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('forget' as const), topic, owner }) },
)

export const operation: fc.Arbitrary<Operation> = fc.oneof(
  { weight: 12, arbitrary: single },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('together' as const),
      operations: fc.array(single, { minLength: 2, maxLength: 6 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('clock' as const),
      ms: fc.constantFrom(-500, 1, 999, 1_000, 299_999, 300_000, 86_400_000, 7 * 86_400_000, 30 * 86_400_000),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('sweep' as const, 'reopen' as const) }) },
)
