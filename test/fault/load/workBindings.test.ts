/** Queues bound to a topic while the hubs that copy are killed: every event once in each, in order per key. */

import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import type { Job } from '../../../shared/queues.ts'
import { joinQueues, settlement } from '../../support/clients/jobs.ts'
import { type Numbered, Publisher } from '../../support/clients/publisher.ts'
import { describeStores } from '../../support/hub/stores.ts'
import { tempFolder } from '../../support/temp.ts'
import { soak } from '../../support/tools.ts'
import { until } from '../../support/until.ts'

const EVENTS = soak ? 100_000 : 1_500
const KILLS = soak ? 12 : 2
const QUEUES = ['first', 'second', 'third'] as const
const SETTINGS = `queues:\n${QUEUES.map((queue) => `  ${queue}: { from: [orders], reconnectGraceMs: 100 }\n`).join('')}`

interface Info {
  readonly counts: Readonly<Record<string, number>>
  readonly bindings: readonly unknown[]
}

describeStores('queues bound to a topic on $name', (store) => {
  const nodes = store.name === 'redis' ? 3 : 1

  it(`get each of ${EVENTS} events once, whichever hub is killed`, { timeout: soak ? 1_200_000 : 90_000 }, async () => {
    const config = join(await tempFolder(), 'reprise.yaml')
    await writeFile(config, SETTINGS)
    const place = await store.place()
    const args = ['--config', config]
    const hubs = await Promise.all(Array.from({ length: nodes }, () => place.spawn({ args })))
    const [{ url } = { url: '' }] = hubs
    const infoOf = async (queue: string): Promise<Info | undefined> => {
      const response = await fetch(`${url}/v1/queues/${queue}`)
      return response.ok ? ((await response.json()) as Info) : undefined
    }
    for (const queue of QUEUES) {
      await until(async () => (await infoOf(queue))?.bindings.length === 1, { what: `the binding of ${queue}` })
    }
    const publisher = new Publisher(url, 'orders', { name: 'p', batch: 50, total: EVENTS, pauseMs: soak ? 0 : 20 })
    for (let kill = 0; kill < KILLS; kill++) {
      const reached = Math.floor(((kill + 1) * EVENTS) / (KILLS + 1))
      await until(() => publisher.acknowledged.size >= reached, {
        what: `${reached} events`,
        deadlineMs: 120_000,
        seen: () => publisher.acknowledged.size,
      })
      const at = kill % nodes
      const hub = hubs[at]
      if (hub === undefined) continue
      await hub.kill()
      hubs[at] = await place.spawn({ port: hub.port, args })
    }
    await until(() => publisher.acknowledged.size === EVENTS, {
      what: 'all events',
      deadlineMs: 120_000,
      seen: () => [publisher.acknowledged.size, publisher.errors.slice(-3)],
    })
    for (const queue of QUEUES) {
      await until(async () => ((await infoOf(queue))?.counts.sent ?? 0) >= EVENTS, {
        what: `all events in ${queue}`,
        deadlineMs: 60_000,
        everyMs: 50,
      })
      const jobs = await drain(url, queue)
      expect(jobs.length, queue).toBe(EVENTS)
      const numbers = jobs.map(({ data }) => data.n)
      expect(new Set(numbers).size, queue).toBe(EVENTS)
      // Without keys in the drafts the whole queue is one line: what it was published in.
      expect(numbers, queue).toEqual([...numbers].sort((a, b) => a - b))
      expect((await infoOf(queue))?.counts, queue).toMatchObject({ sent: EVENTS, done: EVENTS, ready: 0, dead: 0 })
    }
  })
})

async function drain(url: string, queue: string): Promise<Job<Numbered>[]> {
  const worker = await joinQueues(url)
  const jobs: Job<Numbered>[] = []
  let settled = 0
  worker.socket.on('jobs', (_queue: string, came: readonly Job<Numbered>[]) => {
    jobs.push(...came)
    void worker.settle(queue, ...came.map((job) => settlement(job))).then((answers) => {
      settled += answers.filter((answer) => answer === 'ok').length
    })
  })
  await worker.consume(queue, { credit: 500 })
  await until(() => settled >= EVENTS, {
    what: `all jobs of ${queue}`,
    deadlineMs: 120_000,
    seen: () => [jobs.length, settled],
  })
  worker.close()
  return jobs
}
