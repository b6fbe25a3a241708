/** Every page of the console: for everybody, on every screen, and however much the hub has. */

import { readdir } from 'node:fs/promises'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { connect } from '../../client/index.ts'
import { createTestHub, type TestHub } from '../../server/testing.ts'
import { violations } from '../support/browser/accessible.ts'
import { buildForBrowsers } from '../support/browser/built.ts'
import { closeBrowser, heapBytes } from '../support/browser/chromium.ts'
import { visitConsole } from '../support/browser/consoleVisit.ts'
import { keepPicture } from '../support/browser/pictures.ts'
import { takePictures } from '../support/browser/readmePictures.ts'
import { asking } from '../support/clients/ask.ts'
import { atEnd } from '../support/ending.ts'
import { tempFolder } from '../support/temp.ts'
import { has, soak } from '../support/tools.ts'
import { until } from '../support/until.ts'

/** As long as an id may be, and one word. */
const LONG = `job-${'x'.repeat(252)}`

/** Places, and a text that each has when it is there. */
const PLACES: Readonly<Record<string, string>> = {
  '#/overview': 'jobs ready',
  '#/topics': '2 topics',
  '#/topics/orders': '"n":2',
  '#/topics/orders?view=publish': 'Publish',
  '#/topics/orders?view=cursors': 'phone',
  '#/topics/orders?view=settings': 'events',
  '#/clients?topic=orders': '1 client',
  '#/queues': '1 queue',
  '#/queues/emails': LONG,
  [`#/queues/emails?job=${LONG}`]: 'nobody consumes emails',
  '#/queues/emails?view=dead': 'no paper',
  '#/queues/emails?view=consumers': 'on this node',
  '#/queues/emails?view=rates': 'when somebody began to look',
  '#/queues/emails?view=bindings': 'No topic is bound',
  '#/queues/emails?view=settings': 'Settings',
  '#/activity': 'dead',
  '#/health': 'What the doctor says of',
}

const MANY = soak ? 10_000 : 2_000
const LAST = String(MANY - 1).padStart(5, '0')
const COUNT = MANY.toLocaleString('en')
const PER_SECOND = 5_000
const SECONDS = soak ? 120 : 2
/** Of the plots' points, the events on the page, and what waits to be collected. */
const MOST_GROWTH = 8e6

describe.runIf(has('chromium'))('the console, page by page,', () => {
  beforeAll(buildForBrowsers)
  afterAll(closeBrowser)

  it('has nothing that keeps anybody out, in the light and in the dark, and fits a phone', async () => {
    const { hub, url } = await withEverything()
    const visit = await visitConsole(url)
    const { page } = visit
    const found: string[] = []
    for (const [place, text] of Object.entries(PLACES)) {
      await visit.at(place)
      await visit.presence('live')
      await page.getByText(text).first().waitFor()
      found.push(...(await violations(page)).map((one) => `${place}: ${one}`))
      await keepPicture(page, `console-light-${place}`)
      await page.emulateMedia({ colorScheme: 'dark' })
      found.push(...(await violations(page, ['color-contrast'])).map((one) => `${place} in the dark: ${one}`))
      await page.setViewportSize({ width: 400, height: 800 })
      expect(await page.evaluate(() => document.documentElement.scrollWidth), `${place} on a phone`).toBe(400)
      expect(await cut(page), `${place} on a phone: names that are cut off`).toEqual([])
      await keepPicture(page, `console-dark-phone-${place}`)
      await page.setViewportSize({ width: 1_400, height: 900 })
      await page.emulateMedia({ colorScheme: 'light' })
    }
    await hub.close()
  })

  it(
    `stays small with ${MANY} topics and queues, at ${PER_SECOND} events a second`,
    async () => {
      const own = await createTestHub()
      atEnd(() => own.close())
      const { hub, url } = own
      const names = Array.from({ length: MANY }, (_, i) => String(i).padStart(5, '0'))
      await Promise.all(names.map((name) => hub.topic(`topic-${name}`).publish(name)))
      await Promise.all(names.map((name) => hub.queue(`queue-${name}`).send(name)))
      const visit = await visitConsole(url)
      const { page } = visit
      page.setDefaultTimeout(40_000)
      let summaries = 0
      page.on('websocket', (socket) =>
        socket.on('framereceived', ({ payload }) => {
          if (payload.toString().includes('"summary"')) summaries += 1
        }),
      )
      await visit.at('#/overview')
      // The store is looked at name by name, between other work.
      await page.locator('[data-figure="jobs ready"]').filter({ hasText: COUNT }).waitFor()
      const stop = publishing(own)
      const rows = () => page.locator('tbody tr').count()
      for (const list of ['topics', 'queues']) {
        await visit.at(`#/${list}`)
        await page.getByText(`${COUNT} ${list}`).waitFor()
        expect(await rows()).toBeLessThan(200)
        await page.locator('.list').evaluate((box) => box.scrollTo(0, box.scrollHeight))
        await page.getByRole('link', { name: `${list.slice(0, -1)}-${LAST}` }).waitFor()
        expect(await rows()).toBeLessThan(200)
        await page.getByRole('searchbox').fill('0177')
        await page.getByText(`11 of ${COUNT} ${list}`).waitFor()
      }
      await visit.at('#/topics/busy')
      const newest = async () => Number((await page.locator('.events .offset').first().innerText()).replaceAll(',', ''))
      await until(async () => (await newest()) > PER_SECOND, { what: 'events', deadlineMs: 40_000 })
      const [heap, seen, from] = [await heapBytes(page), summaries, await newest()]
      const began = performance.now()
      await until(async () => (await newest()) > from + PER_SECOND * SECONDS, {
        what: 'more',
        deadlineMs: SECONDS * 6_000,
      })
      const seconds = (performance.now() - began) / 1_000
      expect(await page.locator('.events .offset').count()).toBeLessThanOrEqual(200)
      expect((await heapBytes(page)) - heap).toBeLessThan(MOST_GROWTH)
      expect((summaries - seen) / seconds).toBeLessThan(10)
      await stop()
    },
    soak ? 900_000 : 120_000,
  )
})

it.runIf(has('chromium'))("README's pictures are taken of the pages as they are", async () => {
  await buildForBrowsers()
  const folder = await tempFolder()
  await takePictures(folder, 1)
  expect((await readdir(folder)).sort()).toEqual(['console.png', 'demo.png'])
})

/** Names of clients that are not seen whole. */
async function cut(page: Page): Promise<string[]> {
  return await page.evaluate(() =>
    [...document.querySelectorAll<HTMLElement>('.cursors td:first-child')]
      .filter((cell) => cell.scrollWidth > cell.clientWidth)
      .map(({ innerText }) => innerText),
  )
}

/** A hub with something on each page. */
async function withEverything(): Promise<TestHub> {
  const own = await createTestHub({ queues: { '*': { maxAttempts: 1 } } })
  atEnd(() => own.close())
  const { hub, url } = own
  await hub.topic('orders').publishAll([1, 2].map((n) => ({ data: { n }, key: 'ann' })))
  await hub.topic('payments').publish('paid')
  const client = connect(url, { client: 'phone' })
  atEnd(() => client.close())
  const heard = new Promise<void>((done) => {
    client.topic('orders').subscribe(({ offset }) => offset === 2 && done(), { from: 'start' })
  })
  await heard
  const emails = client.queue('emails')
  const worker = emails.consume(() => {
    throw new Error('no paper')
  })
  worker.onError(() => {})
  await emails.send('bad')
  const counts = async () =>
    (await asking(url)<{ counts: Record<string, number> }>('GET', '/v1/queues/emails')).body.counts
  await until(async () => (await counts()).dead === 1, { what: 'a dead letter' })
  await worker.close()
  await hub.queue('emails').send('good', { id: LONG })
  return own
}

/** Until the result is called. */
function publishing({ hub }: TestHub): () => Promise<void> {
  const busy = hub.topic('busy')
  const began = performance.now()
  let sent = 0
  let failed: Promise<unknown> = Promise.resolve()
  const timer = setInterval(() => {
    const due = Math.floor(((performance.now() - began) / 1_000) * PER_SECOND) - sent
    if (due <= 0) return
    failed = Promise.all([
      failed,
      busy.publishAll(Array.from({ length: Math.min(due, 500) }, (_, i) => ({ data: sent + i }))),
    ])
    sent += Math.min(due, 500)
  }, 10)
  return async () => {
    clearInterval(timer)
    await failed
  }
}
