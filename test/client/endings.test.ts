import { describe, expect, it } from 'vitest'
import { nextPublish, startFakeHub } from '../support/sdk/fakeHub.ts'
import { open } from '../support/sdk/handles.ts'
import { seen, start, subscriber } from '../support/sdk/subscriber.ts'
import { until } from '../support/until.ts'

describe('the end', () => {
  it('comes with close: the running handler returns, its event is acknowledged, the rest is not begun', async () => {
    let release = () => {}
    const { fake, sub, got } = await subscriber({}, { client: 'me' }, () => new Promise<void>((r) => (release = r)))
    const guest = await fake.guest()
    guest.subscribed(start(0))
    guest.events('a', [1, 2])
    await seen(got, 1)
    const closed = sub.close()
    release()
    const ack = await fake.call('ack')
    expect(ack.args).toEqual([start(1)])
    ack.reply(start(1))
    await closed
    expect(await sub.ended).toEqual({ code: 'closed' })
    expect(got).toEqual([1])
    await guest.left
  })

  it.each(['taken_over', 'forbidden'] as const)('comes with %s, and nobody comes back', async (code) => {
    const { fake, sub } = await subscriber({}, { client: 'me' })
    const guest = await fake.guest()
    guest.subscribed(start(0))
    guest.end(code)
    expect(await sub.ended).toMatchObject({ code, error: { code } })
    expect(sub.status).toMatchObject({ state: 'ended', reason: { code } })
    await until(() => fake.transports === 0)
    expect(fake.opened).toBe(1)
  })

  it('comes with a gap only after what came before it was handled and the gap was told', async () => {
    const { fake, sub, log } = await subscriber({ onGap: 'fail' }, {}, () => Promise.resolve())
    sub.onGap(() => log.push('gap'))
    const guest = await fake.guest()
    guest.subscribed(start(0))
    guest.events('a', [1, 2])
    guest.gap({ epoch: 'a', from: 3, to: 4, count: 2, reason: 'trimmed', position: start(4) })
    guest.end('gap')
    expect(await sub.ended).toMatchObject({ code: 'gap' })
    expect(log).toEqual(['catching-up', 'event 1', 'event 2', 'gap', 'ended'])
  })

  it('comes when the handshake is refused for good', async () => {
    const fake = await startFakeHub()
    fake.refuse('forbidden')
    const sub = open(fake.url)
      .topic('orders')
      .subscribe(() => {})
    expect(await sub.ended).toMatchObject({ code: 'forbidden' })
  })

  it('of one leaves publishing on the same topic as it was', async () => {
    const { fake, topic, sub } = await subscriber({}, { client: 'me' })
    const guest = await fake.guest()
    guest.subscribed(start(0))
    await until(() => sub.position)
    const outcome = topic.publish('x')
    await fake.call('publish')
    guest.end('taken_over')
    expect(await sub.ended).toMatchObject({ code: 'taken_over' })
    const again = await fake.guest()
    expect(again.auth.from).toBe('none')
    ;(await nextPublish(fake)).kept(1)
    await outcome
  })
})

describe('sharing a namespace', () => {
  it('joins again to subscribe where it had joined to publish, and loses no reply for good', async () => {
    const fake = await startFakeHub()
    const topic = open(fake.url, { client: 'me' }).topic('orders')
    const outcome = topic.publish('x')
    expect((await fake.guest()).auth.from).toBe('none')
    const first = await nextPublish(fake)
    topic.subscribe(() => {}, { from: 'start' })
    expect((await fake.guest()).auth.from).toBe('start')
    const again = await nextPublish(fake)
    expect(again.row).toEqual(first.row)
    again.kept(1)
    expect(await outcome).toMatchObject({ offset: 1 })
  })

  it('gives a second subscription of a topic a connection of its own, and closes it with it', async () => {
    const { fake, topic, sub } = await subscriber({ from: 'start' })
    await fake.guest()
    const second = topic.subscribe(() => {}, { from: 'end' })
    expect((await fake.guest()).auth.from).toBe('end')
    expect(fake.transports).toBe(2)
    await second.close()
    await until(() => fake.transports === 1)
    expect(sub.status.state).not.toBe('ended')
  })

  it('uses the connection again after the first subscription was closed', async () => {
    const { fake, topic, sub } = await subscriber()
    await fake.guest()
    await sub.close()
    topic.subscribe(() => {}, { from: 'start' })
    expect((await fake.guest()).auth.from).toBe('start')
    await until(() => fake.transports === 1)
  })

  it('puts all topics on one connection', async () => {
    const fake = await startFakeHub()
    const hub = open(fake.url)
    for (let i = 0; i < 20; i++) hub.topic(`t${i}`).subscribe(() => {})
    for (let i = 0; i < 20; i++) (await fake.guest()).subscribed(start(0))
    expect(fake.opened).toBe(1)
  })

  it('keeps the other topics connected when one is left', async () => {
    const fake = await startFakeHub()
    const hub = open(fake.url)
    const one = hub.topic('one').subscribe(() => {})
    const two = hub.topic('two').subscribe(() => {})
    await Promise.all([fake.guest(), fake.guest()])
    await one.close()
    expect(two.status.state).not.toBe('offline')
    expect(fake.transports).toBe(1)
  })
})
