/**
 * Work under everything that goes wrong: hubs and Redis are killed, consumers crash, hang, blink and leave, and come back
 * elsewhere. The books balance.
 */

import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { audit, balance, countsOf, drained } from '../../support/books/audit.ts'
import { type Numbered, Sender } from '../../support/clients/sender.ts'
import { Books, Worker } from '../../support/clients/worker.ts'
import { type HubProcess, spawnHub } from '../../support/hub/process.ts'
import { describeStores, lmdb, redis, type StoreKind } from '../../support/hub/stores.ts'
import { startRedis } from '../../support/redis/redis.ts'
import { type Random, runSeed, seededRandom } from '../../support/seed.ts'
import { tempFolder } from '../../support/temp.ts'
import { has, soak } from '../../support/tools.ts'

const ROUNDS = soak ? 60 : 2
const STEPS = 6
const WORKERS = 4
const TIMEOUT_MS = soak ? 3_600_000 : 90_000
const MAX_ATTEMPTS = 4
const LEASE_MS = 700
const GRACE_MS = 300

const SETTINGS = `queues:
  work: { maxAttempts: ${MAX_ATTEMPTS}, backoffMs: 5, maxBackoffMs: 50, reconnectGraceMs: ${GRACE_MS}, ttlMs: 1h }
`

/** How the hubs on `store` are started with the settings of the queue, each time at the port it had. */
async function starting(spawn: (options: { port?: number; args: string[] }) => Promise<HubProcess>) {
  const config = join(await tempFolder(), 'reprise.yaml')
  await writeFile(config, SETTINGS)
  return (port?: number) => spawn({ ...(port === undefined ? {} : { port }), args: ['--config', config] })
}

/** Rounds of work; `disturb` ends each of them. Workers and senders are at any of the hubs. */
async function work(urls: readonly string[], random: Random, disturb: () => Promise<void>): Promise<void> {
  const books = new Books(MAX_ATTEMPTS)
  const senders = ['s1', 's2'].map(
    (name, i) => new Sender(urls[i % urls.length] ?? '', 'work', name, (data) => draftOf(data, random), 'websocket'),
  )
  let born = 0
  const spawnWorker = (client = random.chance(0.7) ? `c${born}` : undefined) => {
    born += 1
    return new Worker(random.pick(urls), 'work', books, {
      name: `w${born}`,
      credit: random.integer(1, 12),
      leaseMs: LEASE_MS,
      reconnectGraceMs: GRACE_MS,
      transports: [random.chance(0.3) ? 'polling' : 'websocket'],
      random,
      ...(client === undefined ? {} : { client }),
    })
  }
  const workers = Array.from({ length: WORKERS }, () => spawnWorker())
  for (let round = 0; round < ROUNDS && books.faults.length === 0; round++) {
    for (let step = 0; step < STEPS; step++) {
      await sleep(random.integer(20, 250))
      const at = random.integer(0, workers.length - 1)
      const worker = workers[at]
      if (worker === undefined) continue
      const fate = random.next()
      if (fate < 0.5) worker.blink()
      else if (fate < 0.9) {
        worker.crash()
        // Some are started anew at once, under their old name and at any hub.
        workers[at] = spawnWorker(fate < 0.7 ? worker.client : undefined)
      } else {
        worker.leave()
        workers[at] = spawnWorker()
      }
      balance(await countsOf(random.pick(urls), 'work'))
    }
    await disturb()
  }
  await Promise.all(senders.map((sender) => sender.stop()))
  for (const worker of workers) worker.leave()
  const [url = ''] = urls
  const tame = new Worker(url, 'work', books, {
    name: 'tame',
    credit: 200,
    leaseMs: 10_000,
    reconnectGraceMs: GRACE_MS,
    random,
    tame: true,
  })
  await drained(url, 'work', tame, books)
  // How many there are is the machine's: some, or nothing was tried.
  expect(await audit(url, 'work', books, senders)).toBeGreaterThan(20)
}

function draftOf(data: Numbered, random: Random) {
  return {
    data,
    ...(random.chance(0.4) ? { key: `k${random.integer(0, 5)}` } : {}),
    ...(random.chance(0.3) ? { priority: random.integer(0, 9) } : {}),
    ...(random.chance(0.2) ? { delayMs: random.integer(0, 400) } : {}),
  }
}

// The short run has Redis under three hubs.
const kinds = soak ? [lmdb, redis] : [lmdb]

const oneHub = (store: StoreKind) => {
  it('is neither lost nor done twice, whoever dies', { timeout: TIMEOUT_MS }, async () => {
    const random = seededRandom(runSeed(`books on ${store.name}`))
    const place = await store.place()
    const start = await starting((options) => place.spawn(options))
    let hub = await start()
    const { port } = hub
    await work([hub.url], random, async () => {
      await hub.kill()
      hub = await start(port)
    })
  })
}

describeStores('work on $name', oneHub, kinds)

describe.runIf(has('redis-server'))('work on three hubs', () => {
  it('is neither lost nor done twice, whichever hub or Redis dies', { timeout: TIMEOUT_MS }, async () => {
    const random = seededRandom(runSeed('books on three hubs'))
    const server = await startRedis({ appendonly: 'yes', appendfsync: 'always' })
    const start = await starting((options) => spawnHub({ ...options, store: server.url }))
    const hubs = await Promise.all([start(), start(), start()])
    const urls = hubs.map(({ url }) => url)
    await work(urls, random, async () => {
      const at = random.integer(0, hubs.length - 1)
      const fate = random.next()
      if (fate < 0.7) await hubs[at]?.kill()
      if (fate > 0.4) await server.restart()
      if (fate < 0.7) hubs[at] = await start(hubs[at]?.port)
    })
  })
})
