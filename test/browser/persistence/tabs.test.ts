/** Who has which storage: handles of one page, tabs, and what stands in none. */

import type { BrowserContext, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Hub } from '../../../client/index.ts'
import { type BareSite, startBareSite } from '../../support/browser/bare.ts'
import { buildForBrowsers } from '../../support/browser/built.ts'
import { closeBrowser, openContext, openPage } from '../../support/browser/chromium.ts'
import { has } from '../../support/tools.ts'

/** Nobody listens there. */
const NOWHERE = 'http://127.0.0.1:1'

describe.runIf(has('chromium'))('the storage of a page', () => {
  let site: BareSite

  beforeAll(async () => {
    await buildForBrowsers()
    site = await startBareSite()
  })
  afterAll(async () => {
    await closeBrowser()
  })

  async function open(context?: BrowserContext): Promise<Page> {
    const page = await openPage(context ?? (await openContext()), { expected: /net::ERR_|WebSocket connection to/ })
    await page.goto(site.url)
    return page
  }

  it('is another one for each handle, the same after a reload, and is opened as soon as there is a token', async () => {
    const page = await open()
    for (const topic of ['left', 'right']) await site.hub.topic(topic).publish('one')
    const seen = async () => {
      return await page.evaluate(async () => {
        const hubs: Hub[] = []
        const got: string[] = []
        const asked = { left: 0, right: 0 }
        for (const topic of ['left', 'right'] as const) {
          const token = async () => {
            if (++asked[topic] === 1) throw new Error('no network')
            return undefined as unknown as string
          }
          const own = Reprise.connect(undefined, { token, persist: true, quiet: true, reconnect: { baseMs: 1 } })
          hubs.push(own)
          // Nothing of it is connected yet.
          await own.restored
          const subscription = own.topic(topic).subscribe(() => void got.push(topic), { from: 'start' })
          await new Promise<void>((resolve) => void subscription.onStatus(({ state }) => state === 'live' && resolve()))
        }
        await Promise.all(hubs.map((own) => own.close()))
        return { got, storages: hubs.map(({ storage }) => storage), wasAsked: asked.left > 1 && asked.right > 1 }
      })
    }
    const expected = { storages: ['indexeddb', 'indexeddb'], wasAsked: true }
    expect(await seen()).toEqual({ ...expected, got: ['left', 'right'] })
    await page.reload()
    expect(await seen()).toEqual({ ...expected, got: [] })
  })

  it('belongs to one tab at a time, and what a closed one has left goes to the next', async () => {
    const context = await openContext()
    const start = async () => {
      const page = await open(context)
      const found = await page.evaluate(async (url) => {
        globalThis.hub = Reprise.connect(url, { persist: true, quiet: true })
        const named = Reprise.connect(url, { client: 'only', persist: true, quiet: true })
        await Promise.all([hub.restored, named.restored])
        return {
          drafts: hub.outbox.map(({ data }) => data),
          named: named.storage,
          why: `${named.storageError?.message}`,
        }
      }, NOWHERE)
      return { page, found }
    }
    const first = await start()
    expect(first.found).toEqual({ drafts: [], named: 'indexeddb', why: 'undefined' })
    await first.page.evaluate(async () => {
      hub
        .topic('tabs')
        .publish('of the first')
        .catch(() => {})
      const asked = <T>(request: IDBRequest<T>) =>
        new Promise<T>((resolve) => {
          request.onsuccess = () => resolve(request.result)
        })
      for (let kept = 0; kept === 0; ) {
        for (const { name = '' } of await indexedDB.databases()) {
          const db = await asked(indexedDB.open(name))
          kept += await asked(db.transaction('outbox').objectStore('outbox').count())
          db.close()
        }
      }
    })
    const second = await start()
    expect(second.found).toEqual({ drafts: [], named: 'memory', why: expect.stringContaining('another tab') })
    await first.page.close()
    await second.page.waitForFunction(async () => (await navigator.locks.query()).held?.length === 1)
    const third = await start()
    expect(third.found).toEqual({ drafts: ['of the first'], named: 'indexeddb', why: 'undefined' })
  })

  it('has no position of a subscription that acknowledges by itself: the cursor of the hub says where it goes on', async () => {
    const page = await open()
    await site.hub.topic('manual').publishAll([{ data: 1 }, { data: 2 }, { data: 3 }])
    const seen = async () => {
      return await page.evaluate(async () => {
        const own = Reprise.connect(undefined, { client: 'me', persist: true, quiet: true })
        const got: number[] = []
        const subscription = own.topic('manual').subscribe(
          async (event) => {
            got.push(event.offset)
            if (event.offset === 1) await subscription.ack(event)
          },
          { from: 'start', ack: 'manual' },
        )
        await new Promise<void>((resolve) => void subscription.onStatus(({ state }) => state === 'live' && resolve()))
        await own.close()
        return got
      })
    }
    expect(await seen()).toEqual([1, 2, 3])
    await page.reload()
    expect(await seen()).toEqual([2, 3])
  })
})
