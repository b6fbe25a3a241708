/** Queues of many tenants, end to end: settings that are stored, drafts with groups and keys, and what is told of them. */

import { expect, test } from 'vitest'
import { startHub } from '../../support/hub/hub.ts'

test('two tenants take turns in a fair queue, by their groups or keys, and a rate of each group is explained', async () => {
  const { url } = await startHub()
  const ask = async (method: string, path: string, body?: unknown) => {
    const init = { method, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) ?? null }
    const answer = await fetch(`${url}/v1/queues/${path}`, init)
    return {
      ...((await answer.json()) as { readonly jobs?: readonly { readonly data: string }[] }),
      status: answer.status,
    }
  }
  const drafts = (label: object, count: number, data: string) =>
    Array.from({ length: count }, () => ({ data, ...label }))
  await ask('POST', 'mails/jobs', drafts({ group: 'a' }, 1_000, 'a'))
  await ask('POST', 'mails/jobs', drafts({ key: 'order', group: 'b' }, 2, 'b'))
  // Also for what is there already.
  expect(await ask('PUT', 'mails', { fair: true })).toMatchObject({ status: 200, settings: { fair: true } })
  expect((await ask('PUT', 'mails', { fair: 2 })).status).toBe(400)
  expect((await ask('POST', 'mails/jobs', { data: 1, group: '' })).status).toBe(400)
  const claim = async (max: number) => (await ask('POST', 'mails/claims', { max, waitMs: 5_000 })).jobs ?? []
  expect((await claim(3)).map(({ data }) => data)).toEqual(['a', 'b', 'a'])

  await ask('PUT', 'mails', { groupRate: 0.001 })
  await ask('POST', 'mails/jobs', { data: 'c', group: 'c', id: 'first' })
  await ask('POST', 'mails/jobs', { data: 'c', group: 'c', id: 'second' })
  const data: string[] = []
  while (!data.includes('c')) data.push(...(await claim(10)).map((job) => job.data))
  expect(data.filter((one) => one === 'a').length).toBeLessThanOrEqual(1)
  expect(await ask('GET', 'mails/jobs/second')).toMatchObject({
    group: 'c',
    why: expect.arrayContaining([{ reason: 'rate', text: 'mails delivers at most 0.001 of group c a second' }]),
  })
})
