import { expect, it } from 'vitest'
import { joinQueues, settlement } from '../../support/clients/jobs.ts'
import { startHub } from '../../support/hub/hub.ts'

it('a newer consumer ends the older one of its queue, and nothing else on that connection', async () => {
  const { url } = await startHub()
  const old = await joinQueues(url, { client: 'printer' })
  await old.consume('pages', { credit: 1 })
  await old.consume('photos', { credit: 1 })
  const young = await joinQueues(url, { client: 'printer' })
  await young.consume('pages', { credit: 1 })
  expect(await old.seen('error')).toMatchObject({ code: 'taken_over', queue: 'pages' })

  await young.send('pages', { data: 1 })
  expect(await young.jobsSeen(1)).toMatchObject([{ data: 1 }])
  await young.send('photos', { data: 2 })
  const [photo] = await old.jobsSeen(1)
  expect(photo).toMatchObject({ queue: 'photos', data: 2 })
  if (photo !== undefined) expect(await old.settle('photos', settlement(photo))).toEqual(['ok'])

  // With its last consumer the connection is over.
  await young.consume('photos', { credit: 1 })
  expect(await old.disconnected).toBe('io server disconnect')
  expect(old.packets.at(-1)).toMatchObject({ name: 'error', args: [{ code: 'taken_over', queue: 'photos' }] })
})
