/** A queue that pauses itself, as those see it who run the hub. */

import { expect, test } from 'vitest'
import { startHub } from '../../support/hub/hub.ts'

test('a breaker pauses a queue whose jobs fail, and everybody is told why until it is resumed', async () => {
  const { url } = await startHub({ queues: { 'mail.*': { breaker: { share: 0.5, min: 2 } } } })
  const ask = async (method: string, path: string, body?: unknown) => {
    const init = { method, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) ?? null }
    return (await (await fetch(`${url}/v1/${path}`, init)).json()) as Record<string, unknown>
  }
  const jobs = 'queues/mail.out/jobs'
  await ask(
    'POST',
    jobs,
    [1, 2, 3, 4].map((data) => ({ data, id: `job-${data}` })),
  )
  for (let i = 0; i < 2; i++) {
    const { jobs: claimed } = await ask('POST', 'queues/mail.out/claims', { waitMs: 5_000 })
    const [job] = claimed as { id: string; lease: string }[]
    await ask('POST', 'queues/mail.out/settlements', [
      { id: job?.id, lease: job?.lease, as: 'dead', reason: 'no mail server' },
    ])
  }
  const paused = await ask('GET', 'queues/mail.out')
  expect(paused).toMatchObject({
    paused: true,
    tripped: { dead: 2, ended: 2, at: expect.any(Number) },
    settings: { breaker: { share: 0.5, min: 2 } },
  })
  expect((await ask('POST', 'queues/mail.out/claims', {})).jobs).toEqual([])
  expect((await ask('GET', `${jobs}/job-3`)).why).toContainEqual({
    reason: 'paused',
    text: 'mail.out is paused, by itself: 2 of 2 jobs went to the dead letters within a minute',
  })
  expect(await (await fetch(`${url}/metrics`)).text()).toContain('reprise_breakers_tripped_total{pattern="mail.*"} 1')

  await ask('POST', 'queues/mail.out/resume')
  const resumed = await ask('GET', 'queues/mail.out')
  expect(resumed).toMatchObject({ paused: false })
  expect(resumed).not.toHaveProperty('tripped')
  expect((await ask('POST', 'queues/mail.out/claims', { waitMs: 5_000 })).jobs).toHaveLength(1)
})
