import { describe, expect, it, vi } from 'vitest'
import { Warnings } from '../../../client/connection/warnings.ts'
import { RepriseError, release, retry } from '../../../client/index.ts'
import { QueueWorker } from '../../../client/queues/working/worker.ts'
import { DEFAULT_LIMITS } from '../../../shared/protocol.ts'
import type { ConsumeOptions, Settlement } from '../../../shared/queues.ts'
import { StrictQueue } from '../../support/sdk/strictQueue.ts'
import { stopTime } from '../../support/sdk/workerDesk.ts'
import { type Random, runSeed, seededRandom } from '../../support/seed.ts'

const ROUNDS = process.env.REPRISE_SOAK === '1' ? 5_000 : 150
const LEASE_MS = 3_000
const REFUSALS = ['unavailable', 'too_many', 'timeout', 'internal'] as const

describe('a worker in bad weather', () => {
  const seed = runSeed('a worker in bad weather')

  it('runs each lease at most once, settles it once, never more at a time than it may, and finishes everything', async () => {
    stopTime()
    const unhandled: unknown[] = []
    const note = (reason: unknown) => unhandled.push(reason)
    process.on('unhandledRejection', note)
    try {
      for (let round = 0; round < ROUNDS; round++) await oneRound(seededRandom(seed + round), seed + round)
    } finally {
      process.off('unhandledRejection', note)
    }
    expect(unhandled).toEqual([])
  })
})

async function oneRound(random: Random, seed: number): Promise<void> {
  const where = `REPRISE_SEED=${seed}`
  const concurrency = random.integer(1, 8)
  const count = random.integer(1, 40)
  const queue = new StrictQueue(LEASE_MS)
  const outstanding = new Set<(error: RepriseError) => void>()
  let connected = false
  let stormy = true
  const later = (ms: number, then: () => void) => void setTimeout(then, ms)

  // Packets of the hub stay in their order; one connection's never come by another.
  let connection = 0
  let arrival = 0
  const deliver = (then: () => void) => {
    const mine = connection
    arrival = Math.max(arrival, performance.now() + random.integer(0, stormy ? 300 : 5))
    later(arrival - performance.now(), () => {
      if (connected && mine === connection) then()
    })
  }
  const cut = () => {
    if (!connected) return
    connected = false
    connection++
    for (const reject of outstanding) reject(new RepriseError('unavailable', 'the connection was lost'))
    outstanding.clear()
    worker.lost(new RepriseError('unavailable', 'the connection was lost'))
    queue.gone()
    later(random.integer(1, random.chance(0.1) ? 8_000 : 500), () => {
      connected = true
      arrival = 0
      worker.joined()
    })
  }
  const pump = () => {
    const jobs = queue.claim()
    if (jobs.length === 0) return
    deliver(() => worker.jobs(jobs))
    if (random.chance(0.2)) deliver(() => worker.jobs(jobs))
  }
  const answer = (name: string, args: readonly unknown[]): unknown => {
    switch (name) {
      case 'consume': {
        const options = args[1] as ConsumeOptions
        const held = queue.consume(options)
        return { queue: 'q', credit: options.credit, leaseMs: LEASE_MS, limits: { ...DEFAULT_LIMITS, batch: 5 }, held }
      }
      case 'settle':
        return queue.settle(args[1] as Settlement[])
      default:
        queue.cancel()
        return null
    }
  }
  const call = (name: string, args: readonly unknown[]) =>
    new Promise<never>((resolve, reject) => {
      outstanding.add(reject)
      const done = (then: () => void) => {
        if (outstanding.delete(reject)) then()
      }
      const mine = connection
      later(stormy ? random.integer(0, 200) : 1, () => {
        if (mine !== connection) return
        if (stormy && random.chance(0.05)) return cut()
        if (stormy && random.chance(0.1)) {
          // Of these nobody knows whether they were done.
          const code = random.pick(REFUSALS)
          if (code !== 'too_many' && random.chance(0.5)) answer(name, args)
          return deliver(() => done(() => reject(new RepriseError(code, 'by chance', { retryAfterMs: 0 }))))
        }
        const value = answer(name, args)
        // The reply is lost with the connection.
        if (stormy && random.chance(0.05)) return cut()
        deliver(() => done(() => resolve(value as never)))
        pump()
      })
    })

  const runs = new Map<string, number>()
  let running = 0
  let most = 0
  const worker = new QueueWorker<unknown>(
    async (job) => {
      runs.set(job.lease, (runs.get(job.lease) ?? 0) + 1)
      running++
      most = Math.max(most, running)
      let inTime = true
      job.signal.addEventListener('abort', () => {
        if (inTime) running--
        inTime = false
      })
      await new Promise<void>((resolve) => later(random.integer(0, random.chance(0.05) ? 9_000 : 100), resolve))
      if (inTime) running--
      inTime = false
      if (!stormy) return
      const fate = random.next()
      if (fate < 0.1) throw new Error('by chance')
      if (fate < 0.2) return retry(random.integer(0, 50))
      return fate < 0.3 ? release() : 'done'
    },
    { concurrency },
    {
      queue: 'q',
      drainMs: 20_000,
      get connected() {
        return connected
      },
      call: (name, ...args) =>
        connected ? call(name, args) : Promise.reject(new RepriseError('unavailable', 'not connected')),
      warnings: new Warnings(true),
      detach: () => {},
    },
  )
  for (let i = 0; i < count; i++) {
    queue.send(String(i), random.chance(0.3) ? random.pick([1_500, 5_000]) : undefined)
  }
  connected = true
  worker.joined()

  const tick = async () => {
    await vi.advanceTimersByTimeAsync(100)
    queue.lapse((ids) => deliver(() => worker.lostJobs(ids)))
    if (connected) pump()
    if (stormy && random.chance(0.03)) cut()
  }
  for (let i = 0; i < random.integer(10, 100); i++) await tick()
  stormy = false
  for (let i = 0; queue.left > 0 && i < 1_000; i++) await tick()

  expect(queue.left, `${where}: jobs are left after a calm minute`).toBe(0)
  expect(queue.faults, where).toEqual([])
  expect(Math.max(...runs.values()), `${where}: runs under one lease`).toBe(1)
  expect(most, `${where}: handlers at a time`).toBeLessThanOrEqual(concurrency)
  let closed = false
  void worker.close().then(() => {
    closed = true
  })
  for (let i = 0; !closed && i < 300; i++) await tick()
  expect(closed, `${where}: closed`).toBe(true)
  expect(worker.running, where).toBe(0)
  await vi.advanceTimersByTimeAsync(60_000)
  expect(vi.getTimerCount(), `${where}: timers that are left`).toBe(0)
}
