/** Pages that handle events in transactions of their own database: their state has each event once, whatever happens. */

import type { BrowserContext, Page } from 'playwright-core'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type BareSite, startBareSite } from '../support/browser/bare.ts'
import { buildForBrowsers } from '../support/browser/built.ts'
import { closeBrowser, openContext, openPage } from '../support/browser/chromium.ts'
import { describeStores, type StoreKind } from '../support/hub/stores.ts'
import { has, soak } from '../support/tools.ts'
import { until } from '../support/until.ts'

declare global {
  /** Opens the database of the page, and subscribes with a handler that notes each offset in it. */
  var begin: (topic: string, client?: string) => Promise<void>
  var noted: () => Promise<number[]>
}

const SCRIPT = `
const asked = (request) => new Promise((resolve, reject) => {
  request.onsuccess = () => resolve(request.result)
  request.onerror = () => reject(request.error)
})
globalThis.begin = async (topic, client) => {
  const opening = indexedDB.open('app', 1)
  opening.onupgradeneeded = () => {
    opening.result.createObjectStore('noted', { autoIncrement: true })
    opening.result.createObjectStore('sums')
    Reprise.prepareDatabase(opening.result)
  }
  globalThis.db = await asked(opening)
  globalThis.hub = Reprise.connect(undefined, client === undefined ? {} : { client })
  globalThis.failures = []
  globalThis.subscription = hub.topic(topic).subscribe(async ({ offset, data }, tx) => {
    await asked(tx.objectStore('noted').add(offset))
    const sum = await asked(tx.objectStore('sums').get(topic))
    await asked(tx.objectStore('sums').put((sum ?? 0) + offset, topic))
    if (data === 'fails' && failures.length < 2) throw new Error('not yet')
  }, { from: 'start', transaction: db, retry: { baseMs: 1 } })
  subscription.onError(({ error }) => failures.push(error.message))
}
globalThis.noted = () => asked(db.transaction('noted').objectStore('noted').getAll())
`

const LONG_MS = soak ? 1_200_000 : 120_000

const numbers = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i)

async function untilNoted(page: Page, count: number): Promise<void> {
  await until(() => page.evaluate(async (count) => (await noted()).length >= count, count), {
    everyMs: 20,
    deadlineMs: 60_000,
  })
}

if (has('chromium')) describeStores('a page with transactions, on $name', tests)

function tests(store: StoreKind): void {
  let site: BareSite

  beforeAll(async () => {
    await buildForBrowsers()
    site = await startBareSite({ store: (await store.place()).location })
  })
  afterAll(async () => {
    await closeBrowser()
  })

  async function open(context: BrowserContext): Promise<Page> {
    const page = await openPage(context)
    await page.addInitScript(SCRIPT)
    await page.goto(site.url)
    return page
  }

  for (const client of store.name === 'lmdb' ? [undefined, 'me'] : ['me']) {
    it(
      `has each of 1,000 events once, loaded again and crashed within them, ${client === undefined ? 'without' : 'with'} a client`,
      async () => {
        const topic = `burst-${client ?? 'none'}`
        const rounds = soak ? 50 : 6
        const context = await openContext()
        let page = await open(context)
        for (let round = 1; round <= rounds; round++) {
          await page.evaluate(([topic = '', client]) => begin(topic, client), [topic, client])
          const to = Math.floor((round * 1_000) / rounds)
          const events = numbers(Math.floor(((round - 1) * 1_000) / rounds) + 1, to).map((data) => ({ data }))
          await site.hub.topic(topic).publishAll(events)
          // Some of them are handled, others are on their way.
          const from = Math.max(1, to - Math.ceil((events.length * (4 - (round % 5))) / 5))
          await untilNoted(page, from)
          if (round % 4 > 0) await page.reload()
          else {
            await page.goto('chrome://crash').catch(() => {})
            page = await open(context)
          }
        }
        await page.evaluate(([topic = '', client]) => begin(topic, client), [topic, client])
        await untilNoted(page, 1_000)
        await site.hub.topic(topic).publish('last')
        await untilNoted(page, 1_001)
        expect(await page.evaluate(() => noted())).toEqual(numbers(1, 1_001))
      },
      LONG_MS,
    )
  }

  it('reads again what the database does not have, wherever the cursor is, and undoes what a failing handler wrote', async () => {
    const context = await openContext()
    const page = await open(context)
    const topic = site.hub.topic('rebuilt')
    await topic.publishAll([{ data: 1 }, { data: 'fails' }, { data: 3 }])
    await page.evaluate(() => begin('rebuilt', 'owner'))
    await untilNoted(page, 3)
    expect(await page.evaluate(() => noted())).toEqual([1, 2, 3])
    expect(await page.evaluate(() => (globalThis as unknown as { failures: string[] }).failures)).toEqual([
      'not yet',
      'not yet',
    ])
    await until(async () => {
      const { cursors } = (await (await fetch(`${site.url}v1/topics/rebuilt/cursors`)).json()) as {
        cursors: { client: string; position: { offset: number } }[]
      }
      return cursors.some(({ client, position }) => client === 'owner' && position.offset === 3)
    })
    await page.goto('about:blank')
    await page.goto(site.url)
    await page.evaluate(async () => {
      await new Promise((resolve) => {
        indexedDB.deleteDatabase('app').onsuccess = resolve
      })
      await begin('rebuilt', 'owner')
    })
    await untilNoted(page, 3)
    expect(await page.evaluate(() => noted())).toEqual([1, 2, 3])
  })

  // What it says does not depend on the store.
  if (store.name !== 'lmdb') return
  it('is told at once of a database that is not prepared, and when a handler waits for something else', async () => {
    const page = await open(await openContext())
    await site.hub.topic('told').publish('x')
    const told = await page.evaluate(async () => {
      const errors: unknown[] = []
      await begin('told')
      const { db, hub } = globalThis as unknown as { db: IDBDatabase; hub: import('../../client/index.ts').Hub }
      const waits = async (_event: unknown, tx: IDBTransaction) => {
        tx.objectStore('sums').put(1, 'x')
        await new Promise((resolve) => setTimeout(resolve, 50))
      }
      const options = { from: 'start', transaction: { db, stores: ['sums'] }, maxAttempts: 1 } as const
      const ending = await hub.topic('told').subscribe(waits, options).ended
      errors.push('error' in ending ? String(ending.error) : ending.code)
      for (const transaction of [{ db, stores: ['sum'] }, {}, 7] as never[]) {
        try {
          hub.topic('told').subscribe(() => {}, { transaction })
        } catch (error) {
          errors.push(String(error))
        }
      }
      return errors.map((error) => String(error).replace('RepriseError: ', ''))
    })
    expect(told).toEqual([
      'the transaction has ended before the handler: it may await nothing but requests of its transaction',
      'the database has no store sum',
      'transaction is a database of IndexedDB, or { db, stores }',
      'transaction has to be a database, or { db, stores }',
    ])
  })
}
