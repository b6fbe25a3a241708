/** Looks at jobs, over a store that answers when the test says so. */

import { expect, it } from 'vitest'
import { program } from '../../../server/core/access.ts'
import { findJob } from '../../../server/core/queues/looks.ts'
import { Queues, type QueuesContext } from '../../../server/core/queues/queues.ts'
import type { Queues as StoredQueues } from '../../../server/store/contract/store.ts'
import { RepriseError } from '../../../shared/errors.ts'

it('the pages of jobs of all callers are asked for two at a time, in their order; a job by its id does not wait', async () => {
  const answers: (() => void)[] = []
  const asked: string[] = []
  const jobs: StoredQueues['jobs'] = (queue, query) => {
    asked.push(queue)
    if ('ids' in query) return Promise.resolve([])
    return new Promise((resolve, reject) => {
      answers.push(() => (queue === 'q1' ? reject(new Error('broken')) : resolve([])))
    })
  }
  const queues = new Queues({ store: { queues: { jobs } } } as unknown as QueuesContext)
  const looks = ['q0', 'q1', 'q2', 'q3', 'q4'].map((queue) =>
    queues.jobs(program(), queue, { state: 'ready', limit: 10 }).then(
      () => queue,
      () => 'broken',
    ),
  )
  await queues.jobs(program(), 'other', { ids: ['a'] })
  expect(asked).toEqual(['q0', 'q1', 'other'])
  answers[0]?.()
  answers[1]?.()
  expect(await Promise.all(looks.slice(0, 2))).toEqual(['q0', 'broken'])
  expect(asked).toEqual(['q0', 'q1', 'other', 'q2', 'q3'])
  while (answers.length < 5) {
    for (const answer of answers) answer()
    await Promise.race(looks.slice(2))
  }
  answers[4]?.()
  expect(await Promise.all(looks)).toEqual(['q0', 'broken', 'q2', 'q3', 'q4'])
})

it('a job is not told to be missing where its dead letters cannot be looked at', async () => {
  const jobs: StoredQueues['jobs'] = async (queue) => {
    if (queue === 'q') return []
    throw new RepriseError('unavailable', 'the store is away')
  }
  const queues = new Queues({ store: { queues: { jobs } } } as unknown as QueuesContext)
  await expect(findJob(queues, program(), 'q', 'a')).rejects.toMatchObject({ code: 'unavailable' })
})
