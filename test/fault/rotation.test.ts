/** Keys that change while events and jobs flow, and hubs that are killed meanwhile: nothing is lost, and nothing comes twice. */

import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { asking } from '../support/clients/ask.ts'
import type { HubProcess } from '../support/hub/process.ts'
import { describeStores, type StorePlace } from '../support/hub/stores.ts'
import { runSeed, seededRandom } from '../support/seed.ts'
import { tempFolder } from '../support/temp.ts'
import { soak } from '../support/tools.ts'
import { until } from '../support/until.ts'

const KEYS = [1, 2, 3].map((byte) => Buffer.alloc(32, byte).toString('base64'))
const EVENTS = soak ? 100_000 : 2_000
const KILLS = soak ? 20 : 1

async function start(place: StorePlace, config: object): Promise<HubProcess> {
  const file = join(await tempFolder(), 'reprise.yaml')
  await writeFile(file, JSON.stringify(config))
  return await place.spawn({ args: ['--config', file] })
}

describeStores('a key that changes under load on $name', (kind) => {
  it('loses nothing and repeats nothing, however often its hub is killed', async () => {
    const random = seededRandom(runSeed('kills'))
    const place = await kind.place()
    const sent: string[] = []
    const given = new Map<string, number[]>()
    const publish = async (hub: HubProcess, topic: string, count: number) => {
      const from = given.get(topic)?.length ?? 0
      const data = Array.from({ length: count }, (_, i) => from + i)
      const drafts = data.map((n) => ({ data: n, id: `${topic}-${n}` }))
      // A number counts as given once it is tried: the ids make a further try harmless.
      const { status } = await asking(hub.url)('POST', `/v1/topics/${topic}/events`, drafts)
      if (status === 201) given.set(topic, [...(given.get(topic) ?? []), ...data])
    }
    const send = async (hub: HubProcess) => {
      const id = `job-${sent.length}`
      const { status } = await asking(hub.url)('POST', '/v1/queues/chores/jobs', { data: id, id })
      if (status === 201) sent.push(id)
    }
    const first = await start(place, { encryption: { current: 'k1', keys: { k1: KEYS[0] } } })
    for (let n = 0; n < EVENTS; n += 1_000) await publish(first, 'big', 1_000)
    await publish(first, 'small', 500)
    for (let i = 0; i < 30; i++) await send(first)
    await first.kill('SIGTERM')

    const config = { encryption: { current: 'k2', keys: { k1: KEYS[0], k2: KEYS[1] } } }
    for (let kill = 0; kill < KILLS; kill++) {
      const hub = await start(place, config)
      const end = performance.now() + random.integer(1, 400)
      while (performance.now() < end) await Promise.all([publish(hub, 'small', 5), send(hub)])
      // Calls that it takes with it may have been done or not; they are tried again.
      const last = Promise.all([publish(hub, 'small', 5), send(hub)]).catch(() => {})
      await hub.kill()
      await last
    }
    const hub = await start(place, config)
    await Promise.all([publish(hub, 'small', 5), send(hub)])
    await until(() => hub.stderr().includes('what is stored is under the present key'), {
      what: 'all to be under the new key',
      deadlineMs: soak ? 300_000 : 20_000,
    })
    await hub.kill('SIGTERM')

    const after = await start(place, { encryption: { current: 'k3', keys: { k2: KEYS[1], k3: KEYS[2] } } })
    for (const [topic, data] of given) expect(await eventsOf(after, topic)).toEqual(data)
    const jobs = await jobsOf(after)
    expect(jobs.toSorted()).toEqual(sent.toSorted())
  })
})

async function eventsOf(hub: HubProcess, topic: string): Promise<unknown[]> {
  const all: unknown[] = []
  for (;;) {
    const { body } = await asking(hub.url)('GET', `/v1/topics/${topic}/events?after=${all.length}&limit=1000`)
    const { events, last } = body as { events: { offset: number; data: unknown }[]; last: number }
    for (const { offset, data } of events) {
      expect(offset).toBe(all.length + 1)
      all.push(data)
    }
    if (all.length >= last || events.length === 0) return all
  }
}

async function jobsOf(hub: HubProcess): Promise<string[]> {
  const all: string[] = []
  for (let after = ''; ; ) {
    const { body } = await asking(hub.url)('GET', `/v1/queues/chores/jobs?state=ready&limit=100${after}`)
    const { jobs, next } = body as { jobs: { data: string }[]; next?: string }
    all.push(...jobs.map(({ data }) => data))
    if (next === undefined) return all
    after = `&after=${encodeURIComponent(next)}`
  }
}
