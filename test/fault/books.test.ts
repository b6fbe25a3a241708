/** Work under everything that goes wrong: hubs are killed, consumers crash, hang, blink and leave. The books balance. */

import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { type Random, runSeed, seededRandom } from '../support/seed.ts'
import { describeStores } from '../support/stores.ts'
import { tempFolder } from '../support/temp.ts'
import { soak } from '../support/tools.ts'
import { until } from '../support/until.ts'
import { type Numbered, Sender } from './sender.ts'
import { Books, Worker } from './worker.ts'

const ROUNDS = soak ? 60 : 4
const TIMEOUT_MS = soak ? 3_600_000 : 90_000
const MAX_ATTEMPTS = 4
const LEASE_MS = 700

const SETTINGS = `queues:
  work: { maxAttempts: ${MAX_ATTEMPTS}, backoffMs: 5, maxBackoffMs: 50, reconnectGraceMs: 300, ttlMs: 1h }
`

interface Counts {
  readonly sent: number
  readonly ready: number
  readonly delayed: number
  readonly held: number
  readonly done: number
  readonly dead: number
  readonly removed: number
}

describeStores('work on $name', (store) => {
  it('is neither lost nor done twice, whoever dies', { timeout: TIMEOUT_MS }, async () => {
    const random = seededRandom(runSeed(`books on ${store.name}`))
    const config = join(await tempFolder(), 'reprise.yaml')
    await writeFile(config, SETTINGS)
    const place = await store.place()
    let hub = await place.spawn({ args: ['--config', config] })
    const { url, port } = hub
    const books = new Books(MAX_ATTEMPTS)
    const senders = ['s1', 's2'].map((name) => new Sender(url, 'work', name, (data) => draftOf(data, random)))
    let born = 0
    const spawnWorker = () => {
      born += 1
      const name = `w${born}`
      const client = random.chance(0.7) ? { client: name } : {}
      return new Worker(url, 'work', books, {
        name,
        credit: random.integer(1, 12),
        leaseMs: LEASE_MS,
        random,
        ...client,
      })
    }
    const workers = Array.from({ length: 4 }, spawnWorker)
    const left: Worker[] = []
    for (let round = 0; round < ROUNDS && books.faults.length === 0; round++) {
      for (let step = 0; step < 6; step++) {
        await sleep(random.integer(20, 250))
        const at = random.integer(0, workers.length - 1)
        const worker = workers[at]
        if (worker === undefined) continue
        const fate = random.next()
        if (fate < 0.5) worker.blink()
        else {
          if (fate < 0.8) worker.crash()
          else worker.leave()
          left.push(worker)
          workers[at] = spawnWorker()
        }
        if (hubIsUp()) balance(await countsOf(url, 'work'))
      }
      await hub.kill()
      hub = await place.spawn({ port, args: ['--config', config] })
    }
    await Promise.all(senders.map((sender) => sender.stop()))
    for (const worker of workers) worker.leave()
    const tame = new Worker(url, 'work', books, { name: 'tame', credit: 200, leaseMs: 10_000, random, tame: true })
    let counted: Counts | undefined
    await until(
      async () => {
        counted = await countsOf(url, 'work')
        const { ready, delayed, held } = counted
        return ready + delayed + held === 0 && tame.idle
      },
      {
        what: 'the queue to be empty',
        deadlineMs: 30_000,
        everyMs: 50,
        seen: () => [counted, tame.idle, tame.errors.slice(-3), books.faults],
      },
    )
    expect(books.faults).toEqual([])
    const counts = await countsOf(url, 'work')
    balance(counts)
    const ids = new Set(senders.flatMap((sender) => [...sender.ids]))
    expect(counts.sent).toBe(ids.size)
    const dead = await deadOf(url, 'work')
    expect(dead.size).toBe(counts.dead)
    expect(counts.removed).toBe(0)
    // A worker that died may not have heard that its settlement was taken.
    expect(counts.done).toBeGreaterThanOrEqual(books.done.size)
    expect(counts.done + counts.dead).toBe(ids.size)
    for (const id of books.done.keys()) {
      expect(ids.has(id), id).toBe(true)
      expect(dead.has(id), id).toBe(false)
    }
    expect(ids.size).toBeGreaterThan(100)

    function hubIsUp(): boolean {
      return hub.process.exitCode === null
    }
  })
})

function draftOf(data: Numbered, random: Random) {
  return {
    data,
    ...(random.chance(0.4) ? { key: `k${random.integer(0, 5)}` } : {}),
    ...(random.chance(0.3) ? { priority: random.integer(0, 9) } : {}),
    ...(random.chance(0.2) ? { delayMs: random.integer(0, 400) } : {}),
  }
}

function balance({ sent, ready, delayed, held, done, dead, removed }: Counts): void {
  expect(ready + delayed + held + done + dead + removed).toBe(sent)
}

async function countsOf(url: string, queue: string): Promise<Counts> {
  const response = await fetch(`${url}/v1/queues/${queue}`)
  if (response.status === 404) return { sent: 0, ready: 0, delayed: 0, held: 0, done: 0, dead: 0, removed: 0 }
  return ((await response.json()) as { counts: Counts }).counts
}

async function deadOf(url: string, queue: string): Promise<Set<string>> {
  const ids = new Set<string>()
  for (let after = ''; ; ) {
    const response = await fetch(`${url}/v1/queues/${queue}/dead/jobs?state=ready&limit=500${after}`)
    const { jobs, next } = (await response.json()) as { jobs: { id: string }[]; next?: string }
    for (const { id } of jobs) ids.add(id)
    if (next === undefined) return ids
    after = `&after=${encodeURIComponent(next)}`
  }
}
