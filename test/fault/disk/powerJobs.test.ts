/** Power loss while jobs are sent and worked on: what senders and workers were told, the disk has. */

import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join as joinPath } from 'node:path'
import { describe, expect, it } from 'vitest'
import { openStore } from '../../../server/store/open.ts'
import { joinQueues, settlement } from '../../support/clients/jobs.ts'
import { Disk } from '../../support/disk/disk.ts'
import { killTraced, mayTrace, stepsOf, traceTo } from '../../support/disk/trace.ts'
import { folderPlace } from '../../support/hub/stores.ts'
import { runSeed, seededRandom } from '../../support/seed.ts'
import { diskFolder } from '../../support/temp.ts'
import { soak } from '../../support/tools.ts'

const QUEUE = 'work'
const CALLS = soak ? 400 : 40
const LOSSES = soak ? 200 : 10

describe.runIf(mayTrace())('a queue whose machine loses its power', () => {
  it('has every job that was acknowledged, and none that was done before', {
    timeout: soak ? 1_800_000 : 60_000,
  }, async () => {
    const random = seededRandom(runSeed('power loss under jobs'))
    const { steps, done } = await traced()
    // Before the first answer a new data file may be half there, which is told, and right.
    const answered = steps.findIndex((step) => step.kind === 'sent' && step.text.includes('"ids":['))
    const sends = steps.flatMap((step, at) => (step.kind === 'sent' && at >= answered ? [at] : []))
    const moments = new Set(random.shuffle(sends).slice(0, LOSSES))
    moments.add(steps.length - 1)
    const disk = new Disk()
    const sent = new Set<string>()
    let settled = 0
    for (const [at, step] of steps.entries()) {
      disk.apply(step)
      if (step.kind === 'sent') {
        for (const [, list = ''] of step.text.matchAll(/"ids":\[("[^\]]+")\]/g)) {
          for (const id of JSON.parse(`[${list}]`) as string[]) sent.add(id)
        }
        // One settlement is under way at a time: their answers come in the order of the calls.
        settled += [...step.text.matchAll(/"value":\["ok"\]/g)].length
      }
      if (!moments.has(at)) continue
      for (const image of [disk.image(), disk.image(random)]) {
        await survives(image, sent, done.slice(0, settled), done.slice(settled, settled + 1))
      }
    }
    expect(sent.size).toBeGreaterThan(CALLS)
    expect(settled).toBe(done.length)
  })

  /** A hub at work under strace, then killed; and what was settled, in this order. */
  async function traced() {
    const folder = await diskFolder()
    const data = joinPath(folder, 'data')
    const trace = joinPath(folder, 'trace')
    const hub = await folderPlace(data).spawn({ wrapper: traceTo(trace), deadlineMs: 40_000 })
    const sender = await joinQueues(hub.url)
    const worker = await joinQueues(hub.url, { client: 'w' })
    await worker.consume(QUEUE, { credit: 10, leaseMs: 60_000 })
    const done: string[] = []
    const working = (async () => {
      for (let i = 0; i < CALLS; i++) {
        const job = (await worker.jobsSeen(i + 1, 30_000))[i]
        if (job === undefined) return
        done.push(job.id)
        expect(await worker.settle(QUEUE, settlement(job))).toEqual(['ok'])
      }
    })()
    for (let i = 0; i < CALLS; i++) {
      await sender.send(QUEUE, { data: `x${'y'.repeat((i * 97) % 3_000)}` }, { data: i, key: `k${i % 5}` })
    }
    await working
    await killTraced(hub)
    return { steps: stepsOf(await readFile(trace, 'latin1'), joinPath(data, 'data.mdb')), done }
  }

  /** `doubtful`: asked to be settled, and not answered yet. */
  async function survives(
    image: Buffer,
    sent: ReadonlySet<string>,
    done: readonly string[],
    doubtful: readonly string[],
  ): Promise<void> {
    const folder = joinPath(await diskFolder(), 'data')
    await mkdir(folder)
    await writeFile(joinPath(folder, 'data.mdb'), image)
    const told: string[] = []
    const store = await openStore(folder, { warn: (message) => told.push(message) })
    const here = new Set<string>()
    for (const state of ['ready', 'held', 'delayed'] as const) {
      for (const { id, body } of await store.queues.jobs(QUEUE, { state, limit: 10_000 })) {
        expect(body, id).toBeDefined()
        here.add(id)
      }
    }
    for (const id of done) expect(here.has(id), `${id} was done and is back`).toBe(false)
    const gone = new Set([...done, ...doubtful])
    for (const id of sent) if (!gone.has(id)) expect(here.has(id), `${id} was acknowledged`).toBe(true)
    expect(told).toEqual([])
    await store.close()
  }
})
