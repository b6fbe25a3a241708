/** What is peculiar to queues in the LMDB store: what it keeps in memory between commits, and what it leaves behind. */

import { open as openLmdb } from 'lmdb'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Leaving, QueuePolicy, Settlement, Store, StoredJobDraft } from '../../../server/store/contract/store.ts'
import { TABLES } from '../../../server/store/lmdb/engine/tables.ts'
import { MEMORY } from '../../support/temp.ts'
import { soak } from '../../support/tools.ts'
import { infoOf, jobOf, maintain, remove } from '../conformance/calls.ts'
import { type LmdbEngine, lmdbEngine, publish, START, text } from '../conformance/fixture.ts'
import { useQueue } from '../usedQueue.ts'

const POLICY: QueuePolicy = { maxAttempts: 3, backoffMs: [1_000, 5_000], deadMs: 60_000 }
const LIMIT = { jobs: 1_000_000, bytes: 1e9 }
const BINARY = { encoding: 'binary', keyEncoding: 'binary' } as const

function draft(data: unknown, options: Partial<StoredJobDraft> = {}): StoredJobDraft {
  return { body: text(data), priority: 4, ttlMs: 600_000, ...options }
}

/** Numbers that look random and are the same for a seed. */
function randomOf(seed: number): (below: number) => number {
  let state = seed >>> 0
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

describe('queues in the LMDB store', () => {
  let engine: LmdbEngine

  beforeEach(async () => {
    engine = await lmdbEngine(MEMORY)
  })

  afterEach(async () => {
    await engine.destroy()
  })

  /** One step of a random history; answers all that can be seen of it. */
  type Step = (store: Store) => Promise<unknown>

  function history(seed: number, steps: number): Step[] {
    const random = randomOf(seed)
    const held: { id: string; lease: string }[] = []
    const sessions = new Map<string, number>()
    const pick = <T>(...items: readonly T[]): T => items[random(items.length)] as T
    const ids: string[] = []
    const made: Step[] = []
    for (let i = 0; i < steps; i++) {
      const queue = pick('q', 'q', 'q', 'q/dead')
      const holder = { subject: 'ann', client: pick('a', 'b') }
      const kind = random(20)
      const count = pick(1, 2, 5, 70)
      const many = Array.from({ length: count }, () => {
        const options: Partial<StoredJobDraft> = {
          priority: pick(4, 4, 0, 9),
          ttlMs: pick(600_000, 2_000, 10_000),
          ...(random(3) === 0 && { key: pick('k', 'l') }),
          ...(random(4) === 0 && { due: { delayMs: pick(0, 500, 3_000) } }),
          ...(random(6) === 0 && { id: pick('x', 'y', 'z') }),
          ...(random(6) === 0 && { replyMs: pick(1_000, 400_000) }),
        }
        return draft(random(1_000), options)
      })
      const outcome = pick('done', 'done', 'retry', 'release', 'dead', 'extend')
      const max = pick(1, 3, 40)
      const part = random(8)
      const before = random(5_000)
      const each = `${holder.client}${queue}`
      if (kind < 4) {
        made.push(async (store) => {
          const enqueued = await store.queues.enqueue('q', { subject: 'ann', drafts: many, limit: LIMIT })
          ids.push(...enqueued.ids)
          return enqueued
        })
      } else if (kind < 10) {
        made.push(async (store) => {
          const session = sessions.get(each) ?? 0
          const rate = part === 0 ? { rate: 20 } : {}
          const common = { leaseMs: 2_000, capMs: 5_000, policy: POLICY }
          const claimed = await store.queues.claim(queue, {
            consumer: holder,
            session,
            max,
            bytes: 400,
            ...rate,
            ...common,
          })
          for (const { id, lease } of claimed.jobs) held.push({ id, lease })
          return claimed
        })
      } else if (kind < 14) {
        made.push((store) => {
          const settlements = held.splice(0, part + 1).map(({ id, lease }): Settlement => {
            if (outcome === 'extend') return { id, lease, as: 'extend', leaseMs: 3_000 }
            if (outcome === 'done') return { id, lease, as: 'done', reply: text('answer') }
            return { id, lease, as: outcome }
          })
          if (outcome === 'extend' || outcome === 'retry') held.push(...settlements)
          return store.queues.settle(queue, settlements, POLICY)
        })
      } else if (kind === 14) {
        made.push(async (store) => {
          const holding = part < 4 ? {} : { holding: held.slice(0, 2).map(({ lease }) => lease) }
          const attached = await store.queues.attach(queue, holder, { leaseMs: 2_000, policy: POLICY, ...holding })
          sessions.set(each, attached.session)
          return attached
        })
      } else if (kind === 15) {
        const leaving = pick<Leaving>('keep', 'release', { graceMs: 700 })
        made.push((store) => store.queues.detach(queue, holder, sessions.get(each) ?? 0, leaving, POLICY))
      } else if (kind === 16) {
        made.push((store) => store.queues.redrive('q', ['x', ...ids.slice(0, 2), ids[part] ?? 'y'], { ttlMs: 9_000 }))
      } else if (kind === 17) {
        const id = pick('x', 'y', undefined)
        made.push((store) => remove(store.queues, queue, id ?? ids[part] ?? 'x'))
      } else if (kind === 18) {
        made.push((store) => store.queues.purge(queue, { before: START + before, limit: part }))
      } else {
        made.push(async (store) => {
          engine.clock.now += part * 300
          return [await store.maintain(() => POLICY, queue), await store.queues.touch(queue, [holder])]
        })
      }
    }
    return made
  }

  /** Ids and leases have a part of chance. */
  function alike(seen: unknown): unknown {
    return JSON.parse(JSON.stringify(seen).replace(/([-.])[A-Za-z0-9]{12}(?=d?")/g, '$1token'))
  }

  async function everything(store: Store): Promise<unknown[]> {
    const seen: unknown[] = []
    for (const queue of ['q', 'q/dead']) {
      const info = await infoOf(store.queues, queue)
      seen.push(info)
      for (const state of ['ready', 'delayed', 'held'] as const) {
        const jobs = await store.queues.jobs(queue, { state, limit: 10_000 })
        if (info !== undefined) expect(jobs).toHaveLength(info.counts[state])
        for (const job of jobs) expect(await jobOf(store.queues, queue, job.id)).toEqual(job)
        seen.push(jobs)
      }
    }
    return seen
  }

  test.each([Number(process.env.REPRISE_SEED ?? 7_919)])(
    'what it keeps in memory never differs from what is stored (seed %i)',
    async (seed) => {
      const run = async (reopens: boolean): Promise<unknown[]> => {
        engine.clock.now = START
        let store = await engine.open()
        const seen: unknown[] = []
        for (const [i, step] of history(seed, 140).entries()) {
          // Opening is what takes the time.
          if (reopens && (soak || i % 2 === 0)) {
            await store.close()
            store = await engine.open()
          }
          seen.push(await step(store).catch((error: { code: string }) => error.code))
          if (i % 8 === 0) seen.push(await everything(store))
          const info = await infoOf(store.queues, 'q')
          if (info === undefined) continue
          const { sent, ready, delayed, held, done, dead, removed } = info.counts
          expect(ready + delayed + held + done + dead + removed).toBe(sent)
        }
        seen.push(await everything(store))
        await store.close()
        return seen
      }
      const stayed = await run(false)
      await engine.destroy()
      engine = await lmdbEngine(MEMORY)
      expect(alike(await run(true))).toEqual(alike(stayed))
    },
    60_000,
  )

  test('a store from before there were queues opens', async () => {
    const store = await engine.open()
    await publish(store, 't', 1)
    await store.close()
    const root = openLmdb<Buffer, Buffer>({ path: engine.folder, noSubdir: false, overlappingSync: false, ...BINARY })
    for (const name of ['queues', 'jobs', 'job-bodies', 'job-ids', 'pairs', 'holders', 'settled', 'answers', 'turns']) {
      await root.openDB<Buffer, Buffer>({ name, ...BINARY }).drop()
    }
    await root.close()
    const again = await engine.open()
    expect(await again.queues.list({ limit: 10 })).toEqual([])
    await again.queues.enqueue('q', { subject: 'ann', drafts: [draft(1)], limit: LIMIT })
    expect((await infoOf(again.queues, 'q'))?.counts.ready).toBe(1)
  })

  test('are looked at as often as one likes: no reader stays open', async () => {
    const { queues } = await engine.open()
    await queues.enqueue('q', { subject: 'ann', drafts: [1, 2, 3].map((i) => draft(i)), limit: LIMIT })
    // More than the readers that an environment has, each of another state of it.
    for (let i = 4; i < 154; i++) {
      expect((await infoOf(queues, 'q'))?.counts.ready).toBe(i - 1)
      expect(await queues.jobs('q', { state: 'ready', limit: 1 })).toHaveLength(1)
      await queues.enqueue('q', { subject: 'ann', drafts: [draft(i)], limit: LIMIT })
    }
  })

  test('of jobs that are gone nothing is left behind', async () => {
    const store = await engine.open()
    const { queues } = store
    const holder = { subject: 'ann', client: 'a' }
    const { session } = await queues.attach('q', holder, { leaseMs: 30_000, policy: POLICY })
    const drafts = Array.from({ length: 300 }, (_, i) =>
      draft(i, {
        priority: i % 10,
        ...(i % 3 === 0 && { key: `k${i % 7}` }),
        ...(i % 5 === 0 && { id: `i${i}`, replyMs: 40_000 }),
        ...(i % 4 === 0 && { due: { delayMs: 100 } }),
      }),
    )
    await queues.enqueue('q', { subject: 'ann', drafts, limit: LIMIT })
    for (let round = 0; (await infoOf(queues, 'q'))?.counts.done !== 290; round++) {
      engine.clock.now += 200
      const common = { leaseMs: 30_000, capMs: 60_000, policy: POLICY }
      const { jobs } = await queues.claim('q', { consumer: holder, session, max: 10, bytes: 1e6, ...common })
      const as = round < 10 ? ('retry' as const) : ('done' as const)
      await queues.settle(
        'q',
        jobs
          .slice(0, 290 - ((await infoOf(queues, 'q'))?.counts.done ?? 0))
          .map(({ id, lease }) => ({ id, lease, as })),
        POLICY,
      )
      if (round > 500) throw new Error(JSON.stringify(await infoOf(queues, 'q')))
    }
    await queues.detach('q', holder, session, 'release', POLICY)
    for (const { id } of await queues.jobs('q', { state: 'ready', limit: 5 })) await remove(queues, 'q', id)
    while ((await queues.purge('q', { before: engine.clock.now, limit: 2 })) > 0);
    for (let i = 0; i < 8; i++) {
      engine.clock.now += 120_000
      await store.maintain(() => POLICY, 'q')
      while ((await maintain(store)).more);
    }
    const counts = { sent: 300, ready: 0, delayed: 0, held: 0, waiting: 0, done: 290, dead: 0, removed: 10 }
    expect((await infoOf(queues, 'q'))?.counts).toEqual(counts)
    await store.close()
    const root = openLmdb<Buffer, Buffer>({ path: engine.folder, noSubdir: false, overlappingSync: false, ...BINARY })
    const left: Record<string, number> = {}
    const names = ['jobs', 'job-bodies', 'job-ids', 'pairs', 'holders', 'settled', 'answers', 'turns', 'ids', 'due']
    for (const name of names) left[name] = root.openDB<Buffer, Buffer>({ name, ...BINARY }).getKeysCount()
    await root.close()
    expect(left).toEqual(Object.fromEntries(names.map((name) => [name, 0])))
  })

  test('of a queue that is dropped nothing is left behind but when it would have been looked at', async () => {
    const counts = async () => {
      const root = openLmdb<Buffer, Buffer>({
        path: engine.folder,
        noSubdir: false,
        overlappingSync: false,
        maxDbs: 64,
        ...BINARY,
      })
      const tables = Object.values(TABLES).map(({ name }) => {
        return [name, root.openDB<Buffer, Buffer>({ name, ...BINARY }).getKeysCount()] as const
      })
      await root.close()
      return Object.fromEntries(
        tables.filter(([name, count]) => count > 0 && !['store', 'schema', 'due'].includes(name)),
      )
    }
    const store = await engine.open()
    await useQueue(store, 'q')
    await store.close()
    const used = Object.keys(await counts())
    expect(used).toEqual(expect.arrayContaining(['finished', 'finished-parts', 'producers', 'answers', 'settled']))
    const again = await engine.open()
    expect(await again.queues.drop('q')).toEqual({ more: false })
    while ((await maintain(again)).more);
    await again.close()
    expect(await counts()).toEqual({})
    const last = await engine.open()
    engine.clock.now += 40 * 86_400_000
    while ((await maintain(last)).more);
    expect(await last.queues.list({ limit: 10 })).toEqual([])
  })
})
