/** A Redis with very many topics: a hub starts as if there were few, and lists them page by page. */

import { expect, it } from 'vitest'
import { openRedis } from '../../server/store/redis/store.ts'
import { drafts, KEEP } from '../store/conformance/fixture.ts'
import { asking } from '../support/clients/ask.ts'
import { startHub } from '../support/hub/hub.ts'
import { type RedisServer, startRedis } from '../support/redis/redis.ts'
import { has, soak } from '../support/tools.ts'

const FEW = 200
const MANY = soak ? 100_000 : 1_500
const PAGE = soak ? 1_000 : 400
/** Commands that look at what is there, however much it is. */
const SCANS = ['keys', 'scan', 'hscan', 'sscan', 'zscan', 'randomkey', 'smembers']

interface Page {
  readonly topics: readonly { readonly topic: string; readonly last: number }[]
  readonly next?: string
}

it.runIf(has('redis-server', 'redis-cli'))(
  'a hub on a Redis with very many topics starts and lists as with few',
  async () => {
    const redis = await startRedis()
    await fill(redis, 0, FEW)
    const few = await look(redis)
    await fill(redis, FEW, MANY)
    const many = await look(redis)
    console.info(
      `${MANY} topics: started in ${Math.round(many.startMs)} ms, with ${FEW} in ${Math.round(few.startMs)} ms`,
    )

    for (const { atStart, forPage } of [few, many]) {
      for (const command of SCANS) {
        expect(atStart.has(command), command).toBe(false)
        expect(forPage.has(command), command).toBe(false)
      }
    }
    expect(total(many.atStart)).toBeLessThanOrEqual(total(few.atStart) + 10)
    expect(total(many.forPage)).toBeLessThanOrEqual(total(few.forPage) + 10)
  },
  300_000,
)

it.runIf(has('redis-server', 'redis-cli'))(
  'all of them are on the pages, once and in the order of their names',
  async () => {
    const redis = await startRedis()
    await fill(redis, 0, MANY)
    const { url } = await startHub({ store: redis.url })
    const ask = asking(url)
    const names: string[] = []
    const began = performance.now()
    for (let after = ''; ; ) {
      const { status, body } = await ask<Page>(
        'GET',
        `/v1/topics?limit=${PAGE}${after === '' ? '' : `&after=${after}`}`,
      )
      expect(status).toBe(200)
      expect(body.topics.length).toBeLessThanOrEqual(PAGE)
      for (const { topic, last } of body.topics) {
        names.push(topic)
        if (last !== 1) throw new Error(`${topic} has ${last} events`)
      }
      if (body.next === undefined) break
      after = body.next
    }
    console.info(`${MANY} topics on ${Math.ceil(MANY / PAGE)} pages in ${Math.round(performance.now() - began)} ms`)
    const expected = Array.from({ length: MANY }, (_, i) => `t${i}`).sort()
    expect(names.length).toBe(MANY)
    expect(names.findIndex((name, i) => name !== expected[i])).toBe(-1)
  },
  300_000,
)

/** Topics `t<from>` up to `t<to - 1>`, with an event each. */
async function fill(redis: RedisServer, from: number, to: number): Promise<void> {
  const store = await openRedis(redis.url)
  for (let i = from; i < to; i += 500) {
    const births = Array.from({ length: Math.min(500, to - i) }, (_, n) =>
      store.topics.append(`t${i + n}`, { subject: '', drafts: drafts(i + n), retain: KEEP }),
    )
    await Promise.all(births)
  }
  await store.close()
}

/** What a hub asks of Redis until it serves, and for a page of 100 topics. */
async function look(redis: RedisServer) {
  await redis.cli('config', 'resetstat')
  const began = performance.now()
  const hub = await startHub({ store: redis.url })
  const startMs = performance.now() - began
  const atStart = await commands(redis)
  await redis.cli('config', 'resetstat')
  const { body } = await asking(hub.url)<Page>('GET', '/v1/topics?limit=100')
  expect(body.topics.length).toBe(100)
  const forPage = await commands(redis)
  await hub.close()
  return { startMs, atStart, forPage }
}

async function commands(redis: RedisServer): Promise<ReadonlyMap<string, number>> {
  const stats = await redis.cli('info', 'commandstats')
  return new Map(
    [...stats.matchAll(/^cmdstat_([^:]+):calls=(\d+)/gm)].map(([, name = '', calls]) => [name, Number(calls)]),
  )
}

function total(calls: ReadonlyMap<string, number>): number {
  return [...calls.values()].reduce((sum, count) => sum + count, 0)
}
