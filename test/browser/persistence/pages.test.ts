/** Pages whose positions and publishes outlive them: reloads, offline, two users, and a storage that fails. */

import type { BrowserContext, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Hub } from '../../../client/index.ts'
import { type BareSite, startBareSite } from '../../support/browser/bare.ts'
import { buildForBrowsers } from '../../support/browser/built.ts'
import { closeBrowser, heapBytes, openContext, openPage } from '../../support/browser/chromium.ts'
import { SECRET, tokenOf } from '../../support/clients/tokens.ts'
import { describeStores, type StoreKind } from '../../support/hub/stores.ts'
import { has, soak } from '../../support/tools.ts'
import { until } from '../../support/until.ts'

const LONG_MS = soak ? 1_200_000 : 120_000
const LOST_CONNECTIONS = /net::ERR_|WebSocket connection to/

declare global {
  var hub: Hub
  var got: number[]
  var warnings: string[]
}

/** A page that keeps what the SDK says on the console, and comes from memory when there is no network. */
async function openOffline(site: BareSite, context?: BrowserContext): Promise<Page> {
  const page = await openPage(context ?? (await openContext()), { expected: LOST_CONNECTIONS })
  await page.addInitScript(() => {
    globalThis.got = []
    globalThis.warnings = []
    const { warn } = console
    console.warn = (...words: unknown[]) => {
      warnings.push(String(words[0]))
      warn(...words)
    }
  })
  for (const path of ['', 'sdk/reprise-client.global.js']) {
    const response = await fetch(`${site.url}${path}`)
    const [body, contentType] = [await response.text(), response.headers.get('content-type') ?? '']
    await page.route(`${site.url}${path}`, (route) => route.fulfill({ body, contentType }))
  }
  await page.goto(site.url)
  return page
}

/** All that the topic has. */
async function dataOf(site: BareSite, topic: string): Promise<unknown[]> {
  const all: unknown[] = []
  for (let after = 0; ; ) {
    const response = await fetch(`${site.url}v1/topics/${topic}/events?after=${after}&limit=1000`)
    const { events } = (await response.json()) as { events: { data: unknown; offset: number }[] }
    if (events.length === 0) return all
    all.push(...events.map(({ data }) => data))
    after = events.at(-1)?.offset ?? after
  }
}

const count = (n: number) => Array.from({ length: n }, (_, i) => ({ data: i }))

if (has('chromium')) describeStores('a page that persists, on $name', tests)

function tests(store: StoreKind): void {
  let site: BareSite

  beforeAll(async () => {
    await buildForBrowsers()
    site = await startBareSite({ store: (await store.place()).location })
  })
  afterAll(async () => {
    await closeBrowser()
  })

  it('is away for 1,000 events, publishes meanwhile, and is loaded again before it is back', async () => {
    const page = await openOffline(site)
    const start = async () => {
      await page.evaluate(async () => {
        globalThis.hub = Reprise.connect(undefined, { persist: true })
        hub.topic('away').subscribe(({ offset }) => void got.push(offset), { from: 'start' })
        await hub.restored
      })
    }
    await site.hub.topic('away').publish('first')
    await start()
    await page.waitForFunction(() => got.length === 1)
    await page.context().setOffline(true)
    await page.evaluate(() => {
      for (const data of ['a', new Uint8Array([1, 2, 3]), { c: new Date(0) }]) {
        hub
          .topic('away')
          .publish(data, { key: 'k' })
          .catch(() => {})
      }
    })
    await page.evaluate(() =>
      hub
        .topic('away')
        .publish('too late', { timeoutMs: 1 })
        .catch(() => {}),
    )
    await site.hub.topic('away').publishAll(count(1_000))
    // What is published a moment before is there, too.
    await page.reload()
    await start()
    const pending = await page.evaluate(() =>
      hub.outbox.map(({ topic, data, key }) => ({ topic, data: `${data}`, key })),
    )
    expect(pending).toEqual(['a', '1,2,3', '[object Object]'].map((data) => ({ topic: 'away', data, key: 'k' })))
    await page.reload()
    await start()
    const outcomes = await page.evaluateHandle(() => hub.outbox.map(({ outcome }) => outcome))
    await page.context().setOffline(false)
    const receipts = await outcomes.evaluate((all) => Promise.all(all))
    expect(receipts.map(({ offset }) => offset)).toEqual([1_002, 1_003, 1_004])
    await page.waitForFunction(() => got.length >= 1_003)
    expect(await page.evaluate(() => got)).toEqual(Array.from({ length: 1_003 }, (_, i) => i + 2))
    expect((await dataOf(site, 'away')).length).toBe(1_004)
    expect(await page.evaluate(() => ({ storage: hub.storage, left: hub.outbox.length }))).toEqual({
      storage: 'indexeddb',
      left: 0,
    })
    await page.reload()
    await start()
    await site.hub.topic('away').publish('last')
    await page.waitForFunction(() => got.length > 0)
    expect(await page.evaluate(() => got)).toEqual([1_005])
  })

  it(
    'publishes each draft once and in order, however often it is loaded again while it publishes',
    async () => {
      const page = await openOffline(site)
      const rounds = soak ? 50 : 12
      const told: string[][] = []
      for (let round = 0; round <= rounds; round++) {
        const seen = await page.evaluate(async (last) => {
          globalThis.hub = Reprise.connect(undefined, { client: 'burst', persist: true })
          await hub.restored
          const left = hub.outbox.map(({ data }) => String(data))
          const outcomes = hub.outbox.map(({ outcome }) => outcome)
          const first = Number(localStorage.published ?? 0)
          if (!last) {
            const topic = hub.topic('burst')
            for (let i = first; i < first + 100; i++) topic.publish(String(i)).catch(() => {})
            localStorage.published = first + 100
          }
          await Promise.all(outcomes)
          return left
        }, round === rounds)
        told.push(seen)
        // Somewhere within the round trips of those hundred.
        if (round % 3 > 0)
          await page.evaluate((n) => new Promise((resolve) => setTimeout(resolve, n)), (round * 7) % 40)
        if (round < rounds) await page.reload()
      }
      await page.waitForFunction(() => hub.outbox.length === 0)
      const stored = (await dataOf(site, 'burst')).map(Number)
      expect(stored).toEqual([...new Set(stored)].sort((a, b) => a - b))
      expect(told.flat().filter((data) => !stored.includes(Number(data)))).toEqual([])
      expect(stored.length).toBeGreaterThan(rounds * 40)
    },
    LONG_MS,
  )
}

describe.runIf(has('chromium'))('the storage of a page', () => {
  let site: BareSite

  beforeAll(async () => {
    await buildForBrowsers()
    site = await startBareSite({ auth: { jwt: { secret: SECRET }, anonymous: [{ actions: ['*'], names: ['*'] }] } })
  })
  afterAll(async () => {
    await closeBrowser()
  })

  it(
    'takes no memory for what is handled and answered',
    async () => {
      const page = await openOffline(site)
      await page.evaluate(async () => {
        globalThis.hub = Reprise.connect(undefined, { persist: true })
        globalThis.got = [0]
        hub.topic('flat').subscribe(
          ({ offset }) => {
            got[0] = offset
          },
          { from: 'start' },
        )
        await hub.topic('flat').publish('first')
      })
      const total = soak ? 200_000 : 20_000
      const heaps: number[] = []
      for (let sent = 1; sent < total; sent += 1_000) {
        // Most come from others, some of it from the page.
        await Promise.all([
          site.hub.topic('flat').publishAll(count(900)),
          page.evaluate(() => Promise.all(Array.from({ length: 100 }, (_, i) => hub.topic('flat').publish(i)))),
        ])
        await page.waitForFunction((offset) => (got[0] ?? 0) >= offset, sent + 1_000, { timeout: 60_000 })
        if (sent % (total / 10) < 1_000) heaps.push(await heapBytes(page))
      }
      const [, second = 0] = heaps
      expect(Math.max(...heaps) - second, heaps.join(' ')).toBeLessThan(1_500_000)
      expect(await page.evaluate(() => ({ storage: hub.storage, left: hub.outbox.length }))).toEqual({
        storage: 'indexeddb',
        left: 0,
      })
    },
    LONG_MS,
  )

  it('is another one for each user of an origin', async () => {
    const context = await openContext()
    const topic = site.hub.topic('users')
    await topic.publish('one')
    const seen: Record<string, number[][]> = { ann: [], bob: [] }
    for (const user of ['ann', 'bob', 'ann']) {
      const page = await openOffline(site, context)
      // A token may change as long as its subject stays.
      const token = await tokenOf(user, { ttlMs: 60_000 + Math.random() * 1_000 })
      const offsets = await page.evaluate(async (token) => {
        globalThis.hub = Reprise.connect(undefined, { token: async () => token, persist: true })
        const subscription = hub.topic('users').subscribe(({ offset }) => void got.push(offset), { from: 'start' })
        await new Promise<void>((resolve) => void subscription.onStatus(({ state }) => state === 'live' && resolve()))
        await hub.close()
        return got
      }, token)
      seen[user]?.push(offsets)
      await page.close()
    }
    expect(seen).toEqual({ ann: [[1], []], bob: [[1]] })
  })

  it('fails with a clear word, and the page goes on in memory', async () => {
    const ways: Record<string, (page: Page) => Promise<unknown>> = {
      'there is no IndexedDB here': (page) =>
        page.addInitScript(() => Object.defineProperty(globalThis, 'indexedDB', { value: undefined })),
      'there are no Web Locks here': (page) =>
        page.addInitScript(() => Object.defineProperty(navigator, 'locks', { value: undefined })),
      VersionError: (page) =>
        page.evaluate(async () => {
          const persistent = Reprise.connect(undefined, { client: 'me', persist: true })
          await persistent.restored
          await persistent.close()
          const [{ name = '' } = {}] = await indexedDB.databases()
          await new Promise((resolve) => {
            indexedDB.open(name, 99).onsuccess = (event) => {
              ;(event.target as IDBOpenDBRequest).result.close()
              resolve(undefined)
            }
          })
        }),
    }
    for (const [word, spoil] of Object.entries(ways)) {
      const page = await openOffline(site)
      await spoil(page)
      await page.reload()
      const result = await page.evaluate(async () => {
        globalThis.hub = Reprise.connect(undefined, { client: 'me', persist: true })
        const topic = hub.topic('memory')
        topic.subscribe(({ offset }) => void got.push(offset))
        const { offset } = await topic.publish('x')
        return { offset, storage: hub.storage, why: hub.storageError?.message, warnings }
      })
      await page.waitForFunction((offset) => got.includes(offset), result.offset)
      expect(result.storage, word).toBe('memory')
      expect(result.why).toContain(word)
      expect(result.warnings.join()).toContain(word)
      await page.context().close()
    }
  })

  it('is taken away while it is read or written: the page is told, no error is left over, and nothing is in the way', async () => {
    for (const when of ['read', 'written'] as const) {
      const page = await openOffline(site)
      const result = await page.evaluate(async (when) => {
        // As the browser does with what is under way when somebody clears what a site has stored.
        const { transaction } = IDBDatabase.prototype
        const spoil = () => {
          IDBDatabase.prototype.transaction = function (...args) {
            const tx = transaction.apply(this, args)
            tx.abort()
            return tx
          }
        }
        if (when === 'read') spoil()
        globalThis.hub = Reprise.connect(undefined, { client: when, persist: true })
        await hub.restored
        spoil()
        const { offset } = await hub.topic('taken-away').publish(when)
        IDBDatabase.prototype.transaction = transaction
        for (const { name = '' } of await indexedDB.databases()) {
          await new Promise((resolve) => {
            indexedDB.deleteDatabase(name).onsuccess = resolve
          })
        }
        return { offset, why: hub.storageError?.message }
      }, when)
      expect(result.why, when).toContain('kept in memory only')
      expect(result.offset).toBe(when === 'read' ? 1 : 2)
      await page.context().close()
    }
  })

  it('is full or deleted meanwhile: nothing is lost of the page, and nothing is published twice', async () => {
    for (const how of ['full', 'deleted'] as const) {
      const page = await openOffline(site)
      await page.evaluate((how) => localStorage.setItem('topic', `spoilt-${how}`), how)
      // Before the browser has looked at it: it remembers for a while how much there is left.
      const cdp = await page.context().newCDPSession(page)
      await cdp.send('Storage.overrideQuotaForOrigin', { origin: site.origin, quotaSize: 100_000 })
      await page.evaluate(async () => {
        globalThis.hub = Reprise.connect(undefined, { client: 'me', persist: true })
        hub.topic(localStorage.topic).subscribe(({ offset }) => void got.push(offset))
        await hub.restored
        await hub.topic(localStorage.topic).publish('before')
      })
      await page.context().setOffline(true)
      await page.evaluate(
        () =>
          void hub
            .topic(localStorage.topic)
            .publish('offline')
            .catch(() => {}),
      )
      if (how === 'full') {
        await page.evaluate(() => {
          for (let i = 0; i < 16; i++)
            hub
              .topic(localStorage.topic)
              .publish('x'.repeat(200_000))
              .catch(() => {})
        })
      } else {
        await page.evaluate(async () => {
          for (const { name = '' } of await indexedDB.databases()) {
            await new Promise((resolve) => {
              indexedDB.deleteDatabase(name).onsuccess = resolve
            })
          }
        })
      }
      await until(() => page.evaluate(() => hub.storage === 'memory'), { what: `the storage to be ${how}` })
      await page.context().setOffline(false)
      await page.evaluate(() => Promise.all(hub.outbox.map(({ outcome }) => outcome)))
      expect((await page.evaluate(() => warnings)).join()).toContain('kept in memory only')
      await page.reload()
      await page.evaluate(async () => {
        globalThis.hub = Reprise.connect(undefined, { client: 'me', persist: true })
        await hub.restored
        await hub.topic(localStorage.topic).publish('after')
      })
      const stored = (await dataOf(site, `spoilt-${how}`)).map((data) => String(data).slice(0, 7))
      expect(stored, how).toEqual(
        how === 'full' ? ['before', 'offline', ...Array(16).fill('xxxxxxx'), 'after'] : ['before', 'offline', 'after'],
      )
      await page.context().close()
    }
  })
})
