/** What a cluster lacks where a call ends: a slot that moves, servers whose libraries and scripts are gone. */

import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { HeldJob, QueuePolicy } from '../../../server/store/contract/store.ts'
import { slotOf } from '../../../server/store/redis/connection/slot.ts'
import { openRedis, type RedisStore } from '../../../server/store/redis/store.ts'
import { clusterNodes, moveSlot, ownerOf } from '../../support/redis/cluster.ts'
import type { RedisServer } from '../../support/redis/redis.ts'
import { until } from '../../support/until.ts'
import { dataOf, publish, text } from '../conformance/fixture.ts'
import { sharedServers } from './fixture.ts'

const POLICY: QueuePolicy = { maxAttempts: 3, backoffMs: [60_000], deadMs: 86_400_000 }
const LIMIT = { jobs: 1_000_000, bytes: 1e9 }
const holder = { subject: 'ann', client: 'worker' }
const servers = sharedServers('cluster')
let places = 0
describe('a store on Redis Cluster', { timeout: 60_000 }, () => {
  let store: RedisStore
  let prefix: string

  beforeEach(async () => {
    prefix = `m${places++}:`
    store = await openRedis(servers().url(prefix))
  })

  afterEach(() => store.close())

  const slot = (queue: string): number => slotOf(`${prefix}{q:${queue}}`)

  async function forget(node: RedisServer): Promise<void> {
    await node.cli('function', 'flush')
    await node.cli('script', 'flush')
  }

  async function send(queue: string, ...data: unknown[]): Promise<readonly string[]> {
    const drafts = data.map((value) => ({ body: text(value), priority: 4, ttlMs: 3_600_000 }))
    return (await store.queues.enqueue(queue, { subject: 'ann', drafts, limit: LIMIT })).ids
  }

  async function attach(queue: string): Promise<number> {
    return (await store.queues.attach(queue, holder, { leaseMs: 30_000, policy: POLICY })).session
  }

  async function claim(queue: string, session: number, max: number): Promise<readonly HeldJob[]> {
    const lease = { leaseMs: 30_000, capMs: 60_000 }
    return (await store.queues.claim(queue, { consumer: holder, session, max, bytes: 1e9, ...lease, policy: POLICY }))
      .jobs
  }

  async function settle(queue: string, jobs: readonly HeldJob[]) {
    const { settled } = await store.queues.settle(
      queue,
      jobs.map(({ id, lease }) => ({ id, lease, as: 'done' })),
      POLICY,
    )
    return settled
  }

  test('loads its libraries where the call ends, and waits there while the slot moves', async () => {
    const nodes = await clusterNodes(servers().nodes)
    const from = ownerOf(nodes, slot('new'))
    const to = nodes.find(({ server }) => server !== from.server)
    if (to === undefined) throw new Error('there is one node alone')
    const setSlot = (server: RedisServer, ...words: string[]) =>
      server.cli('cluster', 'setslot', String(slot('new')), ...words)
    await setSlot(to.server, 'importing', from.id)
    await setSlot(from.server, 'migrating', to.id)
    await forget(to.server)
    const sending = send('new', 1, 2)
    sending.catch(() => {})
    await until(
      async () => {
        if (/reprise_queue/.test(await to.server.cli('function', 'list'))) return true
        await Promise.race([sending, Promise.resolve()])
        return false
      },
      { what: 'the library at the target', everyMs: 50 },
    )
    for (const { server } of [to, ...nodes.filter((node) => node !== to)]) await setSlot(server, 'node', to.id)
    const ids = await sending
    const jobs = await claim('new', await attach('new'), 10)
    expect(jobs.map(({ id }) => id)).toEqual(ids)
    expect(await settle('new', jobs)).toEqual(['ok', 'ok'])
  })

  test('does every call once or says that it may pass, while a queue moves to a server without libraries', async () => {
    const sent = new Set<string>()
    const refused: unknown[] = []
    let going = true
    const sending = (async () => {
      for (let i = 0; going; i++) {
        await send('q', i).then(
          (ids) => ids.forEach((id) => void sent.add(id)),
          (error: unknown) => refused.push(error),
        )
      }
    })()
    await until(() => sent.size > 10)
    const nodes = await clusterNodes(servers().nodes)
    const source = ownerOf(nodes, slot('q')).server
    const target = nodes.find(({ server }) => server !== source)?.server
    if (target === undefined) throw new Error('there is one node alone')
    await forget(target)
    await moveSlot(servers().nodes, slot('q'), target, () => forget(target))
    const before = sent.size
    await until(() => sent.size > before + 10)
    going = false
    await sending
    for (const error of refused) expect(error).toMatchObject({ code: 'unavailable' })
    expect(ownerOf(await clusterNodes(servers().nodes), slot('q')).server).toBe(target)
    const jobs = await claim('q', await attach('q'), 1_000_000)
    const given = jobs.map(({ id }) => id)
    expect(new Set(given).size).toBe(given.length)
    expect([...sent].filter((id) => !given.includes(id))).toEqual([])
    expect(given.length - sent.size).toBeLessThanOrEqual(refused.length)
    expect(new Set(await settle('q', jobs))).toEqual(new Set(['ok']))
  })

  test('goes on when libraries and scripts of all servers are flushed under it', async () => {
    const session = await attach('q')
    for (let i = 1; i <= 3; i++) {
      await Promise.all(servers().nodes.map(forget))
      await Promise.all([send('q', i), send(`q${i}`, i), publish(store, 't', i)])
      await Promise.all(servers().nodes.map(forget))
      expect(await settle('q', await claim('q', session, 10))).toEqual(['ok'])
      expect(await dataOf(store, 't')).toHaveLength(i)
    }
  })
})
