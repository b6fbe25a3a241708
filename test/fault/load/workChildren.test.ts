/**
 * Jobs that wait for others, of their queue and of another one, while hubs are killed: on Redis three of them in turn. Beside
 * them everything that queues have: tenants, retries with times of their own, dead letters, progress, a schedule, a life.
 */

import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { connect, type JobChild, type LifeEvent } from '../../../client/index.ts'
import { balance, countsOf } from '../../support/books/audit.ts'
import { atEnd } from '../../support/ending.ts'
import { describeStores } from '../../support/hub/stores.ts'
import { runSeed, seededRandom } from '../../support/seed.ts'
import { tempFolder } from '../../support/temp.ts'
import { soak } from '../../support/tools.ts'
import { until } from '../../support/until.ts'

const FAMILIES = soak ? 2_000 : 60
const KILLS = soak ? 50 : 3
const SCHEDULED = 5
const SETTINGS = `queues:
  '*': { events: true, fair: true, maxAttempts: 20, backoffMs: 5, maxBackoffMs: 50 }
`

interface Data {
  readonly family: number
  readonly child?: number
  readonly fails?: number
}

/** Two here, of which one fails at first, one elsewhere, and one there that dies. */
const childrenOf = (family: number) => [
  { data: { family, child: 0 } },
  { data: { family, child: 1, fails: 2 }, attempts: 30, backoff: { kind: 'fixed', ms: 5 } as const },
  { data: { family, child: 2 }, queue: 'elsewhere', children: [{ data: { family, child: 3 }, queue: 'families' }] },
  { data: { family, child: 4, fails: 99 }, queue: 'elsewhere', attempts: 1 },
]
const EXPECTED = ['done', 'done', 'done', 'dead']
/** Of a family here, and in the other queue. */
const HERE = 4
const THERE = 2

describeStores('jobs with children on $name whose hubs are killed', (store) => {
  it('fall due once, with all results, and their lives tell it once', {
    timeout: soak ? 1_800_000 : 90_000,
  }, async () => {
    const random = seededRandom(runSeed('killed families'))
    const place = await store.place()
    const config = join(await tempFolder(), 'reprise.yaml')
    await writeFile(config, SETTINGS)
    const args = ['--config', config]
    const nodes = store.name === 'redis' ? 3 : 1
    const hubs = await Promise.all(Array.from({ length: nodes }, () => place.spawn({ args })))
    const urls = hubs.map(({ url }) => url)
    const [sender, here, there] = [0, 1, 2].map((i) => {
      const sdk = connect(urls[i % nodes] ?? '', { quiet: true, client: `c${i}` })
      atEnd(() => sdk.close())
      return sdk
    })
    if (sender === undefined || here === undefined || there === undefined) throw new Error('three were made')
    const wrong: unknown[] = []
    const work = (job: {
      data: unknown
      attempts: number
      children?: readonly JobChild[] | undefined
      progress(value: unknown): unknown
    }) => {
      const { family, child, fails = 0 } = job.data as Data
      job.progress({ family, child })
      if (job.attempts < fails) throw new Error(`attempt ${job.attempts}`)
      if (family < 0 || child !== undefined) return `${family}.${child}`
      const states = job.children?.map(({ state }) => state)
      const results = job.children?.flatMap(({ result }) => (result === undefined ? [] : [result]))
      const right =
        JSON.stringify([states, results]) === JSON.stringify([EXPECTED, [0, 1, 2].map((n) => `${family}.${n}`)])
      if (!right) wrong.push([family, states, results])
      return undefined
    }
    const workers = [here.queue('families'), there.queue('elsewhere')].map((queue) =>
      queue.consume(work, { concurrency: 8 }),
    )
    for (const worker of workers) worker.onError(() => {})
    const families = sender.queue('families')
    await families.schedule('beside', {
      everyMs: 100,
      limit: SCHEDULED,
      missed: 'all',
      draft: { data: { family: -1 } },
    })
    // Sent again after a lost answer, they are there once.
    const sending = Promise.all(
      Array.from({ length: FAMILIES }, (_, family) =>
        families.send(
          { family },
          {
            id: `family-${family}`,
            group: `g${family % 3}`,
            children: childrenOf(family),
            onDeadChild: 'skip',
            timeoutMs: 60_000,
          },
        ),
      ),
    )
    for (let i = 0; i < KILLS; i++) {
      await sleep(random.integer(0, 300))
      const hub = hubs[i % nodes]
      if (hub === undefined) continue
      await hub.kill()
      hubs[i % nodes] = await place.spawn({ args, port: hub.port })
    }
    await sending
    const total = { families: FAMILIES * HERE + SCHEDULED, elsewhere: FAMILIES * THERE }
    const [url = ''] = urls
    await until(async () => (await countsOf(url, 'families')).done >= total.families, {
      what: 'all to be done',
      deadlineMs: soak ? 900_000 : 60_000,
      seen: () => [wrong],
    })
    const counts = { families: await countsOf(url, 'families'), elsewhere: await countsOf(url, 'elsewhere') }
    for (const one of Object.values(counts)) balance(one)
    expect(counts.families).toMatchObject({ sent: total.families, done: total.families, waiting: 0, dead: 0 })
    expect(counts.elsewhere).toMatchObject({ sent: total.elsewhere, done: FAMILIES, dead: FAMILIES, waiting: 0 })
    expect(wrong).toEqual([])
    for (const queue of ['families', 'elsewhere'] as const) {
      const told = new Map<string, string[]>()
      const topic = sender.topic(`$queue.${queue}`)
      const isWhole = () => [...told.values()].filter((kinds) => kinds.some(isEnd)).length === total[queue]
      const subscription = topic.subscribe(
        ({ data }) => {
          const { id, kind } = data as LifeEvent
          told.set(id, [...(told.get(id) ?? []), kind])
        },
        { from: 'start' },
      )
      await until(isWhole, { what: `the life of ${queue}`, deadlineMs: 30_000, seen: () => told.size })
      await subscription.close()
      const odd = [...told].filter(
        ([, kinds]) => kinds[0] !== 'sent' || kinds.filter(isEnd).length !== 1 || !isEnd(kinds.at(-1) ?? ''),
      )
      expect(odd).toEqual([])
      expect(told.size).toBe(total[queue])
    }
    await Promise.all(workers.map((worker) => worker.close()))
  })
})

function isEnd(kind: string): boolean {
  return kind === 'done' || kind === 'dead'
}
