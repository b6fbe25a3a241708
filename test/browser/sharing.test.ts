/** Tabs of one origin that share a connection: who leads, what becomes of the others when that one goes, and who shares at all. */

import { setTimeout as sleep } from 'node:timers/promises'
import type { BrowserContext, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { ConnectOptions, Hub } from '../../client/index.ts'
import { type BareSite, startBareSite } from '../support/browser/bare.ts'
import { buildForBrowsers } from '../support/browser/built.ts'
import { closeBrowser, openContext, openPage } from '../support/browser/chromium.ts'
import { atEnd } from '../support/ending.ts'
import { describeStores, type StoreKind } from '../support/hub/stores.ts'
import { has, soak } from '../support/tools.ts'
import { until } from '../support/until.ts'

const LONG_MS = soak ? 1_200_000 : 120_000

/** What a tab has seen and done. */
interface Tab {
  /** The offset that its subscription began at. */
  first: number
  events: number[]
  published: number
  refused: string[]
}

declare global {
  var hub: Hub
  var tab: Tab
}

describe.runIf(has('chromium'))('a tab that shares a connection', () => {
  let site: BareSite

  beforeAll(async () => {
    await buildForBrowsers()
    site = await startBareSite()
  })
  afterAll(async () => {
    await closeBrowser()
  })

  /** Subscribes, and loads the page again at its turn, in a pause between two acknowledgements. */
  async function start(page: Page, topic: string, options: ConnectOptions = {}, turn?: number): Promise<void> {
    await page.evaluate(
      async ({ topic, options, turn }) => {
        globalThis.tab = { first: 0, events: [], published: 0, refused: [] }
        globalThis.hub = Reprise.connect(undefined, { share: true, client: 'app', quiet: true, ...options })
        const subscription = hub.topic(topic).subscribe(({ offset, data }) => {
          tab.events.push(offset)
          if (data === turn) location.reload()
        })
        await new Promise<void>((resolve) => void subscription.onStatus(({ state }) => state === 'live' && resolve()))
      },
      { topic, options, turn: turn ?? null },
    )
  }

  async function open(context: BrowserContext): Promise<Page> {
    const page = await openPage(context)
    await page.goto(site.url)
    return page
  }

  const standing = async (page: Page | undefined) => {
    return await page?.evaluate(() => ({ shared: hub.status.shared, storage: hub.storage }))
  }

  it('gets nothing again of what it had handled before it was loaded again, and keeps its name', async () => {
    const context = await openContext()
    const pages = [await open(context), await open(context), await open(context)]
    for (const [turn, page] of pages.entries()) await start(page, 'again', {}, turn)
    expect(await standing(pages[0])).toEqual({ shared: 'leader', storage: 'memory' })
    // The one that leads hears that a tab is gone before it has acted on the last that this one said.
    await pages[0]?.evaluate(() => {
      const { locks } = navigator
      const query = locks.query.bind(locks)
      locks.query = () => new Promise((resolve) => setTimeout(() => resolve(query()), 300))
    })
    for (const turn of [1, 0, 2]) {
      const page = pages[turn]
      const gone = page?.waitForEvent('load')
      await site.hub
        .topic('again')
        .publishAll(Array.from({ length: 10 }, (_, i) => ({ data: i === 9 ? turn : 'other' })))
      await gone
      if (page !== undefined) await start(page, 'again', {}, turn)
      expect(await page?.evaluate(() => tab.events)).toEqual([])
    }
    for (const page of pages) await page.evaluate(() => hub.close())
    const response = await fetch(`${site.url}v1/topics/again/cursors`)
    const { cursors } = (await response.json()) as { cursors: unknown[] }
    expect(cursors).toMatchObject(['app', 'app:2', 'app:3'].map((client) => ({ client, position: { offset: 30 } })))
  })

  it('leaves what it leads when its page is frozen or hidden for good, and follows when it is back', async () => {
    const context = await openContext()
    const [first, second] = [await open(context), await open(context)]
    for (const page of [first, second]) await start(page, 'leaves', { persist: true })
    let [leader, other] = [first, second]
    for (const [leaves, returns] of [
      ['freeze', 'resume'],
      ['pagehide', 'pageshow'],
    ]) {
      expect(await standing(leader)).toEqual({ shared: 'leader', storage: 'indexeddb' })
      expect(await standing(other)).toEqual({ shared: 'follower', storage: 'indexeddb' })
      await leader.evaluate((event = '') => {
        const target = event === 'freeze' ? document : window
        target.dispatchEvent(new Event(event))
      }, leaves)
      await leader.waitForFunction(() => hub.status.shared === undefined)
      await other.waitForFunction(() => hub.status.shared === 'leader')
      await leader.evaluate((event = '') => {
        const target = event === 'resume' ? document : window
        target.dispatchEvent(new Event(event))
      }, returns)
      await leader.waitForFunction(() => hub.status.shared === 'follower')
      ;[leader, other] = [other, leader]
    }
    const { offset } = await site.hub.topic('leaves').publish('both get it')
    for (const page of [first, second]) await page.waitForFunction((n) => tab.events.at(-1) === n, offset)
  })

  it('passes nothing on that was said to it while it stood still, and others have gone elsewhere', async () => {
    const context = await openContext()
    const [first, second] = [await open(context), await open(context)]
    for (const page of [first, second]) await start(page, 'stood')
    // A script that blocks until there is an event.
    const blocked = first.evaluate(() => {
      const request = new XMLHttpRequest()
      request.open('GET', '/v1/topics/go-on/events?waitMs=20000', false)
      request.send()
    })
    // What the other one says first goes to the one that stands still; then it says the same elsewhere.
    await second.evaluate(() => {
      const subscription = hub.topic('stood-too').subscribe(({ offset }) => void tab.events.push(offset))
      subscription.onStatus(({ state }) => void tab.refused.push(state))
    })
    await second.waitForFunction(() => tab.refused.at(-1) === 'live')
    // The hub may have closed its connection meanwhile, which it finds out later than that it does not lead any more.
    const { clients } = (await (await fetch(`${site.url}v1/clients?topic=stood`)).json()) as {
      clients: { id: string; clients: string[] }[]
    }
    const [own] = clients.filter(({ clients }) => clients.includes('app'))
    await fetch(`${site.url}v1/clients/${own?.id}`, { method: 'DELETE' })
    await site.hub.topic('go-on').publish('now')
    await blocked
    await first.waitForFunction(() => hub.status.shared === 'follower')
    await first.evaluate(() => hub.topic('stood-too').head())
    const { offset } = await site.hub.topic('stood-too').publish('the other gets it')
    await second.waitForFunction((n) => tab.events.at(-1) === n, offset)
    expect(await second.evaluate(() => tab.refused.at(-1))).toBe('live')
  })

  it('stays with those it shares with when the site is cleared, and new pages share among themselves', async () => {
    const context = await openContext()
    const before = [await open(context), await open(context), await open(context)]
    for (const page of before) await start(page, 'cleared', { client: 'before' })
    for (const page of before) {
      await page.evaluate(() => {
        hub
          .topic('cleared-too')
          .subscribe(({ offset }) => void tab.events.push(offset), { from: 'start' })
          .onStatus(({ state }) => void tab.refused.push(state))
      })
      await page.waitForFunction(() => tab.refused.at(-1) === 'live')
      await page.evaluate(() => tab.refused.splice(0))
    }
    const debug = await context.newCDPSession(before[0] as Page)
    await debug.send('Storage.clearDataForOrigin', { origin: site.origin, storageTypes: 'all' })
    const after = [await open(context), await open(context)]
    for (const page of after) await start(page, 'cleared-too', { client: 'after' })
    const { offset } = await site.hub.topic('cleared-too').publish('for all')
    for (const page of [...before, ...after]) await page.waitForFunction((n) => tab.events.at(-1) === n, offset)
    const shared = async (pages: readonly Page[]) =>
      (await Promise.all(pages.map(standing))).map((one) => one?.shared).toSorted()
    expect(await shared(before)).toEqual(['follower', 'follower', 'leader'])
    expect(await shared(after)).toEqual(['follower', 'leader'])
    for (const page of before) expect(await page.evaluate(() => tab.refused)).toEqual([])
  })

  it('connects for itself where it cannot, and says why', async () => {
    const page = await openPage(await openContext())
    await page.addInitScript(() => Object.defineProperty(navigator, 'locks', { value: undefined }))
    await page.goto(site.url)
    await start(page, 'alone')
    const { shared, why } = await page.evaluate(() => ({ ...hub.status, why: hub.status.reason?.message }))
    expect(shared).toBe('alone')
    expect(why).toContain('Web Locks')
  })
})

if (has('chromium')) describeStores('tabs that share a connection, on $name', tests)

function tests(store: StoreKind): void {
  let site: BareSite

  beforeAll(async () => {
    await buildForBrowsers()
    site = await startBareSite({ store: (await store.place()).location })
  })
  afterAll(async () => {
    await closeBrowser()
  })

  /** A tab that gets the events of a topic, publishes to it all the time, and works. Some have no cursor at the hub. */
  async function open(context: BrowserContext, name: string, client: string | undefined): Promise<Page> {
    const page = await openPage(context, { expected: /net::ERR_/ })
    await page.goto(site.url)
    await page.evaluate(
      async ({ name, client }) => {
        globalThis.tab = { first: 0, events: [], published: 0, refused: [] }
        globalThis.hub = Reprise.connect(undefined, { share: true, ...(client === undefined ? {} : { client }) })
        const topic = hub.topic('shared')
        const subscription = topic.subscribe(({ offset }) => void tab.events.push(offset))
        hub.queue('shared').consume(() => {})
        await new Promise<void>((resolve) => {
          subscription.onStatus(({ state }) => {
            if (tab.first === 0) tab.first = (subscription.position?.offset ?? 0) + 1
            if (state === 'live') resolve()
          })
        })
        const publish = () => {
          topic.publish(`${name} ${tab.published + 1}`).then(
            () => {
              tab.published++
              setTimeout(publish, 50)
            },
            (error) => tab.refused.push(String(error)),
          )
        }
        publish()
      },
      { name, client },
    )
    return page
  }

  async function connections(): Promise<number> {
    const text = await (await fetch(`${site.url}metrics`)).text()
    return Number(/^reprise_connections (\d+)/m.exec(text)?.[1])
  }

  async function jobs(): Promise<{ readonly done: number }> {
    const response = await fetch(`${site.url}v1/queues/shared`)
    return ((await response.json()) as { readonly counts: { readonly done: number } }).counts
  }

  /** All that the topic has. */
  async function dataOf(topic: string): Promise<unknown[]> {
    const all: unknown[] = []
    for (let after = 0; ; ) {
      const response = await fetch(`${site.url}v1/topics/${topic}/events?after=${after}&limit=1000`)
      const { events } = (await response.json()) as { events: { data: unknown; offset: number }[] }
      if (events.length === 0) return all
      all.push(...events.map(({ data }) => data))
      after = events.at(-1)?.offset ?? after
    }
  }

  it(
    'miss nothing when the one that leads crashes, stands still or is closed, again and again under load',
    async () => {
      const context = await openContext()
      const pages = new Map<Page, string>()
      let opened = 0
      const add = async () => {
        const name = `tab-${++opened}`
        pages.set(await open(context, name, opened % 2 === 0 ? name : undefined), name)
      }
      for (let i = 0; i < 5; i++) await add()
      await until(async () => (await connections()) === 1, { what: 'one connection' })

      let sent = 0
      let over = false
      const load = (async () => {
        while (!over) {
          await Promise.all([site.hub.topic('shared').publish(++sent), site.hub.queue('shared').send(sent)])
          await sleep(5)
        }
      })()
      atEnd(async () => {
        over = true
        await load
      })
      const leading = async () => {
        for (const page of pages.keys()) if ((await page.evaluate(() => hub.status.shared)) === 'leader') return page
        return undefined
      }
      /** What each tab knows to be stored. */
      const published: Record<string, number> = {}
      const note = async (page: Page, name: string) => {
        published[name] = await page.evaluate(() => tab.published)
      }
      const ways = ['crash', 'stand still', 'close']
      for (const round of Array.from({ length: soak ? 60 : store.name === 'lmdb' ? 3 : 1 }).keys()) {
        const leader = await until(leading, { what: 'a leader' })
        const name = pages.get(leader) ?? ''
        pages.delete(leader)
        const way = ways[round % ways.length]
        const debug = await context.newCDPSession(leader)
        if (way === 'stand still') {
          // No event tells of it, and its lock is held.
          await debug.send('Debugger.enable')
          await debug.send('Debugger.pause')
        } else {
          await note(leader, name)
          if (way === 'close') await leader.close()
          else await leader.goto('chrome://crash').catch(() => {})
        }
        await until(leading, { what: 'another leader' })
        for (const page of pages.keys()) {
          const before = await page.evaluate(() => ({ got: tab.events.length, published: tab.published }))
          await page.waitForFunction(
            ({ got, published }) => tab.events.length > got + 50 && tab.published > published,
            before,
          )
        }
        if (way === 'stand still') {
          await debug.send('Debugger.disable')
          await leader.waitForFunction(() => hub.status.shared === 'follower')
          pages.set(leader, name)
        } else await add()
        await until(async () => (await connections()) === 1, { what: 'one connection again' })
      }

      over = true
      await load
      const last = await site.hub.topic('shared').publish('last')
      for (const [page, name] of pages) {
        await page.waitForFunction((offset) => tab.events.includes(offset), last.offset)
        const all = await page.evaluate(() => tab)
        await note(page, name)
        expect(all.refused).toEqual([])
        const events = all.events.slice(0, last.offset - all.first + 1)
        expect(events, name).toEqual(events.map((_, i) => all.first + i))
      }
      const alive = [...pages.values()]
      const acknowledged = async () => {
        const { cursors } = (await (await fetch(`${site.url}v1/topics/shared/cursors?limit=200`)).json()) as {
          cursors: { client: string; position: { offset: number } }[]
        }
        const own = cursors.filter(({ client }) => alive.includes(client))
        return own.length > 0 && own.every(({ position }) => position.offset >= last.offset)
      }
      await until(acknowledged, { what: 'all that was handled to be acknowledged' })
      const stored = (await dataOf('shared')).filter((data) => typeof data === 'string')
      for (const [name, count] of Object.entries(published)) {
        const own = stored.filter((data) => data.startsWith(`${name} `))
        expect(own.length).toBeGreaterThanOrEqual(count)
        expect(own).toEqual(own.map((_, i) => `${name} ${i + 1}`))
      }
      await until(async () => (await jobs()).done === sent, { what: 'all jobs to be done', deadlineMs: 30_000 })
    },
    LONG_MS,
  )
}
