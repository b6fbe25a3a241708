/** A copy of the store comes back as docs/operations.md says: the hub of the past, and clients are told what is gone. */

import { copyFile, mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { createTestHub, type TestHub } from '../../server/testing.ts'
import type { Job } from '../../shared/queues.ts'
import { asking } from '../support/clients/ask.ts'
import { join as enter } from '../support/clients/wire.ts'
import { atEnd } from '../support/ending.ts'
import { startRedis } from '../support/redis/redis.ts'
import { tempFolder } from '../support/temp.ts'
import { has } from '../support/tools.ts'

async function open(store: string): Promise<TestHub> {
  const hub = await createTestHub({ store })
  atEnd(() => hub.close())
  return hub
}

async function claim(url: string): Promise<Job[]> {
  const { body } = await asking(url)<{ jobs: Job[] }>('POST', '/v1/queues/emails/claims', { max: 10 })
  return body.jobs
}

/** Three events, of which the client `c` has seen two, and a job. */
async function fill({ hub, url }: TestHub): Promise<void> {
  await hub.topic('orders').publishAll([{ data: 1 }, { data: 2 }, { data: 3 }])
  const wire = await enter(url, 'orders', { client: 'c', from: 'start' })
  const { position } = await wire.seen('subscribed')
  await wire.value('ack', { ...position, offset: 2 })
  wire.close()
  await hub.queue('emails').send('to ann')
}

/** What is gone when the copy comes back. Gives the position of somebody who has seen all of it. */
async function goOn({ hub, url }: TestHub) {
  await hub.topic('orders').publishAll([{ data: 4 }, { data: 5 }])
  const [job] = await claim(url)
  await asking(url)('POST', '/v1/queues/emails/settlements', [{ id: job?.id, lease: job?.lease, as: 'done' }])
  return await hub.topic('orders').head()
}

async function checkPast({ hub, url }: TestHub, seen: { epoch: string; offset: number }): Promise<void> {
  expect((await hub.topic('orders').read()).events.map(({ data }) => data)).toEqual([1, 2, 3])
  const back = await enter(url, 'orders', { client: 'c', from: 'cursor' })
  expect((await back.eventsSeen(1)).map(({ data }) => data)).toEqual([3])
  const ahead = await enter(url, 'orders', { from: seen })
  expect(await ahead.seen('gap')).toMatchObject({ reason: 'reset' })
  await hub.topic('orders').publish('new')
  // The copy does not know this client's epoch, so it is shown all that there is.
  expect((await ahead.eventsSeen(4)).map(({ data }) => data)).toEqual([1, 2, 3, 'new'])
  expect((await hub.topic('orders').head()).epoch).not.toBe(seen.epoch)
  expect((await claim(url)).map(({ data }) => data)).toEqual(['to ann'])
}

it('on a folder: data.mdb, copied while no hub runs, put in the place of a lost one', async () => {
  const [folder, backup] = [join(await tempFolder(), 'data'), await tempFolder()]
  const before = await open(folder)
  await fill(before)
  await before.close()
  await copyFile(join(folder, 'data.mdb'), join(backup, 'data.mdb'))
  const after = await open(folder)
  const seen = await goOn(after)
  await after.close()

  await rm(folder, { recursive: true })
  await mkdir(folder)
  await copyFile(join(backup, 'data.mdb'), join(folder, 'data.mdb'))
  await checkPast(await open(folder), seen)
})

it.runIf(has('redis-server', 'redis-cli'))(
  'on Redis: a snapshot over the network, put in the place of its files',
  async () => {
    const redis = await startRedis({ appendonly: 'yes', appendfsync: 'always' })
    const backup = join(await tempFolder(), 'dump.rdb')
    const before = await open(redis.url)
    await fill(before)
    await redis.cli('--rdb', backup)
    const seen = await goOn(before)
    await before.close()

    await redis.kill()
    await rm(join(redis.folder, 'appendonlydir'), { recursive: true })
    await copyFile(backup, join(redis.folder, 'dump.rdb'))
    await redis.restart({ appendonly: 'no' })
    await redis.cli('config', 'set', 'appendonly', 'yes')
    await checkPast(await open(redis.url), seen)
  },
)
