/** The demo's namespace: what is live now, to whoever may subscribe, and nothing that was before. */

import { describe, expect, it } from 'vitest'
import { asking } from '../support/clients/ask.ts'
import { SECRET, tokenOf } from '../support/clients/tokens.ts'
import { joinNamespace, type Wire } from '../support/clients/wire.ts'
import { startHub } from '../support/hub/hub.ts'
import { until } from '../support/until.ts'

const hub = await startHub({ auth: { jwt: { secret: SECRET } } })
const { url } = hub
const token = await tokenOf('root')
const asRoot = { authorization: `Bearer ${token}` }
const ask = asking(url)

const publish = (topic: string, data: unknown) =>
  ask('POST', `/v1/topics/${topic}/events`, { data }, asRoot).then(({ status }) => expect(status).toBe(201))

async function enter(auth: object = {}): Promise<Wire> {
  const wire = await joinNamespace(url, '/demo', { token, ...auth })
  await wire.seen('live')
  return wire
}

describe('the namespace of the demo', () => {
  it('forwards what is live, and keeps nothing for who was away', async () => {
    await publish('demo', 'before')
    const first = await enter()
    expect(first.all('live')).toEqual([{ offset: 1 }])
    await publish('demo', 'one')
    await first.eventsSeen(1)
    first.cut()
    await first.disconnected
    await publish('demo', 'two')
    // Under a name it is not remembered either.
    const second = await enter({ client: 'someone' })
    await publish('demo', 'three')
    await second.eventsSeen(1)
    expect([...first.events(), ...second.events()].map(({ offset, data }) => [offset, data])).toEqual([
      [2, 'one'],
      [4, 'three'],
    ])
    expect(second.packets.map(({ name }) => name)).toEqual(['live', 'events'])
    const { body } = await ask<{ cursors: unknown[] }>('GET', '/v1/topics/demo/cursors', undefined, asRoot)
    expect(body.cursors).toEqual([])
    const seen = await ask<{ clients: object[] }>('GET', '/v1/clients?topic=demo', undefined, asRoot)
    expect(seen.body.clients).toMatchObject([{ subscriptions: 1, console: false, state: 'live' }])
  })

  it('is for topics of the demo, for whoever may subscribe to them, and as long as that lasts', async () => {
    await expect(joinNamespace(url, '/demo', {})).rejects.toMatchObject({ code: 'unauthorized' })
    await expect(joinNamespace(url, '/demo', { token, topic: 'orders' })).rejects.toMatchObject({ code: 'bad_request' })
    const reading = await tokenOf('ann', { grants: [{ actions: ['read'], names: ['demo*'] }] })
    await expect(joinNamespace(url, '/demo', { token: reading })).rejects.toMatchObject({ code: 'forbidden' })
    const ann = await tokenOf('ann', { grants: [{ actions: ['subscribe'], names: ['demo.a'] }] })
    const wire = await enter({ token: ann, topic: 'demo.a' })
    expect(await wire.call('publish', [{ data: 1 }])).toMatchObject({ ok: false, error: { code: 'bad_request' } })
    expect(await wire.call('auth', { token: reading })).toMatchObject({ ok: true })
    await wire.disconnected
    expect(wire.packets.at(-1)).toMatchObject({ name: 'error', args: [{ code: 'forbidden' }] })
  })

  it('leaves out what somebody does not read, and goes on behind it', async () => {
    const topic = 'demo.flood'
    const [slow, quick] = [await enter({ topic }), await enter({ topic })]
    const { engine } = slow.socket.io
    const raw = (engine.transport as unknown as { ws: { _socket: { pause(): void; resume(): void } } }).ws._socket
    raw.pause()
    const text = 'x'.repeat(200_000)
    for (let i = 1; i <= 60; i++) {
      await publish(topic, text)
      await quick.eventsSeen(i)
    }
    raw.resume()
    await until(
      async () => {
        await publish(topic, 'end')
        return slow.events().at(-1)?.data === 'end'
      },
      { what: 'what is published once it reads again' },
    )
    expect(slow.events().filter(({ data }) => data === text).length).toBeLessThan(60)
  })

  it('is not there where the hub has no console, and neither is its page', async () => {
    const without = await startHub({ console: false })
    await expect(joinNamespace(without.url, '/demo')).rejects.toMatchObject({ code: 'not_found' })
    expect((await fetch(`${without.url}/demo`)).status).toBe(404)
  })
})
