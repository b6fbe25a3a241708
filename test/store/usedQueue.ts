/** A queue that was used in every way, and that nobody uses any more. */

import { expect } from 'vitest'
import type { Settlement, Store, StoredJobDraft } from '../../server/store/contract/store.ts'
import { text } from './conformance/fixture.ts'
import { deskOf, named, TTL } from './conformance/queueDesk.ts'

const POLICY = {
  maxAttempts: 2,
  backoffMs: [0],
  deadMs: 86_400_000,
  grouped: true,
  breaker: { share: 1, min: 1_000 },
  keep: { count: 100, ageMs: 86_400_000, bytes: 1e9 },
  events: true,
}
const LONG = 'x'.repeat(3_000)

export async function useQueue(store: Store, queue: string): Promise<void> {
  const { queues } = store
  const q = deskOf(store, queue, POLICY)
  const child = { body: text('child'), priority: 4, ttlMs: TTL }
  const children = { drafts: [child, child], onDead: 'skip' as const, bytes: 1e6 }
  const drafts: StoredJobDraft[] = [
    named('parent', { children, key: 'k' }),
    named('asked', { replyMs: 60_000, group: 'g' }),
    named('own', { policy: { maxAttempts: 1 }, body: text(LONG), key: 'k' }),
    named('late', { due: { delayMs: 3_600_000 } }),
    { ...child, body: text(LONG) },
  ]
  for (let seq = 0; seq < 3; seq++) await q.send([child], { producer: { name: 'p', seq }, grouped: true, events: true })
  await q.send([named('numbered')], { producer: { name: 'p', seq: 3 }, grouped: true, events: true })
  await q.send(drafts, { grouped: true, events: true })
  await queues.awaitEnd(queue, 'own', Number.MAX_SAFE_INTEGER)
  await queues.bind(queue, 't', { epoch: 'e', offset: 0 })
  await queues.putSchedule(queue, 'daily', { spec: '', body: text(1), nextAt: 4e12, most: 9 })
  const [first] = (await q.claim('other', { max: 1 })).jobs
  await q.settle(first ?? { id: '', lease: '' }, { as: 'retry', error: 'no' })
  for (let last = 1; last > 0; ) {
    const { jobs } = await q.claim('w', { max: 3, groupRate: 1_000_000 })
    last = jobs.length
    await queues.progress(
      queue,
      jobs.map(({ id, lease }) => ({ id, lease, value: text(1), log: ['a line'] })),
      POLICY,
    )
    const endings = jobs.map(({ id, lease }): Settlement => {
      if (id === 'own') return { id, lease, as: 'retry', error: LONG }
      return { id, lease, as: 'done', reply: text(LONG) }
    })
    await queues.settle(queue, endings, POLICY)
  }
  await q.take('d', {}, `${queue}/dead`)
  await queues.purge(queue, { ids: ['late'] }, POLICY.keep)
  await queues.pause(queue, true)
  for (const client of ['w', 'other']) await q.detach(client, 'release')
  await queues.detach(`${queue}/dead`, { subject: 'ann', client: 'd' }, Number.MAX_SAFE_INTEGER, 'release', POLICY)
  expect(await queues.purge(`${queue}/dead`, { ids: ['own'] }, POLICY.keep)).toBe(1)
  await queues.bind(queue, 't', undefined)
  await queues.removeSchedule(queue, 'daily')
  for (let moved = await queues.life(queue, { limit: 1_000 }); (moved?.records.length ?? 0) > 0; ) {
    const { generation = '', seq = 0, records = [] } = moved ?? {}
    moved = await queues.life(queue, { limit: 1_000, generation, moved: seq + records.length - 1 })
  }
  expect(await q.books()).toMatchObject({ sent: 11, done: 9, removed: 2 })
}
