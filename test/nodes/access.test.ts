/** What one node gives or takes away holds on every node of the store. */

import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { asking } from '../support/clients/ask.ts'
import { SECRET, tokenOf } from '../support/clients/tokens.ts'
import { joinNamespace, join as joinTopic } from '../support/clients/wire.ts'
import { startHub } from '../support/hub/hub.ts'
import { spawnHub } from '../support/hub/process.ts'
import { startRelay } from '../support/network/relay.ts'
import { startRedis } from '../support/redis/redis.ts'
import { tempFolder } from '../support/temp.ts'
import { has } from '../support/tools.ts'
import { until, within } from '../support/until.ts'

it.runIf(has('redis-server'))(
  'a revocation ends what is open on another node, and a ticket opens one stream on any',
  async () => {
    const { url: store } = await startRedis()
    const auth = { jwt: { secret: SECRET } }
    const [one, two] = await Promise.all([startHub({ store, auth }), startHub({ store, auth })])
    const admin = { authorization: `Bearer ${await tokenOf('root')}` }
    const token = await tokenOf('ann', { claims: { jti: 'one' } })
    const other = await tokenOf('ann', { claims: { jti: 'two' } })
    const bearer = { authorization: `Bearer ${token}` }

    const { body: given } = await asking(one.url)<{ ticket: string }>('POST', '/v1/tickets', undefined, bearer)
    const opened = await fetch(`${two.url}/v1/topics/orders/stream?ticket=${given.ticket}`)
    expect(opened.status).toBe(200)
    const again = await asking(one.url)('GET', `/v1/topics/orders/stream?ticket=${given.ticket}`)
    expect(again).toMatchObject({ status: 401, body: { code: 'unauthorized' } })

    const [topic, queues, kept] = await Promise.all([
      joinTopic(two.url, 'orders', { token }),
      joinNamespace(two.url, '/queues', { token }),
      joinTopic(two.url, 'orders', { token: other }),
    ])
    await queues.value('consume', 'emails', { credit: 1 })
    await one.hub.topic('orders').publish(1)
    const poll = asking(two.url)('GET', '/v1/topics/orders/events?waitMs=20000&after=1', undefined, bearer)
    const subscribers = async () =>
      (await asking(two.url)<{ subscribers: number }>('GET', '/v1/topics/orders', undefined, admin)).body.subscribers
    await until(async () => (await subscribers()) === 4, { what: 'the poll to wait beside two sockets and a stream' })
    const revoked = await asking(one.url)<{ id: string }>('POST', '/v1/revocations', { tokenId: 'one' }, admin)
    expect(revoked).toMatchObject({
      status: 201,
      body: { tokenId: 'one', at: expect.any(Number), until: expect.any(Number) },
    })
    await within(Promise.all([topic.disconnected, queues.disconnected]), 20_000, 'the end of the sessions')
    expect(topic.packets.at(-1)?.args[0]).toMatchObject({ code: 'unauthorized', message: 'the token was revoked' })
    expect(await opened.text()).toContain('event: end\ndata: {"code":"unauthorized"')
    // Long before it would be over by itself.
    expect(await within(poll, 15_000, 'the end of the poll')).toMatchObject({ status: 401 })
    expect(kept.socket.connected).toBe(true)
    await expect(joinTopic(one.url, 'orders', { token })).rejects.toMatchObject({ code: 'unauthorized' })

    await asking(two.url)('DELETE', `/v1/revocations/${revoked.body.id}`, undefined, admin)
    expect((await asking(two.url)('GET', '/v1/revocations', undefined, admin)).body).toEqual({ revocations: [] })
    await joinTopic(two.url, 'orders', { token })
  },
)

/** For `--import`: a machine whose clock is so far ahead. */
function clockAhead(ms: number): string {
  const code = `const { now } = Date; Date.now = () => now() + (${ms})`
  return `--import data:text/javascript,${encodeURIComponent(code)}`
}

it.runIf(has('redis-server')).each([
  ['ahead', 300_000],
  ['behind', -300_000],
])('a node whose clock is minutes %s revokes what was issued before, and nothing that comes later', async (_, ms) => {
  const { url: store } = await startRedis()
  const config = join(await tempFolder(), 'reprise.yaml')
  await writeFile(config, `auth: { jwt: { secret: ${JSON.stringify(SECRET)} } }\n`)
  const env = { NODE_OPTIONS: clockAhead(ms) }
  const [odd, plain] = await Promise.all([
    spawnHub({ store, args: ['--config', config], env }),
    startHub({ store, auth: { jwt: { secret: SECRET } } }),
  ])
  const bearer = async (sub: string, claims = {}) => ({
    authorization: `Bearer ${await tokenOf(sub, { ttlMs: 3_600_000, claims })}`,
  })
  const seconds = Math.floor(Date.now() / 1_000)
  const before = await bearer('ann', { iat: seconds - 10 })
  const [asked, other] = [asking(odd.url), asking(plain.url)]
  await asked('POST', '/v1/revocations', { subject: 'ann' }, await bearer('root'))
  const later = await bearer('ann', { iat: seconds + 30 })
  for (const ask of [asked, other]) {
    await until(async () => (await ask('GET', '/v1/me', undefined, before)).status === 401)
    expect(await ask('GET', '/v1/me', undefined, later)).toMatchObject({ status: 200 })
  }
})

it.runIf(has('redis-server'))(
  'a node that is cut off from the store tells nobody who a token is, as it may be revoked',
  async () => {
    const redis = await startRedis()
    const relay = await startRelay(redis.url.replace('redis', 'http'))
    const auth = { jwt: { secret: SECRET } }
    const near = await startHub({ store: redis.url, auth })
    const far = await startHub({ store: relay.url.replace('http', 'redis'), auth })
    const admin = { authorization: `Bearer ${await tokenOf('root')}` }
    const bearer = { authorization: `Bearer ${await tokenOf('ann', { claims: { jti: 'one' } })}` }
    const askAs = (headers: typeof admin, path: string) => asking(far.url)('GET', path, undefined, headers)
    expect(await askAs(bearer, '/v1/me')).toMatchObject({ status: 200 })
    relay.blackHole(true)
    await asking(near.url)('POST', '/v1/revocations', { tokenId: 'one' }, admin)
    const answers = await Promise.all([askAs(bearer, '/v1/me'), askAs(admin, '/v1/revocations')])
    expect(answers).toMatchObject([{ status: 503 }, { status: 503 }])
    relay.blackHole(false)
    const after = () => askAs(bearer, '/v1/me')
    await until(async () => (await after()).status === 401, {
      what: 'the revocation to be heard of',
      deadlineMs: 15_000,
    })
  },
)
