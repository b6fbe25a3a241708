import { describe, expect, it } from 'vitest'
import type { HeldJob } from '../../../client/index.ts'
import { DEFAULT_LIMITS } from '../../../shared/protocol.ts'
import type { Settlement } from '../../../shared/queues.ts'
import { desk, jobOf, kept, pass, working } from '../../support/sdk/workerDesk.ts'

const never = () => new Promise<void>(() => {})

async function renewing(jobs: readonly string[], concurrency = 1) {
  const { at, ...more } = await working(jobs, concurrency)
  const renewals = async () => {
    const settlements = await at.settle()
    for (const one of settlements) expect(one.as).toBe('extend')
    return settlements.map(({ id }) => id)
  }
  return { ...more, at, renewals }
}

describe('renewal', () => {
  it('comes at a third of the lease, and again and again', async () => {
    const { waiting, renewals, call } = await renewing(['1'])
    for (let i = 0; i < 20; i++) {
      await pass(9_900)
      expect(await waiting()).toEqual([])
      await pass(100)
      expect(await renewals()).toEqual(['1'])
    }
    expect(call('1').signal.aborted).toBe(false)
  })

  it('asks for the lease that was asked for', async () => {
    const at = desk(never, { leaseMs: 3_000 })
    expect(await at.start()).toMatchObject({ leaseMs: 3_000 })
    await at.jobs('1')
    await pass(1_000)
    expect(await at.settle()).toEqual([{ id: '1', lease: 'lease of 1', as: 'extend', leaseMs: 3_000 }])
  })

  it('follows the lease that the hub names', async () => {
    const at = desk(never)
    await at.start({ leaseMs: 600 })
    await at.jobs('1')
    await pass(200)
    expect(await at.settle()).toMatchObject([{ as: 'extend', leaseMs: 600 }])
  })

  it('follows another lease after a reconnection, for what is held', async () => {
    const { at, cut, waiting } = await working(['1'])
    await cut()
    await at.start({ leaseMs: 900, held: [kept('1')] })
    await pass(300)
    expect(await waiting()).toEqual(['settle'])
  })

  it('follows the lease that the hub names in answer to a credit', async () => {
    const { jobs, consuming, worker, waiting } = await working([], 1)
    worker.lostJobs([])
    await consuming({ leaseMs: 600 })
    await jobs('1')
    await pass(200)
    expect(await waiting()).toEqual(['settle'])
  })

  it('keeps what waits for its handler, too', async () => {
    const { renewals } = await renewing(['1', '2', '3'])
    await pass(10_000)
    expect(await renewals()).toEqual(['1', '2', '3'])
  })

  it('takes leases together that are near each other', async () => {
    const { jobs, renewals, waiting } = await renewing(['1'])
    await pass(2_000)
    await jobs('2')
    await pass(8_000)
    expect(await renewals()).toEqual(['1', '2'])
    await pass(9_000)
    expect(await waiting()).toEqual([])
  })

  it('stops with the settlement', async () => {
    const { call, settle, waiting } = await working(['1'])
    call('1').finish()
    expect(await settle()).toMatchObject([{ as: 'done' }])
    await pass(100_000)
    expect(await waiting()).toEqual([])
  })

  it('stops when a settlement is only on its way', async () => {
    const { call, next, waiting } = await working(['1'])
    call('1').finish()
    await next('settle')
    await pass(100_000)
    expect(await waiting()).toEqual([])
  })

  it('that the hub answers with lost ends the job, with a reason', async () => {
    const { settle, call, failures, worker } = await working(['1'])
    await pass(10_000)
    await settle(['lost'])
    expect(call('1').signal.reason).toMatchObject({ code: 'conflict', message: expect.stringContaining('lost') })
    expect(failures).toMatchObject([{ what: 'lost', id: '1' }])
    expect(worker.running).toBe(0)
  })

  it('that is never answered lets the lease run out, with a reason, not sooner', async () => {
    const { next, call, failures } = await working(['1'])
    await pass(10_000)
    await next('settle')
    await pass(19_900)
    expect(call('1').signal.aborted).toBe(false)
    await pass(200)
    expect(call('1').signal.reason).toMatchObject({ code: 'timeout', message: 'the lease has run out' })
    expect(failures).toMatchObject([{ what: 'lost', error: { code: 'timeout' } }])
  })

  it('that is refused for good lets the lease run out', async () => {
    const { next, call, waiting } = await working(['1'])
    await pass(10_000)
    ;(await next('settle')).refuse('forbidden')
    await pass(19_900)
    expect(await waiting()).toEqual([])
    expect(call('1').signal.aborted).toBe(false)
    await pass(200)
    expect(call('1').signal.aborted).toBe(true)
  })

  it('that is refused for now is sent again before the lease ends', async () => {
    const { next, renewals, call } = await renewing(['1'])
    await pass(10_000)
    ;(await next('settle')).refuse('unavailable')
    await pass(1_000)
    expect(await renewals()).toEqual(['1'])
    await pass(29_000)
    expect(call('1').signal.aborted).toBe(false)
  })

  it('ends where the hub allows no more: the lease lapses there, and the signal fires', async () => {
    const { renewals, worker, call, waiting, failures } = await renewing(['1'])
    await pass(10_000)
    await renewals()
    worker.lostJobs(['1'])
    expect(call('1').signal.reason).toMatchObject({ code: 'conflict' })
    expect(failures).toHaveLength(1)
    await pass(100_000)
    expect(await waiting()).toEqual(['consume'])
  })

  it('counts from when it was asked for, not from its answer', async () => {
    const { next, call } = await working(['1'])
    await pass(10_000)
    const renewal = await next('settle')
    await pass(9_000)
    renewal.reply(['ok'])
    await pass(900)
    expect(await next('settle').catch(() => undefined)).toBeUndefined()
    await pass(200)
    await next('settle')
    await pass(19_900)
    expect(call('1').signal.aborted).toBe(true)
  })
})

describe('job.extend', () => {
  async function extending() {
    let job: HeldJob | undefined
    const at = desk((one) => {
      job = one
      return never()
    })
    await at.start()
    await at.jobs('1')
    const extend = (leaseMs?: number) => (job as HeldJob).extend(leaseMs)
    return { ...at, at, extend }
  }

  it('renews at once, and renewals go on with the new time', async () => {
    const { settle, extend, waiting } = await extending()
    const extended = extend(90_000)
    expect(await settle()).toEqual([{ id: '1', lease: 'lease of 1', as: 'extend', leaseMs: 90_000 }])
    expect(await extended).toBe(true)
    await pass(29_900)
    expect(await waiting()).toEqual([])
    await pass(200)
    expect(await settle()).toMatchObject([{ leaseMs: 90_000 }])
  })

  it('is forgotten by the hub with the connection: the renewal after that comes in time, and asks for the same', async () => {
    const { at, settle, extend } = await extending()
    void extend(90_000)
    await settle()
    await at.cut()
    await at.start({ held: [kept('1')] })
    await pass(10_000)
    expect(await settle()).toMatchObject([{ as: 'extend', leaseMs: 90_000 }])
  })

  it('resolves with false when the lease is gone', async () => {
    const { settle, extend } = await extending()
    const extended = extend()
    await settle(['lost'])
    expect(await extended).toBe(false)
    expect(await extend()).toBe(false)
  })

  it('rejects with what the hub refuses, and the lease goes on as it was', async () => {
    const { next, extend, settle } = await extending()
    await pass(3_000)
    const extended = extend(10).catch((error) => error)
    ;(await next('settle')).refuse('bad_request')
    expect(await extended).toMatchObject({ code: 'bad_request' })
    for (const wrong of [0, -1, Number.NaN])
      expect(await extend(wrong).catch((e) => e)).toMatchObject({ code: 'bad_request' })
    await pass(7_000)
    expect(await settle()).toMatchObject([{ as: 'extend', leaseMs: 30_000 }])
  })

  it('rejects when the worker ends before the answer', async () => {
    const { at, extend, worker } = await extending()
    await at.cut()
    const extended = extend().catch((error) => error)
    void worker.close()
    await pass(10_000)
    expect(await extended).toMatchObject({ code: 'unavailable' })
  })
})

describe('a lost lease', () => {
  it('fires the signal, and what the handler throws then is not told to the hub', async () => {
    const { worker, call, waiting, failures } = await working(['1'])
    worker.lostJobs(['1'])
    expect(call('1').signal.aborted).toBe(true)
    call('1').fail(call('1').signal.reason)
    await pass(1_000)
    expect(await waiting()).toEqual(['consume'])
    expect(failures.map(({ what }) => what)).toEqual(['lost'])
  })

  it('a result is still worth telling: nobody else may have the job yet', async () => {
    const { worker, call, settle } = await working(['1'])
    worker.lostJobs(['1'])
    call('1').finish()
    expect(await settle()).toMatchObject([{ id: '1', as: 'done' }])
  })

  it('of a job that waits: its handler is never called', async () => {
    const { worker, call, begun, jobs } = await working(['1', '2', '3'])
    worker.lostJobs(['2', 'unknown'])
    call('1').finish()
    await pass()
    expect(begun).toEqual(['1', '3'])
    // The same job again, under another lease.
    call('3').finish()
    await jobs(jobOf('2', { lease: 'another' }))
    expect(begun).toEqual(['1', '3', '2'])
  })

  it('a signal that is asked for later has fired already, with the reason', async () => {
    let job: HeldJob | undefined
    const at = desk((one) => {
      job = one
      return never()
    })
    await at.start()
    await at.jobs('1')
    await pass(10_000)
    await at.next('settle')
    await pass(25_000)
    expect(job?.signal.reason).toMatchObject({ code: 'timeout' })
  })
})

describe('a lost connection', () => {
  it('keeps jobs: the hub hears what is still held, and handlers do not notice', async () => {
    const { at, cut, call, begun, statuses } = await working(['1', '2'], 1)
    await cut()
    expect(statuses.at(-1)).toMatchObject({ state: 'offline', reason: { code: 'unavailable' } })
    const asked = await at.start({ held: [kept('1'), kept('2')] })
    expect(asked.holding).toEqual(['lease of 1', 'lease of 2'])
    expect(statuses.at(-1)).toEqual({ state: 'working' })
    call('1').finish()
    expect(await at.settle()).toMatchObject([{ id: '1', as: 'done' }])
    expect(begun).toEqual(['1', '2'])
    expect(call('2').signal.aborted).toBe(false)
  })

  it('handlers go on meanwhile, and what waits is begun', async () => {
    const { cut, call, begun } = await working(['1', '2'])
    await cut()
    call('1').finish()
    await pass()
    expect(begun).toEqual(['1', '2'])
  })

  it('what was settled meanwhile is told after the return, behind the consume that names its lease', async () => {
    const { at, cut, call, waiting } = await working(['1'])
    await cut()
    call('1').finish()
    await pass(5_000)
    expect(await waiting()).toEqual([])
    at.join()
    expect(await waiting()).toEqual(['consume', 'settle'])
    expect((await at.consuming({ held: [kept('1')] })).holding).toEqual(['lease of 1'])
    expect(await at.settle()).toMatchObject([{ id: '1', as: 'done' }])
    expect(at.failures).toEqual([])
  })

  it('what was settled and not answered is told again, the same', async () => {
    const { at, cut, call, next } = await working(['1', '2'], 2)
    call('1').finish()
    const first = (await next('settle')).args[1]
    await cut()
    at.join()
    expect((await next('settle')).args[1]).toEqual(first)
    await cut()
    call('2').finish()
    await pass()
    at.join()
    expect(await at.settle()).toMatchObject([{ id: '1' }, { id: '2' }])
  })

  it('what is settled needs no renewal any more when the connection is back', async () => {
    const { at, cut, call, next } = await working(['1'])
    await pass(10_000)
    await next('settle')
    call('1').finish()
    await pass()
    await cut()
    at.join()
    expect(await at.settle()).toMatchObject([{ as: 'done' }])
    expect((await at.waiting()).filter((name) => name === 'settle')).toEqual([])
  })

  it('what the hub has given to another is lost: the signal fires', async () => {
    const { at, cut, call, failures } = await working(['1', '2'], 2)
    await cut()
    await at.start({ held: [kept('2')] })
    expect(call('1').signal.aborted).toBe(true)
    expect(call('2').signal.aborted).toBe(false)
    expect(failures).toMatchObject([{ id: '1', what: 'lost' }])
  })

  it('that lasts longer than a lease: the signal fires when it has run out', async () => {
    const { at, cut, call } = await working(['1'])
    await cut()
    await pass(29_900)
    expect(call('1').signal.aborted).toBe(false)
    await pass(200)
    expect(call('1').signal.aborted).toBe(true)
    expect((await at.start()).holding).toEqual([])
  })

  it('a consume whose answer was lost is asked again', async () => {
    const { at, cut } = await working(['1'])
    await cut()
    at.join()
    await at.next('consume')
    await cut()
    expect((await at.start({ held: [kept('1')] })).holding).toEqual(['lease of 1'])
  })
})

describe('limits', () => {
  it('one consume names at most 10,000 leases', async () => {
    const at = desk(never, { concurrency: 10_000 })
    await at.start({ limits: DEFAULT_LIMITS })
    await at.jobs(...Array.from({ length: 10_005 }, (_, i) => String(i)))
    await at.cut()
    at.join()
    const asked = (await at.next('consume')).args[1] as { credit: number; holding: string[] }
    expect(asked.credit).toBe(10_000)
    expect(asked.holding).toHaveLength(10_000)
  })

  it('thousands of renewals go in packets that the hub takes', async () => {
    const at = desk(never, { concurrency: 2_500 })
    await at.start({ limits: { ...DEFAULT_LIMITS, batch: 600 } })
    await at.jobs(...Array.from({ length: 2_500 }, (_, i) => String(i)))
    await pass(10_000)
    const got: Settlement[] = []
    while (got.length < 2_500) {
      const packet = await at.settle()
      expect(packet.length).toBeLessThanOrEqual(600)
      got.push(...packet)
    }
    expect(new Set(got.map(({ id }) => id)).size).toBe(2_500)
  })
})
