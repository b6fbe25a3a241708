/** A queue of very many jobs: a hub has all of them after a restart, is back soon, and one job more costs what it costs on an empty queue. */

import { expect, it } from 'vitest'
import type { Job } from '../../../shared/queues.ts'
import { joinQueues, settlement } from '../../support/clients/jobs.ts'
import { describeStores } from '../../support/hub/stores.ts'
import { soak } from '../../support/tools.ts'

const JOBS = soak ? 1_000_000 : 4_000
const BATCH = 1_000
const ROUNDS = soak ? 400 : 20
/** What the long run measures; a short one has too few jobs to say anything. */
const READY_MS = 5_000
const MOST = soak ? 1.2 : Number.POSITIVE_INFINITY

describeStores('a queue of very many jobs on $name', (store) => {
  it('is whole after a restart, which is quick, and sending and claiming are as cheap as on an empty one', {
    timeout: soak ? 1_200_000 : 90_000,
  }, async () => {
    const place = await store.place()
    const first = await place.spawn()
    // All of them, and those that are measured behind them, fit into it.
    const settings = JSON.stringify({ maxJobs: 2 * JOBS })
    const headers = { 'content-type': 'application/json' }
    const { status } = await fetch(`${first.url}/v1/queues/long`, { method: 'PUT', headers, body: settings })
    expect(status).toBe(200)
    const sender = await joinQueues(first.url, {}, { deadlineMs: 60_000 })
    for (let sent = 0; sent < JOBS; sent += BATCH) {
      await sender.send('long', ...Array.from({ length: BATCH }, (_, i) => ({ data: sent + i })))
    }
    await first.kill()
    const began = performance.now()
    const { url } = await place.spawn()
    expect((await fetch(`${url}/readyz`)).status).toBe(200)
    if (soak) expect(performance.now() - began).toBeLessThan(READY_MS)
    const measured: number[] = []
    // Another try for a machine that was busy with something else.
    for (let tries = 0; tries < 3; tries++) {
      const empty = await costOf(url, `empty-${tries}`)
      const long = await costOf(url, 'long')
      measured.push(long / empty)
      if (long / empty <= MOST) break
    }
    expect(Math.min(...measured)).toBeLessThanOrEqual(MOST)
    const response = await fetch(`${url}/v1/queues/long`)
    const { counts } = (await response.json()) as { counts: Record<string, number> }
    expect(counts).toMatchObject({ sent: JOBS + ROUNDS * measured.length, done: (ROUNDS - 1) * measured.length })
  })
})

/** The median of sending one job and being done with one, in ms. */
async function costOf(url: string, queue: string): Promise<number> {
  const wire = await joinQueues(url)
  const took: number[] = []
  await wire.send(queue, { data: 'warm' })
  await wire.consume(queue, { credit: 1 })
  for (let round = 1; round < ROUNDS; round++) {
    const began = performance.now()
    const [job] = (await wire.jobsSeen(round)).slice(-1) as [Job]
    await wire.send(queue, { data: round })
    if (round === ROUNDS - 1) await wire.value('cancel', queue)
    await wire.settle(queue, settlement(job))
    took.push(performance.now() - began)
  }
  wire.close()
  return took.sort((a, b) => a - b)[took.length >> 1] ?? 0
}
