import type { WebSocket } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createTestHub, type TestHub } from '../../server/testing.ts'
import { buildForBrowsers } from '../support/browser/built.ts'
import { closeBrowser, openContext, openPage } from '../support/browser/chromium.ts'
import { allHere, Demo } from '../support/browser/demo.ts'
import { startProxy } from '../support/browser/proxy.ts'
import { atEnd } from '../support/ending.ts'
import { tempFolder } from '../support/temp.ts'
import { has } from '../support/tools.ts'
import { until } from '../support/until.ts'

const FULL_RATE = 9
const LOST_CONNECTIONS = /net::ERR_|WebSocket connection to/

describe.runIf(has('chromium'))('the replay demo', () => {
  let hub: TestHub
  let topics = 0

  beforeAll(async () => {
    await buildForBrowsers()
    hub = await createTestHub()
  })
  afterAll(async () => {
    await closeBrowser()
    await hub?.close()
  })

  const topic = (): string => `demo-${++topics}`

  async function openDemo(expected?: RegExp): Promise<{ demo: Demo; topic: string }> {
    const demo = new Demo(await openPage(await openContext(), expected === undefined ? {} : { expected }))
    const name = topic()
    await demo.open(hub.url, name)
    return { demo, topic: name }
  }

  it('replays what one subscriber missed: all of it, marked, counted, in order, once', async () => {
    const { demo } = await openDemo()
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

    // The newest 200 lines: 7 live ones, then replayed ones, the note of the return is further down.
    const lines = await demo.lines('fickle')
    expect(lines.map(({ offset }) => offset)).toEqual(Array.from({ length: 200 }, (_, i) => 312 - i))
    expect(lines.map(({ kind }) => kind)).toEqual(lines.map((_, i) => (i < 7 ? 'live' : 'replayed')))
    expect((await demo.lines('steady')).every(({ kind }) => kind === 'live')).toBe(true)
  })

  it('marks where the connection was cut, where it came back, and every event between', async () => {
    const { demo } = await openDemo()
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
    const name = topic()
    await demo.open(hub.url, name)
    await demo.publish(1)
    await demo.says('fickle', allHere(1))
    expect(sockets).toHaveLength(3)

    await demo.toggle()
    const cut = await until(() => sockets.find((socket) => socket.isClosed()), { what: 'a socket to be closed' })
    expect(sent.get(cut)?.[0]).toContain(`/topics/${name}`)
    expect(sent.get(cut)?.filter((frame) => frame.startsWith('41') || frame.includes('unsubscribe'))).toEqual([])

    await demo.burst()
    await demo.says('fickle', 'Away: 300 missed so far')
    expect(sockets).toHaveLength(3)
    expect(sockets.filter((socket) => socket.isClosed())).toEqual([cut])

    await demo.toggle()
    await demo.says('fickle', allHere(301))
    expect(sockets).toHaveLength(4)
  })

  it('loses nothing while publishing goes on at full rate through cut after cut', async () => {
    const { demo } = await openDemo()
    await demo.setRate(FULL_RATE)
    for (let cuts = 0; cuts < 3; cuts++) {
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
    expect(missed).toBeGreaterThan(300)
    expect(replayed).toBe(missed)
    expect(await demo.says('steady', allHere(count))).toMatchObject({ missed: 0, lost: 0, twice: 0 })
    expect(await demo.feed('steady').locator('li').count()).toBe(200)
  })

  it('tells of a network that is gone, and catches up when it is back', async () => {
    const { demo, topic } = await openDemo(LOST_CONNECTIONS)
    await demo.publish(3)
    await demo.says('steady', allHere(3))
    await demo.page.context().setOffline(true)
    await demo.reaches('fickle', 'offline')
    await demo.reaches('steady', 'offline')
    // Somebody else's: no reply of this page names them.
    for (let i = 0; i < 20; i++) await hub.hub.topic(topic).publish({ from: 'elsewhere', i })
    await demo.publish(4)
    await until(async () => (await demo.number('unanswered')) === 4, { what: 'four that wait for a connection' })
    await demo.page.context().setOffline(false)
    await demo.bothLive()
    await demo.published(7)
    for (const which of ['fickle', 'steady'] as const) {
      expect(await demo.says(which, allHere(7))).toMatchObject({ lost: 0, twice: 0 })
      const lines = (await demo.lines(which)).filter(({ text }) => text.includes('elsewhere'))
      expect(lines.map(({ offset }) => offset)).toEqual(Array.from({ length: 20 }, (_, i) => 23 - i))
      if (which === 'fickle') expect(lines.every(({ kind }) => kind === 'replayed')).toBe(true)
    }
  })

  it('goes on where it was when the hub has been restarted', async () => {
    const store = await tempFolder()
    let own = await createTestHub({ store })
    atEnd(() => own.close())
    const demo = new Demo(await openPage(await openContext(), { expected: LOST_CONNECTIONS }))
    await demo.open(own.url, topic())
    await demo.burst()
    await demo.says('fickle', allHere(300))
    await demo.toggle()
    await demo.publish(5)
    await demo.says('steady', allHere(305))

    const port = Number(new URL(own.url).port)
    await own.close()
    await demo.reaches('steady', 'offline')
    await demo.publish(6)
    own = await createTestHub({ store, port })
    await demo.reaches('steady', 'live')
    await demo.published(311)
    await demo.says('steady', allHere(311))
    expect(await demo.panel('fickle')).toMatchObject({ state: 'cut', missed: 11, replayed: 0 })

    await demo.toggle()
    await demo.says('fickle', allHere(311))
    expect(await demo.panel('fickle')).toMatchObject({ missed: 11, replayed: 11, lost: 0, twice: 0 })
    expect((await demo.lines('fickle')).filter(({ kind }) => kind === 'gap')).toEqual([])
  })

  it('shows a gap in its place, as the hub tells it', async () => {
    const own = await createTestHub({ topics: { '*': { retain: { events: 50 } } } })
    atEnd(() => own.close())
    const demo = new Demo(await openPage(await openContext()))
    await demo.open(own.url, topic())
    await demo.publish(1)
    await demo.says('fickle', allHere(1))
    await demo.toggle()
    await demo.burst()
    await demo.published(301)
    await demo.says('steady', allHere(301))
    await demo.toggle()
    const verdict = /^(\d+) events gone, as the gap says; the other (\d+) here, in order$/
    const { missed, replayed, lost } = await until(
      async () => {
        const panel = await demo.panel('fickle')
        return panel.state === 'live' && verdict.test(panel.verdict) && panel
      },
      { what: 'the verdict on the gap', seen: () => demo.panel('fickle') },
    )
    expect({ missed, replayed }).toEqual({ missed: 300, replayed: 300 - lost })
    const gap = (await demo.lines('fickle')).find(({ kind }) => kind === 'gap')
    expect(gap?.text).toBe(`gap: 2–${lost + 1}, ${lost} events are gone (trimmed)`)
  })

  it('replays after a reload too, and two tabs do not take each other over', async () => {
    const { demo, topic } = await openDemo()
    await demo.publish(1)
    await demo.says('fickle', allHere(1))
    await demo.toggle()
    await demo.publish(30)
    await demo.says('fickle', 'Away: 30 missed so far')
    const clients = demo.page.locator('.subscriber .name')
    const names = await clients.allInnerTexts()
    await demo.page.reload()
    await demo.bothLive()
    expect(await clients.allInnerTexts()).toEqual(names)
    await until(async () => (await demo.lines('fickle')).length === 30, { what: 'the missed ones' })
    expect((await demo.lines('fickle')).every(({ kind }) => kind === 'replayed')).toBe(true)
    expect(await demo.says('fickle', '30 events from before this page was loaded, in order')).toMatchObject({ lost: 0 })

    // A duplicate begins with the storage of its original.
    const [popup] = await Promise.all([
      demo.page.waitForEvent('popup'),
      demo.page.evaluate(() => void window.open(location.href)),
    ])
    const twin = new Demo(popup)
    await twin.bothLive()
    expect(await popup.locator('.subscriber .name').allInnerTexts()).not.toEqual(names)
    await twin.publish(2)
    await twin.says('fickle', allHere(2))
    await until(async () => (await demo.lines('steady'))[0]?.offset === 33, { what: 'events of the other tab' })
    expect((await demo.panel('fickle')).state).toBe('live')
    expect(topic).not.toBe('')
  })

  it('says nothing false after any order of cutting, publishing, reloading and dropping the topic', async () => {
    const { demo, topic } = await openDemo()
    const fine = (count: number) => async () => {
      await demo.bothLive()
      for (const which of ['fickle', 'steady'] as const) {
        expect(await demo.says(which, allHere(count))).toMatchObject({ lost: 0, twice: 0 })
      }
    }
    // Cut, publish, reload, publish, cut, publish, connect, reload while cut again.
    await demo.toggle()
    await demo.publish(3)
    await demo.says('fickle', 'Away: 3 missed so far')
    await demo.page.reload()
    await demo.bothLive()
    await demo.says('fickle', '3 events from before this page was loaded, in order')
    await demo.says('steady', 'Waiting for the first event')
    await demo.publish(2)
    await fine(2)()
    await demo.toggle()
    await demo.publish(4)
    await demo.says('fickle', 'Away: 4 missed so far')
    await demo.toggle()
    await fine(6)()
    // The topic goes while one is away, and while both are there.
    const drop = () => fetch(`${hub.url}/v1/topics/${topic}`, { method: 'DELETE' })
    for (const cut of [true, false]) {
      if (cut) await demo.toggle()
      expect((await drop()).status).toBe(204)
      await demo.publish(2)
      if (cut) await demo.toggle()
      await demo.bothLive()
      await until(
        async () => {
          const panels = [await demo.panel('fickle'), await demo.panel('steady')]
          return panels.every(({ verdict }) =>
            /^(All|The one) .* (here, once|in order)$|, as the gap says/.test(verdict),
          )
        },
        { what: 'both to have what is there', seen: () => demo.panel('fickle') },
      )
    }
    expect(await demo.page.locator('.verdict').allInnerTexts()).not.toContainEqual(
      expect.stringMatching(/out of order|twice/),
    )
  })

  it('does what each of its steps says when it is clicked', async () => {
    const { demo } = await openDemo()
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

  it('works over long polling where a proxy lets no WebSocket pass', async () => {
    const proxy = await startProxy(hub.url)
    const demo = new Demo(await openPage(await openContext(), { expected: LOST_CONNECTIONS }))
    await demo.open(proxy.url, topic())
    await demo.publish(3)
    await demo.says('fickle', allHere(3))
    await demo.toggle()
    await demo.burst()
    await demo.says('steady', allHere(303))
    await demo.toggle()
    expect(await demo.says('fickle', allHere(303))).toMatchObject({ missed: 300, replayed: 300, lost: 0, twice: 0 })
    expect(proxy.refused).toBeGreaterThanOrEqual(3)
  })

  it('is used by keyboard alone, fits a narrow screen and loads nothing from elsewhere', async () => {
    const page = await openPage(await openContext())
    const hosts = new Set<string>()
    page.on('request', (request) => hosts.add(new URL(request.url()).host))
    await page.setViewportSize({ width: 380, height: 800 })
    const demo = new Demo(page)
    await demo.open(hub.url, topic())
    const press = async (name: string): Promise<void> => {
      for (let i = 0; i < 20; i++) {
        await page.keyboard.press('Tab')
        const focused = await page.evaluate(() => document.activeElement?.closest('button')?.textContent ?? '')
        if (focused.includes(name)) return page.keyboard.press('Space')
      }
      throw new Error(`${name} is not reached by the Tab key`)
    }
    await press('Publish one')
    await demo.says('fickle', allHere(1))
    await press('Cut the connection')
    await demo.reaches('fickle', 'cut')
    await press('Publish one')
    await demo.says('fickle', 'Away: 1 missed so far')
    await press('Cut the connection')
    await demo.says('fickle', allHere(2))
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(380)
    expect([...hosts]).toEqual([new URL(hub.url).host])
  })
})
