import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createTestHub } from '../../server/testing.ts'
import { openContext, openPage } from '../support/browser/chromium.ts'
import { allHere, Demo } from '../support/browser/demo.ts'
import { DemoVisit, LOST_CONNECTIONS } from '../support/browser/demoVisit.ts'
import { startProxy } from '../support/browser/proxy.ts'
import { atEnd } from '../support/ending.ts'
import { tempFolder } from '../support/temp.ts'
import { has } from '../support/tools.ts'
import { until } from '../support/until.ts'

describe.runIf(has('chromium'))('the replay demo, whatever happens around it', () => {
  const visit = new DemoVisit()

  beforeAll(() => visit.begin())
  afterAll(() => visit.end())

  it('goes on where it was when the hub has been restarted', async () => {
    const store = await tempFolder()
    let own = await createTestHub({ store })
    atEnd(() => own.close())
    const demo = new Demo(await openPage(await openContext(), { expected: LOST_CONNECTIONS }))
    await demo.open(own.url, visit.topic())
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
    expect(await demo.says('plain', '11 events lost')).toMatchObject({ state: 'live', missed: 11, replayed: 0 })
  })

  it('replays after a reload too, and two tabs do not take each other over', async () => {
    const { demo, topic } = await visit.open()
    await demo.publish(1)
    await demo.says('fickle', allHere(1))
    await demo.toggle()
    await demo.publish(30)
    await demo.says('fickle', 'Away: 30 missed so far')
    const clients = demo.page.locator('.subscriber .name')
    const names = await clients.allInnerTexts()
    await demo.page.reload()
    await demo.allLive()
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
    await twin.allLive()
    expect(await popup.locator('.subscriber .name').allInnerTexts()).not.toEqual(names)
    await twin.publish(2)
    await twin.says('fickle', allHere(2))
    await until(async () => (await demo.lines('steady'))[0]?.offset === 33, { what: 'events of the other tab' })
    expect((await demo.panel('fickle')).state).toBe('live')
    expect(topic).not.toBe('')
  })

  it('says nothing false after any order of cutting, publishing, reloading and dropping the topic', async () => {
    const { demo, topic } = await visit.open()
    const fine = (count: number) => async () => {
      await demo.allLive()
      for (const which of ['fickle', 'steady'] as const) {
        expect(await demo.says(which, allHere(count))).toMatchObject({ lost: 0, twice: 0 })
      }
    }
    // Cut, publish, reload, publish, cut, publish, connect, reload while cut again.
    await demo.toggle()
    await demo.publish(3)
    await demo.says('fickle', 'Away: 3 missed so far')
    await demo.page.reload()
    await demo.allLive()
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
    const drop = () => fetch(`${visit.hub.url}/v1/topics/${topic}`, { method: 'DELETE' })
    for (const cut of [true, false]) {
      if (cut) await demo.toggle()
      expect((await drop()).status).toBe(204)
      await demo.publish(2)
      if (cut) await demo.toggle()
      await demo.allLive()
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

  it('works over long polling where a proxy lets no WebSocket pass', async () => {
    const proxy = await startProxy(visit.hub.url)
    const demo = new Demo(await openPage(await openContext(), { expected: LOST_CONNECTIONS }))
    await demo.open(proxy.url, visit.topic())
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
    await demo.open(visit.hub.url, visit.topic())
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
    expect([...hosts]).toEqual([new URL(visit.hub.url).host])
  })
})
