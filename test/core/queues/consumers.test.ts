/** How consumers come to a node, are replaced, and go, over a store whose answers the test gives. */

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { HeldJob } from '../../../server/store/contract/store.ts'
import { RepriseError } from '../../../shared/errors.ts'
import { heldJobs, turn } from '../../support/core/fakeQueues.ts'
import { done, jobClient, type TestJobClient } from '../../support/core/jobOutlet.ts'
import { TestConsumers } from '../../support/core/testConsumers.ts'

const AWAY = new RepriseError('unavailable', 'the store is away')
const FASTER = new RepriseError('conflict', 'another session began')
const GONE = { code: 'unavailable', message: 'the connection is gone' }

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

describe('a consumer that comes', () => {
  it('is told what it holds, and takes what its credit leaves beside that', async () => {
    node.fake.isSlow = true
    const [a] = heldJobs(1) as [HeldJob]
    const client = jobClient('one')
    const consuming = node.core.consume(client, 'q', { credit: 3, leaseMs: 500 })
    await (await node.fake.attach()).answer([a])
    expect(await consuming).toMatchObject({ queue: 'q', credit: 3, leaseMs: 500, held: [{ id: a.id, lease: a.lease }] })
    expect((await node.fake.claim()).claim).toMatchObject({ session: 1, max: 2, leaseMs: 500 })
    expect([node.core.has('q', owner(client)), node.core.has('other', owner(client))]).toEqual([true, false])
  })

  it('changes its credit without a new session, unless it says what it holds', async () => {
    const [a, b] = heldJobs(2) as [HeldJob, HeldJob]
    const one = await node.add('one', 2, [a, b])
    const { held } = await node.core.consume(one, 'q', { credit: 5 })
    expect([held.map(({ id }) => id), node.fake.attached.length]).toEqual([[a.id, b.id], 1])
    expect(await node.asked()).toEqual([['one', 3]])
    await node.core.consume(one, 'q', { credit: 4, holding: [] })
    expect(node.fake.attached).toHaveLength(2)
    // The store says that it holds nothing.
    expect(await node.asked()).toEqual([['one', 4]])
  })

  it("has the lease time that it asked for last, and the queue's where it never did", async () => {
    const one = await node.add('one', 1)
    node.fake.settings = { ...node.fake.settings, leaseMs: 44 }
    expect(await node.core.consume(one, 'q', { credit: 1 })).toMatchObject({ leaseMs: 44 })
    await node.core.consume(one, 'q', { credit: 1, leaseMs: 55 })
    expect(await node.core.consume(one, 'q', { credit: 1 })).toMatchObject({ leaseMs: 55 })
  })

  it('is there or not as it said last, however fast it says so', async () => {
    const one = jobClient('one')
    const said = [node.core.consume(one, 'q', { credit: 1 }), node.core.cancel(one, 'q')]
    await Promise.all(said)
    expect([node.core.has('q', owner(one)), node.fake.watchers]).toEqual([false, 0])
  })

  it('is asked for again when the settings change', async () => {
    await node.add('one', 1)
    node.settingsChanged()
    expect((await node.fake.claim()).claim.max).toBe(1)
  })

  it('does not have a lease that was settled while its session was being begun', async () => {
    node.fake.isSlow = true
    const [a, b] = heldJobs(2) as [HeldJob, HeldJob]
    const client = jobClient('one')
    const consuming = node.core.consume(client, 'q', { credit: 2 })
    const { answer } = await node.fake.attach()
    const settling = node.core.settle('q', done([a]), client)
    await (await node.fake.settle()).answer({})
    await settling
    await answer([a, b])
    await consuming
    expect((await node.fake.claim()).claim.max).toBe(1)
  })

  it('is refused where its connection goes meanwhile, and leaves as the connection did', async () => {
    for (const [deliberate, leaving] of [
      [true, 'release'],
      [false, { graceMs: node.fake.settings.reconnectGraceMs }],
    ] as const) {
      node.fake.isSlow = true
      const client = jobClient('one')
      const consuming = node.core.consume(client, 'q', { credit: 1 })
      consuming.catch(() => {})
      const attaching = await node.fake.attach()
      node.core.leave(client, deliberate)
      node.fake.isSlow = false
      await attaching.answer([])
      await expect(consuming).rejects.toMatchObject(GONE)
      expect(node.fake.detached.splice(0)).toEqual([{ client: 'one', leaving }])
      expect(await node.asked()).toEqual([])
    }
  })

  it('begins no session for a connection that went while another session was faster', async () => {
    node.fake.isSlow = true
    const client = jobClient('one')
    const consuming = node.core.consume(client, 'q', { credit: 1 })
    consuming.catch(() => {})
    const attaching = await node.fake.attach()
    node.core.leave(client, false)
    await attaching.refuse(FASTER)
    await expect(consuming).rejects.toMatchObject(GONE)
    expect([node.fake.attached.length, node.fake.detached]).toEqual([1, []])
  })

  it('is refused where it cannot be attached, and may come again', async () => {
    node.fake.isSlow = true
    const client = jobClient('one')
    const consuming = node.core.consume(client, 'q', { credit: 1 })
    consuming.catch(() => {})
    await (await node.fake.attach()).refuse(AWAY)
    await expect(consuming).rejects.toBe(AWAY)
    expect([node.core.has('q', owner(client)), node.fake.watchers]).toEqual([false, 0])
    node.fake.isSlow = false
    await node.core.consume(client, 'q', { credit: 1 })
    expect(await node.asked()).toEqual([['one', 1]])
  })
})

describe('a newer consumer of the same client', () => {
  it('takes over: the older one is told, takes nothing more, and is not detached', async () => {
    const jobs = heldJobs(1)
    const older = await node.add('one', 2, jobs)
    const newer = await node.add('one', 5)
    expect([older.outlet.ended, newer.outlet.ended, node.fake.detached]).toEqual([['taken_over'], [], []])
    expect(older.outlet.wasLast).toBe(true)
    expect(node.happened).toEqual([{ kind: 'takeover', queue: 'q', client: 'one' }])
    expect(await node.asked()).toEqual([['one', 5]])
    // What it still settles asks for nothing in its place.
    void node.core.settle('q', done(jobs), older)
    expect((await node.fake.settle()).next).toBeUndefined()
    node.core.leave(older, true)
    await turn()
    expect(node.fake.detached).toEqual([])
  })

  it('takes over one queue, and leaves the others to the older one', async () => {
    const older = await node.add('one', 1)
    await node.core.consume(older, 'r', { credit: 1 })
    await node.add('one', 1)
    expect([older.outlet.ended, older.outlet.wasLast]).toEqual([['taken_over'], false])
    expect(node.core.has('r', owner(older))).toBe(true)
  })

  it('takes over from another node by word of its session, and only by that', async () => {
    const one = await node.add('one', 1)
    const told = { kind: 'session', consumer: owner(one) } as const
    await node.fake.tell({ ...told, session: 1, isDead: false })
    await node.fake.tell({ ...told, session: 2, isDead: true })
    await node.fake.tell({ ...told, consumer: { subject: 'anonymous', client: 'two' }, session: 2, isDead: false })
    expect(one.outlet.ended).toEqual([])
    await node.fake.tell({ ...told, session: 2, isDead: false })
    expect([one.outlet.ended, await node.asked(), node.fake.detached]).toEqual([['taken_over'], [], []])
  })

  it('is not taken for another by word of the session that it is beginning itself', async () => {
    const one = await node.add('one', 1)
    node.fake.isSlow = true
    const consuming = node.core.consume(one, 'q', { credit: 1, holding: [] })
    const { answer } = await node.fake.attach()
    await node.fake.tell({ kind: 'session', consumer: owner(one), session: 2, isDead: false })
    await answer([])
    await consuming
    expect(one.outlet.ended).toEqual([])
  })
})

describe('a consumer that goes', () => {
  it('has its jobs for the grace where the connection was lost, which is told', async () => {
    const one = await node.add('one', 2, heldJobs(2))
    node.fake.settings = { ...node.fake.settings, reconnectGraceMs: 77 }
    node.core.leave(one, false)
    await turn()
    expect(node.fake.detached).toEqual([{ client: 'one', leaving: { graceMs: 77 } }])
    expect(node.happened).toEqual([
      { kind: 'consumerLost', queue: 'q', client: 'one', jobs: 2, reason: 'connection lost' },
    ])
    expect(await node.asked()).toEqual([])
  })

  it('gives its jobs back at once where it says so', async () => {
    const one = await node.add('one', 1, heldJobs(1))
    node.core.leave(one, true)
    await turn()
    expect([node.fake.detached, node.happened]).toEqual([[{ client: 'one', leaving: 'release' }], []])
  })

  it('keeps them where the hub drains, which loses nobody', async () => {
    const one = await node.add('one', 1, heldJobs(1))
    node.draining.abort()
    node.core.leave(one, false)
    await turn()
    expect([node.fake.detached, node.happened]).toEqual([[{ client: 'one', leaving: 'keep' }], []])
  })

  it('leaves each of its queues, and what others share goes on', async () => {
    const one = await node.add('one', 1)
    await node.core.consume(one, 'r', { credit: 1 })
    await node.giveOut()
    await node.add('two', 1)
    node.core.leave(one, true)
    await turn()
    expect([node.fake.detached.length, node.fake.watchers]).toEqual([2, 1])
    expect(await node.asked()).toEqual([['two', 1]])
  })

  it('that cancels takes nothing more, and is told of leases that it loses', async () => {
    const [job] = heldJobs(1) as [HeldJob]
    const one = await node.add('one', 2, [job])
    await node.core.cancel(one, 'q')
    expect(node.fake.detached).toEqual([{ client: 'one', leaving: 'keep' }])
    expect([await node.asked(), node.core.has('q', owner(one))]).toEqual([[], true])
    vi.setSystemTime(job.expiresAt)
    await node.fake.tell({ kind: 'lapsed', consumer: owner(one), ids: [job.id] })
    expect(one.outlet.gone).toEqual([job.id])
    // Coming again is a new session.
    await node.core.consume(one, 'q', { credit: 1 })
    expect(node.fake.attached).toHaveLength(2)
  })

  it('that cancels with empty hands is gone', async () => {
    const one = await node.add('one', 1)
    await node.core.cancel(one, 'q')
    await node.core.cancel(one, 'q')
    expect([node.fake.detached.length, node.core.has('q', owner(one))]).toEqual([1, false])
  })
})
