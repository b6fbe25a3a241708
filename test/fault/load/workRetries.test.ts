/** A job that fails very often: it comes back each time, and its queue forgets none beside it. */

import { expect, it } from 'vitest'
import { joinQueues } from '../../support/clients/jobs.ts'
import { startHub } from '../../support/hub/hub.ts'
import { describeStores } from '../../support/hub/stores.ts'

const TIMES = 60

describeStores('a job on $name', (store) => {
  it(`that is retried ${TIMES} times comes back each time`, { timeout: 30_000 }, async () => {
    const { location } = await store.place()
    const { url } = await startHub({ store: location, queues: { '*': { maxAttempts: 1_000 } } })
    const wire = await joinQueues(url)
    await wire.consume('work', { credit: 1 })
    await wire.send('work', { data: 1 })
    for (let time = 0; time < TIMES; time++) {
      const job = (await wire.jobsSeen(time + 1)).at(-1)
      if (job === undefined) throw new Error('no job')
      expect(job.attempts).toBe(time)
      const { id, lease } = job
      expect(await wire.settle('work', { id, lease, as: 'retry', delayMs: 2 })).toEqual(['ok'])
    }
    expect(await wire.jobsSeen(TIMES + 1)).toHaveLength(TIMES + 1)
  })
})
