/** How a node's consumers work: through a store that was away, lapses, settlements, and until it closes, over a store whose answers the test gives. */

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { HeldJob } from '../../../server/store/contract/store.ts'
import { RepriseError } from '../../../shared/errors.ts'
import { heldJobs, turn } from '../../support/core/fakeQueues.ts'
import { done, type TestJobClient } from '../../support/core/jobOutlet.ts'
import { TestConsumers } from '../../support/core/testConsumers.ts'

const AWAY = new RepriseError('unavailable', 'the store is away')
const FORGOTTEN = new RepriseError('not_found', 'not known')
const FASTER = new RepriseError('conflict', 'another session began')

let node: TestConsumers

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'Date'] })
  node = new TestConsumers()
})

afterEach(async () => {
  await node.close()
  vi.useRealTimers()
})

const owner = ({ caller: { subject, client = '' } }: TestJobClient) => ({ subject, client })

describe('a store that was away', () => {
  /** It has these by its own knowledge, when a claim had no answer. */
  async function inDoubt(credit: number, jobs: readonly HeldJob[]) {
    const one = await node.add('one', credit, jobs)
    await node.fake.tell({ kind: 'work', at: 0 })
    await (await node.fake.claim()).refuse(AWAY)
    node.fake.isSlow = true
    return one
  }

  it('is asked for nothing before the consumer is heard of and attached anew; then both agree what it has', async () => {
    const [kept, lost, unseen] = heldJobs(3) as [HeldJob, HeldJob, HeldJob]
    const one = await inDoubt(4, [kept, lost])
    vi.advanceTimersByTime(2_000)
    await turn()
    expect([node.fake.attaches, node.fake.claims, one.outlet.asked]).toEqual([[], [], 1])
    one.outlet.heard()
    await (await node.fake.attach()).answer([kept, unseen])
    expect(one.outlet.gone).toEqual([lost.id])
    // What it never saw goes back, and leaves its place.
    const back = await node.fake.settle()
    expect(back.settlements).toEqual([{ id: unseen.id, lease: unseen.lease, as: 'release', inPlace: true }])
    expect(node.fake.claims).toEqual([])
    await back.answer({})
    expect((await node.fake.claim()).claim).toMatchObject({ session: 2, max: 2 })
    await (await node.fake.claim()).answer({})
    expect((await node.fake.claim()).claim.max).toBe(3)
  })

  it('attaches nobody before what else is under way for it was answered', async () => {
    const [a, b, c] = heldJobs(3) as [HeldJob, HeldJob, HeldJob]
    const one = await node.add('one', 3, [a, b])
    await node.fake.tell({ kind: 'work', at: 0 })
    const settling = node.core.settle('q', done([a]), one)
    const settled = await node.fake.settle()
    await (await node.fake.claim()).refuse(AWAY)
    node.fake.isSlow = true
    one.outlet.heard()
    await turn()
    expect(node.fake.attaches).toEqual([])
    await settled.answer({ claimed: { jobs: [c] } })
    await settling
    vi.advanceTimersByTime(500)
    await (await node.fake.attach()).answer([b, c])
    expect([one.outlet.taken, one.outlet.gone, node.fake.settles]).toEqual([[a, b, c], [], []])
  })

  it('lets nobody take a session back from a newer connection', async () => {
    const one = await inDoubt(1, [])
    one.outlet.heard()
    await (await node.fake.attach()).refuse(FASTER)
    expect([node.fake.attaches, node.fake.claims]).toEqual([[], []])
    await node.fake.tell({ kind: 'session', consumer: owner(one), session: 3, isDead: false })
    expect(one.outlet.ended).toEqual(['taken_over'])
  })

  it('and has forgotten a consumer has it again with its next claim', async () => {
    const one = await node.add('one', 1)
    await node.fake.tell({ kind: 'work', at: 0 })
    await (await node.fake.claim()).refuse(FORGOTTEN)
    one.outlet.heard()
    expect((await node.fake.claim()).claim).toMatchObject({ session: 2, max: 1 })
    expect(one.outlet.ended).toEqual([])
  })

  it('attaches nobody who went meanwhile', async () => {
    const one = await inDoubt(1, [])
    node.fake.isSlow = false
    node.core.leave(one, true)
    await turn()
    one.outlet.heard()
    await turn()
    expect([node.fake.attached.length, node.fake.claims]).toEqual([1, []])
  })
})

describe('a consumer that lets a lease lapse', () => {
  it('is given nothing of any queue until its connection is heard of', async () => {
    const [job] = heldJobs(1) as [HeldJob]
    const one = await node.add('one', 2, [job])
    await node.core.consume(one, 'r', { credit: 3 })
    await node.giveOut()
    const two = await node.add('two', 1)
    vi.setSystemTime(job.expiresAt)
    await node.fake.tell({ kind: 'lapsed', consumer: owner(one), ids: [job.id] })
    await node.giveOut()
    expect([one.outlet.gone, two.outlet.gone]).toEqual([[job.id], []])
    expect(node.happened).toEqual([
      { kind: 'consumerLost', queue: 'q', client: 'one', jobs: 1, reason: 'lease lapsed' },
    ])
    expect(await node.asked()).toEqual([['two', 1]])
    two.outlet.overfull = true
    one.outlet.heard()
    await turn()
    expect(node.fake.claims.map(({ queue, claim }) => [queue, claim.consumer.client, claim.max])).toEqual([
      ['q', 'one', 2],
      ['r', 'one', 3],
    ])
  })
})

describe('a settlement', () => {
  it('of a consumer here fills its place in the same call', async () => {
    const [a, b] = heldJobs(2) as [HeldJob, HeldJob]
    const one = await node.add('one', 1, [a])
    const settling = node.core.settle('q', done([a]), one)
    const { next, by, answer } = await node.fake.settle()
    expect([next?.max, by]).toEqual([1, owner(one)])
    await answer({ claimed: { jobs: [b] } })
    expect([await settling, one.outlet.taken]).toEqual([['ok'], [a, b]])
  })

  it('of somebody else frees the place all the same, by a call of its own', async () => {
    const jobs = heldJobs(1)
    const one = await node.add('one', 1, jobs)
    const settling = node.core.settle('q', done(jobs), undefined)
    const { next, by, answer } = await node.fake.settle()
    expect([next, by]).toEqual([undefined, undefined])
    await answer({})
    expect(await settling).toEqual(['ok'])
    expect((await node.fake.claim()).claim.consumer).toEqual(owner(one))
  })

  it('that extends keeps the consumer from being taken for silent', async () => {
    const [job] = heldJobs(1) as [HeldJob]
    const one = await node.add('one', 2, [job])
    const settling = node.core.settle('q', [{ id: job.id, lease: job.lease, as: 'extend', leaseMs: 60_000 }], one)
    await (await node.fake.settle()).answer({})
    await settling
    vi.setSystemTime(job.expiresAt)
    expect(await node.asked()).toEqual([['one', 1]])
  })
})

describe('a settlement that the store refuses', () => {
  // A process ends at what nobody takes.
  it.each(['extend', 'done'] as const)('as %s is told to who asked, and to nobody else', async (as) => {
    const unheard: unknown[] = []
    const hear = (error: unknown) => void unheard.push(error)
    process.on('unhandledRejection', hear)
    try {
      const [job] = heldJobs(1) as [HeldJob]
      const one = await node.add('one', 1, [job])
      const { id, lease } = job
      const settlement = as === 'extend' ? { id, lease, as, leaseMs: 60_000 } : { id, lease, as }
      const settling = node.core.settle('q', [settlement], one).catch((error: unknown) => error)
      await (await node.fake.settle()).refuse(AWAY)
      expect(await settling).toBe(AWAY)
      await turn()
      expect(unheard).toEqual([])
    } finally {
      process.off('unhandledRejection', hear)
    }
  })
})

describe('closing', () => {
  it('waits until those that left have left in the store, and a claim under way brings nobody anything', async () => {
    const one = await node.add('one', 1)
    await node.fake.tell({ kind: 'work', at: 0 })
    const { answer } = await node.fake.claim()
    node.fake.isSlow = true
    node.core.leave(one, true)
    let closed = false
    const closing = node.core.close().then(() => {
      closed = true
    })
    await turn()
    const [job] = heldJobs(1) as [HeldJob]
    await answer({ jobs: [job] })
    const back = await node.fake.settle()
    expect(back.settlements).toEqual([{ id: job.id, lease: job.lease, as: 'release', inPlace: true }])
    await back.answer({})
    expect([one.outlet.taken, closed]).toEqual([[], false])
    await node.fake.detaches[0]?.answer()
    await closing
    expect([await node.asked(), node.fake.watchers]).toEqual([[], 0])
  })
})
