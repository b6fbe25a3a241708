/** Requests whose asker and answerer are on different hubs: each has its own answer, or is told why it has none. */

import { expect, it } from 'vitest'
import type { Job } from '../../../shared/queues.ts'
import { type JobWire, joinQueues } from '../../support/clients/jobs.ts'
import { startHub } from '../../support/hub/hub.ts'
import { describeStores } from '../../support/hub/stores.ts'

const ASKED = 1_000

describeStores('requests on $name', (store) => {
  /** One hub, or three on one Redis; `at` gives them in turn. */
  const startHubs = async () => {
    const { location } = await store.place()
    const count = store.name === 'redis' ? 3 : 1
    const urls: string[] = []
    for (let i = 0; i < count; i++) urls.push((await startHub({ store: location })).url)
    return (n: number): string => urls[n % urls.length] ?? ''
  }

  const answer = async (url: string, reply: (data: number) => unknown): Promise<JobWire> => {
    const wire = await joinQueues(url)
    wire.socket.on('jobs', (queue: string, jobs: readonly Job<number>[]) => {
      const done = jobs.map(({ id, lease, data }) => ({ id, lease, as: 'done', reply: reply(data) }))
      wire.socket.emit('settle', queue, done, () => {})
    })
    await wire.consume('work', { credit: 50 })
    return wire
  }

  it('at once, a thousand of them, each get their own answer', { timeout: 40_000 }, async () => {
    const at = await startHubs()
    for (let i = 0; i < 3; i++) await answer(at(i), (data) => ({ double: data * 2 }))
    const asking = await Promise.all([0, 1, 2].map((i) => joinQueues(at(i), {}, { deadlineMs: 30_000 })))
    const answers = await Promise.all(
      Array.from({ length: ASKED }, (_, data) =>
        asking[data % 3]?.value('request', 'work', { data }, { timeoutMs: 25_000 }),
      ),
    )
    expect(answers).toEqual(Array.from({ length: ASKED }, (_, data) => ({ double: data * 2 })))
  })

  it('end at the deadline with timeout, and at once with failed when the job is dead on another hub', async () => {
    const at = await startHubs()
    const [asking, working] = [await joinQueues(at(0)), await joinQueues(at(1))]
    expect(await asking.call('request', 'nobody', { data: 1 }, { timeoutMs: 200 })).toMatchObject({
      error: { code: 'timeout', retryable: true },
    })
    const asked = asking.call('request', 'work', { data: 1 }, { timeoutMs: 30_000 })
    await working.consume('work', { credit: 1 })
    const [job] = (await working.jobsSeen(1)) as [Job]
    await working.settle('work', { id: job.id, lease: job.lease, as: 'dead', reason: 'cannot' })
    expect(await asked).toMatchObject({ error: { code: 'failed', retryable: false } })
  })

  it('of an asker that comes back elsewhere are the same ones, done once', async () => {
    const at = await startHubs()
    const [first, working] = [await joinQueues(at(0)), await joinQueues(at(1))]
    first.call('request', 'work', { data: 1, id: 'r-1' }).catch(() => {})
    await working.consume('work', { credit: 5 })
    const [job] = (await working.jobsSeen(1)) as [Job]
    first.cut()
    const again = await joinQueues(at(2))
    const asked = again.value('request', 'work', { data: 1, id: 'r-1' })
    await working.settle('work', { id: job.id, lease: job.lease, as: 'done', reply: 'once' })
    expect(await asked).toBe('once')
    const last = await joinQueues(at(0))
    expect(await last.value('request', 'work', { data: 1, id: 'r-1' })).toBe('once')
    expect(working.jobs()).toHaveLength(1)
  })
})
