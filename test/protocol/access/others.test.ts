/** What belongs to somebody else, for one who may do the same on the same topics and queues. */

import { beforeAll, expect, it } from 'vitest'
import { type Ask, asking } from '../../support/clients/ask.ts'
import { SECRET, tokenOf } from '../../support/clients/tokens.ts'
import { join, joinNamespace, type Wire } from '../../support/clients/wire.ts'
import { startHub } from '../../support/hub/hub.ts'
import { until } from '../../support/until.ts'

const EVERYTHING_BUT_ADMIN = ['publish', 'subscribe', 'read', 'send', 'request', 'consume'] as const
const forbidden = { code: 'forbidden' }

let url: string
let ask: Ask
let tokens: Record<'ann' | 'bob' | 'root', string>

beforeAll(async () => {
  const hub = await startHub({ auth: { jwt: { secret: SECRET } } })
  url = hub.url
  ask = asking(url)
  const grants = [{ actions: EVERYTHING_BUT_ADMIN, names: ['*'] }]
  tokens = {
    ann: await tokenOf('ann', { grants }),
    bob: await tokenOf('bob', { grants }),
    root: await tokenOf('root'),
  }
})

const as = (who: keyof typeof tokens) => ({ authorization: `Bearer ${tokens[who]}` })
const queuesOf = (who: keyof typeof tokens): Promise<Wire> => joinNamespace(url, '/queues', { token: tokens[who] })

it('a cursor is not seen, moved, taken over or forgotten', async () => {
  const ann = await join(url, 'cursors', { token: tokens.ann, client: 'phone', from: 'start' })
  await ann.value('publish', [{ data: 1 }, { data: 2 }])
  const { position } = await ann.seen('subscribed')
  await ann.value('ack', { ...position, offset: 1 })
  const bob = await join(url, 'cursors', { token: tokens.bob, client: 'phone', from: 'start' })
  await bob.eventsSeen(2)
  await bob.value('ack', { ...position, offset: 2 })
  expect(ann.socket.connected).toBe(true)
  const cursors = '/v1/topics/cursors/cursors'
  const phone = `${cursors}/phone?subject=ann`
  for (const [method, path, body] of [
    ['GET', cursors],
    ['PUT', phone, { from: 'end' }],
    ['DELETE', phone],
  ] as const) {
    expect(await ask(method, path, body, as('bob'))).toMatchObject({ status: 403, body: forbidden })
  }
  expect((await ask<{ cursors: object[] }>('GET', cursors, undefined, as('root'))).body.cursors).toMatchObject([
    { subject: 'ann', client: 'phone', position: { offset: 1 } },
    { subject: 'bob', client: 'phone', position: { offset: 2 } },
  ])
})

it('what has not come yet is waited for by those who may subscribe, and by nobody who may only read', async () => {
  const reader = await tokenOf('reader', { grants: [{ actions: ['read'], names: ['*'] }] })
  const headers = { authorization: `Bearer ${reader}` }
  const page = '/v1/topics/waited/events'
  expect(await ask('GET', page, undefined, headers)).toMatchObject({ status: 200 })
  expect((await fetch(`${url}/v1/topics/waited/stream`, { method: 'HEAD', headers })).status).toBe(403)
  for (const query of ['?waitMs=30000', '?waitMs=30000&text=x']) {
    expect(await ask('GET', page + query, undefined, headers)).toMatchObject({ status: 403, body: forbidden })
  }
})

it('a row of a producer and the id of a draft are not taken for the own ones', async () => {
  const [ann, bob] = await Promise.all((['ann', 'bob'] as const).map((who) => queuesOf(who)))
  const row = { producer: 'p', seq: 1 }
  for (const wire of [ann, bob]) {
    const sent = await wire?.value('send', 'rows', [{ data: 1, id: 'same' }], row)
    expect(sent).toMatchObject({ duplicates: 0 })
  }
})

it('a lease is told to its holder alone, and nobody settles without it', async () => {
  const [ann, bob] = await Promise.all([queuesOf('ann'), queuesOf('bob')])
  const { ids } = await ann.value<{ ids: string[] }>('send', 'leases', [{ data: 1 }])
  const [id = ''] = ids
  const claimed = await ask<{ jobs: { lease: string }[] }>('POST', '/v1/queues/leases/claims', {}, as('ann'))
  const lease = claimed.body.jobs[0]?.lease ?? ''
  const seen = await Promise.all([
    ask('GET', '/v1/queues/leases/jobs?state=held', undefined, as('bob')),
    ask('GET', `/v1/queues/leases/jobs/${id}`, undefined, as('root')),
    ask('GET', '/v1/queues/leases', undefined, as('root')),
  ])
  for (const { status, body } of seen) {
    expect(status).toBe(200)
    expect(JSON.stringify(body)).not.toContain(lease)
  }
  for (const guess of ['x', id, lease.slice(0, -1)]) {
    expect(await bob.value('settle', 'leases', [{ id, lease: guess, as: 'done' }])).toEqual(['lost'])
  }
  expect(await ann.value('settle', 'leases', [{ id, lease, as: 'done' }])).toEqual(['ok'])
})

it('a job that waits is removed by its sender and by whoever manages the queue', async () => {
  const [ann, bob, root] = await Promise.all([queuesOf('ann'), queuesOf('bob'), queuesOf('root')])
  const { ids } = await ann.value<{ ids: string[] }>('send', 'removing', [{ data: 1 }, { data: 2 }, { data: 3 }])
  await expect(bob.value('remove', 'removing', ids[0])).rejects.toMatchObject(forbidden)
  expect(await ask('DELETE', `/v1/queues/removing/jobs/${ids[0]}`, undefined, as('bob'))).toMatchObject({ status: 403 })
  expect(await ann.value('remove', 'removing', ids[0])).toBe(true)
  expect(await ask('DELETE', `/v1/queues/removing/jobs/${ids[1]}`, undefined, as('ann'))).toMatchObject({ status: 204 })
  expect(await root.value('remove', 'removing', ids[2])).toBe(true)
})

it('the reply to a request goes to whoever asked, also where two use the same id', async () => {
  const [ann, bob, worker] = await Promise.all([queuesOf('ann'), queuesOf('bob'), queuesOf('root')])
  const asked = [ann, bob].map((wire, n) => wire.value('request', 'asking', { data: n, id: 'same' }))
  await worker.value('consume', 'asking', { credit: 2 })
  const handed = () =>
    worker.packets
      .filter(({ name }) => name === 'jobs')
      .flatMap(({ args }) => args[1] as { id: string; lease: string; data: number }[])
  await until(() => handed().length === 2, { what: 'both jobs' })
  for (const { id, lease, data } of handed()) {
    await worker.value('settle', 'asking', [{ id, lease, as: 'done', reply: `for ${data}` }])
  }
  expect(await Promise.all(asked)).toEqual(['for 0', 'for 1'])
})

it('dead letters are as their queue: seen with read, taken with consume, brought back and removed with admin', async () => {
  const root = await queuesOf('root')
  const { ids } = await root.value<{ ids: string[] }>('send', 'dying', [{ data: 'secret' }])
  const claimed = await ask<{ jobs: { lease: string }[] }>('POST', '/v1/queues/dying/claims', {}, as('root'))
  await root.value('settle', 'dying', [{ id: ids[0], lease: claimed.body.jobs[0]?.lease, as: 'dead' }])
  const eve = {
    authorization: `Bearer ${await tokenOf('eve', { grants: [{ actions: ['*'], names: ['*.dead', 'other'] }] })}`,
  }
  const calls = [
    ['GET', '/jobs'],
    ['GET', `/jobs/${ids[0]}`],
    ['POST', '/claims'],
    ['DELETE', `/jobs/${ids[0]}`],
    ['POST', '/redrive'],
    ['POST', '/purge'],
  ] as const
  for (const [method, path] of calls) {
    for (const queue of ['dying', 'dying/dead']) {
      const refused = await ask(method, `/v1/queues/${queue}${path}`, undefined, eve)
      expect(refused, `${method} ${queue}${path}`).toMatchObject({ status: 403, body: forbidden })
      expect(JSON.stringify(refused.body)).not.toContain('secret')
    }
  }
  expect(await ask('GET', '/v1/queues/dying/dead/jobs', undefined, as('bob'))).toMatchObject({
    body: { jobs: [{ data: 'secret' }] },
  })
  for (const path of ['/redrive', '/purge']) {
    expect(await ask('POST', `/v1/queues/dying/dead${path}`, undefined, as('bob'))).toMatchObject({ status: 403 })
  }
  expect(await ask('POST', '/v1/queues/dying/redrive', {}, as('root'))).toMatchObject({ body: { moved: 1 } })
})

it('what the console lists is for whoever may do everything; the page itself is for all', async () => {
  for (const path of ['/v1/topics', '/v1/queues', '/v1/revocations']) {
    expect(await ask('GET', path, undefined, as('bob'))).toMatchObject({ status: 403, body: forbidden })
    expect(await ask('GET', path)).toMatchObject({ status: 401 })
  }
  for (const path of ['/healthz', '/readyz', '/openapi.json']) expect((await ask('GET', path)).status).toBe(200)
})

it('whoever binds a queue to a topic may subscribe to it', async () => {
  const grants = [
    { actions: ['admin'], names: ['bound'] },
    { actions: ['subscribe'], names: ['open'] },
  ]
  const carol = { authorization: `Bearer ${await tokenOf('carol', { grants })}` }
  const bind = (topic: string) => ask('PUT', '/v1/queues/bound', { from: [topic] }, carol)
  expect(await bind('closed')).toMatchObject({ status: 403, body: forbidden })
  expect(await bind('open')).toMatchObject({ status: 200 })
})
