/** Hundreds of schedules (a thousand in the long form) that are due in the same seconds, while the nodes that fire them are killed and come back. */

import { setTimeout as sleep } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { connect } from '../../client/index.ts'
import type { Schedule, SchedulesPage } from '../../shared/queues.ts'
import { asking } from '../support/clients/ask.ts'
import type { HubProcess } from '../support/hub/process.ts'
import { describeStores } from '../support/hub/stores.ts'
import { runSeed, seededRandom } from '../support/seed.ts'
import { soak } from '../support/tools.ts'
import { until } from '../support/until.ts'

interface Jobs {
  readonly jobs: readonly { readonly headers: Readonly<Record<string, string>> }[]
  readonly next?: string
}

const QUEUES = ['a', 'b', 'c', 'd']
const EACH = soak ? 250 : 100
const TIMES = 3
const KILLS = 5

const random = seededRandom(runSeed('schedules and killed nodes'))

/** All pages of a list. */
async function pagesOf<Page extends { readonly next?: string }>(url: string, path: string): Promise<Page[]> {
  const pages: Page[] = []
  for (let next: string | undefined = ''; next !== undefined; next = pages.at(-1)?.next) {
    const after = next === '' ? '' : `&after=${encodeURIComponent(next)}`
    pages.push((await asking(url)<Page>('GET', `${path}${after}`)).body)
  }
  return pages
}

async function schedulesOf(url: string, queues: readonly string[]): Promise<Schedule[]> {
  const lists = queues.map((queue) => pagesOf<SchedulesPage>(url, `/v1/queues/${queue}/schedules?limit=100`))
  return (await Promise.all(lists)).flat().flatMap(({ schedules }) => schedules)
}

describeStores(`${QUEUES.length * EACH} schedules on $name`, (store) => {
  it('fire once each at each of their times, while nodes are killed and started again', {
    timeout: 180_000,
  }, async () => {
    const place = await store.place()
    const count = store.name === 'redis' ? 3 : 1
    const nodes: HubProcess[] = []
    for (let i = 0; i < count; i++) nodes.push(await place.spawn())
    const [first] = nodes
    if (first === undefined) throw new Error('no node')
    const hub = connect(first.url, { quiet: true, readTimeoutMs: 60_000 })
    const putAll = async (queue: string, startAt: number) => {
      const spec = { everyMs: 400, startAt, limit: TIMES, missed: 'all', draft: { data: 1 } } as const
      await Promise.all(Array.from({ length: EACH }, (_, i) => hub.queue(queue).schedule(`s${i}`, spec)))
    }
    // Once for tomorrow, to see how long it takes here; then in place. Where it takes longer now, once more elsewhere.
    const began = Date.now()
    await putAll('a', began + 86_400_000)
    let aheadMs = 1_000 + 2 * QUEUES.length * (Date.now() - began)
    let startAt = 0
    let queues = QUEUES
    for (let tries = 1; startAt <= Date.now(); tries++) {
      startAt = Date.now() + aheadMs
      await Promise.all(queues.map((queue) => putAll(queue, startAt)))
      if (startAt > Date.now()) break
      aheadMs *= 2
      queues = QUEUES.map((queue) => `${queue}${tries}`)
    }
    await hub.close()
    await sleep(startAt - Date.now())
    for (let kill = 0; kill < KILLS; kill++) {
      const at = random.integer(0, count - 1)
      await nodes[at]?.kill()
      nodes[at] = await place.spawn()
      await sleep(random.integer(0, 300))
    }
    const url = nodes[0]?.url ?? ''
    const all = await until(
      async () => {
        const found = await schedulesOf(url, queues)
        return found.every(({ next }) => next.length === 0) && found
      },
      { what: 'all schedules to be over', deadlineMs: 60_000, everyMs: 500 },
    )
    expect(all).toHaveLength(queues.length * EACH)
    expect(all.filter(({ fired, missedCount }) => fired !== TIMES || missedCount !== 0)).toEqual([])
    const due = [0, 400, 800].map((ms) => String(startAt + ms))
    for (const queue of queues) {
      const pages = await pagesOf<Jobs>(url, `/v1/queues/${queue}/jobs?limit=500`)
      const found = pages
        .flatMap(({ jobs }) => jobs)
        .map(({ headers }) => `${headers['reprise-schedule']} at ${headers['reprise-due']}`)
      const expected = Array.from({ length: EACH }, (_, i) => due.map((time) => `s${i} at ${time}`)).flat()
      expect(found.toSorted()).toEqual(expected.toSorted())
    }
  })
})
