import type { WebSocket } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openContext, openPage } from '../support/browser/chromium.ts'
import { allHere, Demo } from '../support/browser/demo.ts'
import { DemoVisit, LOST_CONNECTIONS } from '../support/browser/demoVisit.ts'
import { has } from '../support/tools.ts'
import { until } from '../support/until.ts'

const FULL_RATE = 9

describe.runIf(has('chromium'))('the replay demo', () => {
  const visit = new DemoVisit()

  beforeAll(() => visit.begin())
  afterAll(() => visit.end())

  it('replays what one subscriber missed: all of it, marked, counted, in order, once', async () => {
    const { demo } = await visit.open()
    await demo.publish(5)
    await demo.says('fickle', allHere(5))
    await demo.toggle()
    await demo.reaches('fickle', 'cut')
    await demo.burst()
    await demo.published(305)
    expect(await demo.says('fickle', 'Away: 300 missed so far')).toMatchObject({ missed: 300, replayed: 0, lost: 0 })
    expect(await demo.says('steady', allHere(305))).toMatchObject({ missed: 0, replayed: 0, lost: 0, twice: 0 })

    await demo.toggle()
    await demo.says('fickle', allHere(305))
    await demo.publish(7)
    expect(await demo.says('fickle', allHere(312))).toEqual({
      state: 'live',
      verdict: allHere(312),
      missed: 300,
      replayed: 300,
      lost: 0,
      twice: 0,
    })
    expect(await demo.says('steady', allHere(312))).toMatchObject({ missed: 0, replayed: 0, lost: 0, twice: 0 })
    // Over plain Socket.IO, from the same server, nothing came again.
    expect(await demo.says('plain', '300 events lost')).toMatchObject({ missed: 300, replayed: 0, lost: 300, twice: 0 })
    expect((await demo.lines('plain')).map(({ offset, text }) => offset ?? text)).toEqual([
      ...[312, 311, 310, 309, 308, 307, 306, 'back: 300 events went by', 'the connection was cut', 5, 4, 3, 2, 1],
    ])

    // The newest 200 lines: 7 live ones, then replayed ones, the note of the return is further down.
    const lines = await demo.lines('fickle')
    expect(lines.map(({ offset }) => offset)).toEqual(Array.from({ length: 200 }, (_, i) => 312 - i))
    expect(lines.map(({ kind }) => kind)).toEqual(lines.map((_, i) => (i < 7 ? 'live' : 'replayed')))
    expect((await demo.lines('steady')).every(({ kind }) => kind === 'live')).toBe(true)
  })

  it('marks where the connection was cut, where it came back, and every event between', async () => {
    const { demo } = await visit.open()
    await demo.publish(2)
    await demo.says('fickle', allHere(2))
    await demo.toggle()
    await demo.publish(3)
    await demo.says('fickle', 'Away: 3 missed so far')
    await demo.toggle()
    await demo.says('fickle', allHere(5))
    await demo.toggle()
    await demo.reaches('fickle', 'cut')
    await demo.toggle()
    await demo.reaches('fickle', 'live')
    await demo.publish(1)
    await demo.says('fickle', allHere(6))
    expect((await demo.lines('fickle')).map(({ kind, offset, text }) => [kind, offset ?? text])).toEqual([
      ['live', 6],
      ['note', 'back: nothing was missed'],
      ['note', 'the connection was cut'],
      ['replayed', 5],
      ['replayed', 4],
      ['replayed', 3],
      ['note', 'back: 3 to replay'],
      ['note', 'the connection was cut'],
      ['live', 2],
      ['live', 1],
    ])
  })

  it('really closes the transport of one subscriber, without a word, and stays away', async () => {
    const page = await openPage(await openContext())
    const sockets: WebSocket[] = []
    const sent = new Map<WebSocket, string[]>()
    page.on('websocket', (socket) => {
      sockets.push(socket)
      sent.set(socket, [])
      socket.on('framesent', ({ payload }) => sent.get(socket)?.push(String(payload)))
    })
    const demo = new Demo(page)
    const name = visit.topic()
    await demo.open(visit.hub.url, name)
    await demo.publish(1)
    await demo.says('fickle', allHere(1))
    expect(sockets).toHaveLength(4)

    await demo.toggle()
    const cut = await until(
      () => {
        const closed = sockets.filter((socket) => socket.isClosed())
        return closed.length === 2 && closed
      },
      { what: 'its socket and that of the plain lane to be closed' },
    )
    expect(cut.map((socket) => sent.get(socket)?.[0]?.replace(/,.*/, '')).sort()).toEqual([
      `40/demo`,
      `40/topics/${name}`,
    ])
    const goodbyes = cut.flatMap((socket) => sent.get(socket) ?? [])
    expect(goodbyes.filter((frame) => frame.startsWith('41') || frame.includes('unsubscribe'))).toEqual([])

    await demo.burst()
    await demo.says('fickle', 'Away: 300 missed so far')
    expect(sockets).toHaveLength(4)
    expect(sockets.filter((socket) => socket.isClosed())).toEqual(cut)

    await demo.toggle()
    await demo.says('fickle', allHere(301))
    await demo.reaches('plain', 'live')
    expect(sockets).toHaveLength(6)
  })

  it('loses nothing while publishing goes on at full rate through cut after cut', async () => {
    const { demo } = await visit.open()
    await demo.setRate(FULL_RATE)
    for (let cuts = 0; cuts < 2; cuts++) {
      await until(async () => (await demo.panel('fickle')).state === 'live', { what: 'it to be live' })
      await demo.toggle()
      const { missed } = await demo.panel('fickle')
      await until(async () => (await demo.panel('fickle')).missed > missed + 100, { what: '100 events to be missed' })
      await demo.toggle()
      expect(await demo.panel('fickle')).toMatchObject({ lost: 0, twice: 0 })
    }
    await demo.setRate(0)
    const count = await demo.published()
    const { missed, replayed, lost, twice } = await demo.says('fickle', allHere(count))
    expect({ lost, twice }).toEqual({ lost: 0, twice: 0 })
    expect(missed).toBeGreaterThan(200)
    expect(replayed).toBe(missed)
    expect(await demo.says('steady', allHere(count))).toMatchObject({ missed: 0, lost: 0, twice: 0 })
    expect(await demo.feed('steady').locator('li').count()).toBe(200)
  })

  it('tells of a network that is gone, and catches up when it is back', async () => {
    const { demo, topic } = await visit.open(LOST_CONNECTIONS)
    await demo.publish(3)
    await demo.says('steady', allHere(3))
    await demo.page.context().setOffline(true)
    await demo.reaches('fickle', 'offline')
    await demo.reaches('steady', 'offline')
    // Somebody else's: no reply of this page names them.
    for (let i = 0; i < 20; i++) await visit.hub.hub.topic(topic).publish({ from: 'elsewhere', i })
    await demo.publish(4)
    await until(async () => (await demo.number('unanswered')) === 4, { what: 'four that wait for a connection' })
    await demo.page.context().setOffline(false)
    await demo.allLive()
    await demo.published(7)
    for (const which of ['fickle', 'steady'] as const) {
      expect(await demo.says(which, allHere(7))).toMatchObject({ lost: 0, twice: 0 })
      const lines = (await demo.lines(which)).filter(({ text }) => text.includes('elsewhere'))
      expect(lines.map(({ offset }) => offset)).toEqual(Array.from({ length: 20 }, (_, i) => 23 - i))
      if (which === 'fickle') expect(lines.every(({ kind }) => kind === 'replayed')).toBe(true)
    }
  })

  it('does what each of its steps says when it is clicked', async () => {
    const { demo } = await visit.open()
    const click = (name: string) => demo.page.locator('.steps').getByRole('button', { name, exact: true }).click()
    await click('Publish')
    await demo.says('fickle', allHere(1))
    await click('Cut the connection')
    await demo.reaches('fickle', 'cut')
    await click('Publish more')
    await demo.says('fickle', 'Away: 3 missed so far')
    await click('Connect again')
    await demo.says('fickle', allHere(4))
    await demo.reaches('fickle', 'live')
    expect(await demo.panel('fickle')).toMatchObject({ missed: 3, replayed: 3 })
    expect(await demo.page.locator('.steps .done').count()).toBe(4)
  })
})
