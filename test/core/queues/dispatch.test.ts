/** The rules of delivery on one node, over a store whose answers the test gives. */

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Consumer } from '../../../server/core/queues/delivery/consumer.ts'
import { Dispatch } from '../../../server/core/queues/delivery/dispatch.ts'
import { Turns } from '../../../server/core/queues/delivery/sharing.ts'
import { Silence } from '../../../server/core/queues/delivery/silence.ts'
import { DEFAULT_QUEUE_SETTINGS } from '../../../server/core/queues/settings.ts'
import type { HeldJob } from '../../../server/store/contract/store.ts'
import { RepriseError } from '../../../shared/errors.ts'
import { FakeQueues, heldJobs, turn } from '../../support/core/fakeQueues.ts'
import { done, jobClient, type TestJobClient } from '../../support/core/jobOutlet.ts'
import { SILENT } from '../../support/core/silent.ts'
import { runSeed, seededRandom } from '../../support/seed.ts'

const AWAY = new RepriseError('unavailable', 'the store is away')
const TAKEN_OVER = new RepriseError('taken_over', 'a newer session')
const FORGOTTEN = new RepriseError('not_found', 'not known')

let fake: FakeQueues
let dispatch: Dispatch
let ended: string[]
let reattached: string[]
let failing: boolean

beforeEach(async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'Date'] })
  fake = new FakeQueues()
  ended = []
  reattached = []
  failing = false
  dispatch = new Dispatch('q', {
    store: fake.store,
    clock: {
      get now() {
        return Date.now()
      },
    },
    telemetry: SILENT,
    settings: () => fake.settings,
    turns: new Turns(),
    silence: new Silence(() => dispatch.kick()),
    reattach: async ({ owner }) => {
      reattached.push(owner.client)
      if (failing) throw AWAY
    },
    ended: (consumer, { code }) => {
      ended.push(code)
      consumer.over = true
      dispatch.remove(consumer)
    },
  })
  await dispatch.start()
})

afterEach(() => {
  dispatch.stop()
  vi.useRealTimers()
})

const pass = async (ms: number): Promise<void> => {
  vi.advanceTimersByTime(ms)
  await turn()
}

/** A consumer that is given these jobs at once. */
async function consumer(name: string, credit: number, jobs: readonly HeldJob[] = []) {
  const client = jobClient(name)
  const one = new Consumer(client, credit, 30_000)
  one.session = 1
  dispatch.add(one)
  await turn()
  for (const { claim, answer } of [...fake.claims]) await answer({ jobs: claim.consumer.client === name ? jobs : [] })
  return one
}

/** As the core does, who tells of the answers afterwards. */
async function settle(by: Consumer, jobs: readonly HeldJob[]) {
  const settlements = done(jobs)
  const { settled } = await dispatch.settle(by, settlements)
  for (const [i, one] of settlements.entries()) dispatch.settled(one, settled[i] ?? 'lost', by)
  return settled
}

const outletOf = ({ client }: Consumer) => (client as TestJobClient).outlet

describe('the place of a settlement', () => {
  it('is filled by the same call', async () => {
    const [a, b, c] = heldJobs(3) as [HeldJob, HeldJob, HeldJob]
    const one = await consumer('one', 2, [a, b])
    const settling = settle(one, [a])
    const { next, by, answer } = await fake.settle()
    expect([next?.max, next?.consumer, by]).toEqual([1, one.owner, one.owner])
    expect(fake.claims).toEqual([])
    await answer({ claimed: { jobs: [c] } })
    expect(await settling).toEqual(['ok'])
    expect(outletOf(one).taken).toEqual([a, b, c])
    expect([one.holds, one.free]).toEqual([2, 0])
    await turn()
    expect(fake.claims).toEqual([])
  })

  it('is free once, however often the same is settled', async () => {
    const [a, b] = heldJobs(2) as [HeldJob, HeldJob]
    const one = await consumer('one', 1, [a])
    const settling = [settle(one, [a]), settle(one, [a])]
    await turn()
    expect(fake.settles.map(({ next }) => next?.max)).toEqual([1, undefined])
    for (const { answer } of [...fake.settles]) await answer({ claimed: { jobs: [b] } })
    await Promise.all(settling)
    expect([one.holds, one.free, outletOf(one).taken.length]).toEqual([1, 0, 2])
  })

  it('is free also where the settlement is lost', async () => {
    const jobs = heldJobs(1)
    const one = await consumer('one', 1, jobs)
    const settling = settle(one, jobs)
    await (await fake.settle()).answer({ settled: ['lost'], claimed: { jobs: heldJobs(1) } })
    expect([await settling, one.holds]).toEqual([['lost'], 1])
  })

  it('is not asked for by extensions, nor for leases that it does not have', async () => {
    const jobs = heldJobs(1)
    const one = await consumer('one', 1, jobs)
    void dispatch.settle(one, [{ id: jobs[0]?.id ?? '', lease: jobs[0]?.lease ?? '', as: 'extend', leaseMs: 1_000 }])
    expect((await fake.settle()).next).toBeUndefined()
    await (await fake.settle()).answer({})
    void dispatch.settle(one, done(heldJobs(1)))
    expect((await fake.settle()).next).toBeUndefined()
  })

  it('goes with more jobs, where there are any: a round asks for what is still free', async () => {
    const [a, b] = heldJobs(2) as [HeldJob, HeldJob]
    const one = await consumer('one', 2, [a, b])
    void settle(one, [a, b])
    await (await fake.settle()).answer({ claimed: { jobs: heldJobs(1), waiting: 5 } })
    expect((await fake.claim()).claim.max).toBe(1)
  })

  it('stays taken where the store fails; then the consumer comes anew before it is given anything', async () => {
    const jobs = heldJobs(1)
    const one = await consumer('one', 1, jobs)
    const settling = settle(one, jobs)
    settling.catch(() => {})
    await (await fake.settle()).refuse(AWAY)
    await expect(settling).rejects.toBe(AWAY)
    expect([one.holds, one.free, one.doubtful]).toEqual([1, 0, true])
    const again = settle(one, jobs)
    expect((await fake.settle()).next).toBeUndefined()
    await (await fake.settle()).answer({})
    expect(await again).toEqual(['ok'])
    // Nothing before it was heard of.
    expect(fake.claims).toEqual([])
    outletOf(one).heard()
    expect((await fake.claim()).claim.max).toBe(1)
    expect(reattached).toEqual(['one'])
  })
})

describe('credit', () => {
  it('is never exceeded, and is used, whatever is under way', async () => {
    const random = seededRandom(runSeed('credit of a dispatch'))
    const credit = random.integer(1, 8)
    const one = await consumer('one', credit)
    let waiting = 300
    const take = (max: number): HeldJob[] => {
      const jobs = heldJobs(Math.min(max, waiting, random.integer(1, 4)))
      waiting -= jobs.length
      return jobs
    }
    const mine = new Set<HeldJob>()
    await fake.tell({ kind: 'work', at: 0 })
    for (let step = 0; waiting > 0; step++) {
      if (step > 5_000) throw new Error(`${waiting} jobs are never asked for`)
      for (const job of outletOf(one).taken.splice(0)) mine.add(job)
      expect(mine.size).toBeLessThanOrEqual(credit)
      const some = [...mine].slice(0, random.integer(1, 3))
      if (some.length > 0 && (random.chance(0.6) || fake.claims.length + fake.settles.length === 0)) {
        for (const job of some) mine.delete(job)
        void settle(one, some)
        await turn()
      }
      // In their order, as a store answers.
      const [settling] = fake.settles
      const [claiming] = fake.claims
      if (settling !== undefined && random.chance(0.5)) {
        const jobs = settling.next === undefined ? [] : take(settling.next.max)
        await settling.answer({ claimed: { jobs, waiting } })
      } else if (claiming !== undefined && random.chance(0.5)) {
        await claiming.answer({ jobs: take(claiming.claim.max), waiting })
      }
    }
  })

  it('is asked for by one round at a time, and by another where something came meanwhile', async () => {
    await consumer('one', 9)
    await fake.tell({ kind: 'work', at: 0 })
    const { answer } = await fake.claim()
    await fake.tell({ kind: 'work', at: 0 })
    expect(fake.claims).toHaveLength(1)
    await answer({ jobs: heldJobs(1) })
    expect((await fake.claim()).claim.max).toBe(8)
  })

  it('is asked for in halves where it is large and nobody else takes: one is filled while the other travels', async () => {
    const one = await consumer('one', 100)
    const jobs = heldJobs(100)
    await fake.tell({ kind: 'work', at: 0 })
    for (const half of [jobs.slice(0, 50), jobs.slice(50)]) {
      const { claim, answer } = await fake.claim()
      expect(claim.max).toBe(50)
      await answer({ jobs: half, waiting: 300 })
    }
    await consumer('two', 1, heldJobs(1))
    void settle(one, jobs)
    expect((await fake.settle()).next?.max).toBe(100)
  })

  it('of who has left meanwhile brings nothing: the jobs go back', async () => {
    const one = await consumer('one', 1)
    dispatch.kick()
    const { answer } = await fake.claim()
    one.over = true
    dispatch.remove(one)
    const [job] = heldJobs(1) as [HeldJob]
    await answer({ jobs: [job] })
    expect(outletOf(one).taken).toEqual([])
    expect((await fake.settle()).settlements).toEqual([{ id: job.id, lease: job.lease, as: 'release', inPlace: true }])
  })
})

describe('turns', () => {
  it('share what comes at once', async () => {
    for (const name of ['one', 'two', 'three']) await consumer(name, 100)
    dispatch.kick(30)
    await turn()
    expect(fake.claims.map(({ claim }) => claim.max)).toEqual([10, 10, 10])
  })

  it('are kept by settlements: who waits longer is given the job, by a call of its own', async () => {
    const jobs = heldJobs(1)
    const one = await consumer('one', 1)
    const two = await consumer('two', 1)
    dispatch.kick()
    await (await fake.claim()).answer({ jobs })
    void settle(one, jobs)
    expect((await fake.settle()).next).toBeUndefined()
    expect((await fake.claim()).claim.consumer).toEqual(two.owner)
  })

  it('come both where there is enough for both', async () => {
    const jobs = heldJobs(1)
    const one = await consumer('one', 2, jobs)
    const two = await consumer('two', 2)
    outletOf(one).overfull = outletOf(two).overfull = true
    dispatch.kick(4)
    await turn()
    outletOf(one).overfull = outletOf(two).overfull = false
    void settle(one, jobs)
    expect((await fake.settle()).next?.max).toBe(2)
    expect((await fake.claim()).claim).toMatchObject({ consumer: two.owner, max: 2 })
  })
})

describe('nothing is claimed', () => {
  const asksNothing = async (one: Consumer, jobs: readonly HeldJob[]): Promise<void> => {
    void settle(one, jobs)
    const { next, answer } = await fake.settle()
    expect(next).toBeUndefined()
    await answer({})
    expect(fake.claims).toEqual([])
  }

  it('for who let a lease lapse, until it is heard of', async () => {
    const [a, b] = heldJobs(2) as [HeldJob, HeldJob]
    const one = await consumer('one', 2, [{ ...a, expiresAt: Date.now() + 1_000 }, b])
    await pass(1_000)
    await fake.tell({ kind: 'lapsed', consumer: one.owner, ids: [a.id] })
    expect(outletOf(one).gone).toEqual([a.id])
    await asksNothing(one, [b])
    // There is nobody else: it is asked for a sign of life.
    expect(outletOf(one).asked).toBe(1)
    outletOf(one).heard()
    expect((await fake.claim()).claim.max).toBe(2)
  })

  it('for who does not take what it is sent', async () => {
    const jobs = heldJobs(1)
    const one = await consumer('one', 1, jobs)
    outletOf(one).overfull = true
    await asksNothing(one, jobs)
  })

  it('for who has begun a session that is not answered', async () => {
    const jobs = heldJobs(1)
    const one = await consumer('one', 1, jobs)
    one.attaching = 1
    await asksNothing(one, jobs)
  })

  it('before the rate allows it, and then at once', async () => {
    fake.settings = { ...DEFAULT_QUEUE_SETTINGS, rate: 10 }
    const one = await consumer('one', 2)
    dispatch.kick()
    const jobs = heldJobs(1)
    const { claim, answer } = await fake.claim()
    expect(claim.rate).toBe(10)
    await answer({ jobs, nextAt: Date.now() + 80 })
    await asksNothing(one, jobs)
    await pass(81)
    expect((await fake.claim()).claim.max).toBe(2)
  })

  it('for who was given nothing although something waits, until it has settled something', async () => {
    const [a, b] = heldJobs(2) as [HeldJob, HeldJob]
    const one = await consumer('one', 3, [a, b])
    dispatch.kick()
    await (await fake.claim()).answer({ jobs: [], waiting: 1 })
    await fake.tell({ kind: 'work', at: 0 })
    expect(fake.claims).toEqual([])
    void settle(one, [a])
    const { next, answer } = await fake.settle()
    expect(next?.max).toBe(2)
    await answer({ claimed: { jobs: [], waiting: 1 } })
    expect(fake.claims).toEqual([])
    void settle(one, [b])
    expect((await fake.settle()).next?.max).toBe(3)
  })
})

describe('a suspect', () => {
  it('makes the one that is done first take no more until its hands are empty, and then it is asked for', async () => {
    const [a, b, c, d] = heldJobs(4) as [HeldJob, HeldJob, HeldJob, HeldJob]
    const one = await consumer('one', 3, [a, b])
    const two = await consumer('two', 3, [c, d, ...heldJobs(1)])
    dispatch.kick()
    await (await fake.claim()).answer({ jobs: [], waiting: 1, suspects: 1 })
    void settle(one, [a])
    expect((await fake.settle()).next).toBeUndefined()
    await (await fake.settle()).answer({})
    void settle(two, [c])
    expect((await fake.settle()).next?.max).toBe(1)
    await (await fake.settle()).answer({ claimed: { waiting: 1, suspects: 1 } })
    void settle(one, [b])
    expect((await fake.settle()).next?.consumer).toEqual(one.owner)
  })
})

describe('a claim behind settlements that is refused', () => {
  it('ends the consumer that was taken over, whose settlements count', async () => {
    const jobs = heldJobs(1)
    const one = await consumer('one', 1, jobs)
    const settling = settle(one, jobs)
    await (await fake.settle()).answer({ claimed: TAKEN_OVER })
    expect([await settling, ended]).toEqual([['ok'], ['taken_over']])
    expect(fake.claims).toEqual([])
  })

  it('makes one that was forgotten attach anew before its next claim', async () => {
    const jobs = heldJobs(1)
    const one = await consumer('one', 1, jobs)
    const settling = settle(one, jobs)
    await (await fake.settle()).answer({ claimed: FORGOTTEN })
    expect([await settling, ended, one.doubtful]).toEqual([['ok'], [], true])
    outletOf(one).heard()
    expect((await fake.claim()).claim.max).toBe(1)
    expect([reattached, one.doubtful]).toEqual([['one'], false])
  })
})

describe('a store that fails', () => {
  it('is told to who waits for a round, and who was asked for gets nothing before it is heard of', async () => {
    const one = await consumer('one', 1)
    const round = dispatch.round()
    round.catch(() => {})
    await (await fake.claim()).refuse(AWAY)
    await expect(round).rejects.toBe(AWAY)
    await pass(500)
    expect(fake.claims).toEqual([])
    outletOf(one).heard()
    expect((await fake.claim()).claim.max).toBe(1)
  })

  it('makes a consumer silent again that could not be attached anew', async () => {
    const one = await consumer('one', 1)
    dispatch.kick()
    await (await fake.claim()).refuse(AWAY)
    failing = true
    outletOf(one).heard()
    await turn()
    failing = false
    await pass(500)
    expect([reattached, fake.claims]).toEqual([['one'], []])
    outletOf(one).heard()
    expect((await fake.claim()).claim.max).toBe(1)
    expect(reattached).toEqual(['one', 'one'])
  })
})
