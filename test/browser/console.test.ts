import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createTestHub, type TestHub } from '../../server/testing.ts'
import { buildForBrowsers } from '../support/browser/built.ts'
import { closeBrowser } from '../support/browser/chromium.ts'
import { unnamed, visitConsole } from '../support/browser/consoleVisit.ts'
import { LOST_CONNECTIONS } from '../support/browser/demoVisit.ts'
import { scrape } from '../support/clients/scrape.ts'
import { SECRET, tokenOf } from '../support/clients/tokens.ts'
import { atEnd } from '../support/ending.ts'
import { tempFolder } from '../support/temp.ts'
import { has } from '../support/tools.ts'
import { until } from '../support/until.ts'

const MOST_BYTES = 90 * 1_024

describe.runIf(has('chromium'))('the console', () => {
  let hub: TestHub
  beforeAll(async () => {
    await buildForBrowsers()
    hub = await createTestHub()
  })
  afterAll(async () => {
    await closeBrowser()
    await hub.close()
  })

  it('shows an empty hub what to do first, and stores the first event by one click', async () => {
    const console = await visitConsole(hub.url)
    await console.at('')
    await console.page.getByRole('button', { name: 'Publish the first event' }).click()
    await console.page.getByRole('link', { name: 'orders' }).click()
    await console.page.waitForURL(/#\/topics\/orders$/)
    expect(await hub.hub.topic('orders').read()).toMatchObject({ last: 1, events: [{ offset: 1 }] })
  })

  it('shows the numbers that /metrics has, and plots that a reload keeps', async () => {
    const console = await visitConsole(hub.url, { dark: true })
    await hub.hub.topic('orders').publishAll(Array.from({ length: 20 }, (_, i) => ({ data: i })))
    await hub.hub.queue('emails').sendAll([{ data: 1 }, { data: 2 }, { data: 3, delayMs: 60_000 }])
    await console.at('')
    await console.says('jobs ready', '2')
    await console.says('kept', '21')
    const metrics = await scrape(hub.url)
    expect(metrics.of('reprise_jobs{pattern="(none)",state="ready"}')).toBe(2)
    expect(metrics.of('reprise_topic_events{pattern="(none)"}')).toBe(21)
    const jobs = () => console.page.getByRole('img', { name: /^Jobs waiting/ })
    const plot = () => console.page.getByRole('img', { name: /^Jobs waiting: ready 2, delayed 1/ })
    await until(async () => (await plot().count()) === 1, { what: 'the plot' })
    await console.page.reload()
    await until(async () => (await plot().count()) === 1, { what: 'the plot again' })
    // The day has the minute that is not over, too.
    await console.page.getByRole('button', { name: 'the last day' }).click()
    await until(async () => !/: ready 0/.test((await jobs().getAttribute('aria-label')) ?? ''), { what: 'the day' })
    expect(await unnamed(console.page)).toEqual([])
  })

  it('is used by keys alone, and each place has an address', async () => {
    const console = await visitConsole(hub.url)
    const { page } = console
    // A machine whose clock is an hour ahead of the hub's.
    await page.addInitScript(() => {
      const { now } = Date
      Date.now = () => now() + 3_600_000
    })
    await console.at('#/overview')
    await console.presence('live')
    await page.keyboard.press('?')
    await page.getByRole('dialog', { name: 'Keys' }).waitFor()
    await page.keyboard.press('Escape')
    await page.keyboard.press('g')
    await page.keyboard.press('q')
    await page.getByRole('heading', { name: 'Queues', level: 1 }).waitFor()
    await page.keyboard.press('/')
    await page.keyboard.type('mail')
    await page.getByText('1 of 1 queue', { exact: true }).waitFor()
    expect(page.url()).toContain('#/queues?search=mail')
    await page.reload()
    expect(await page.getByRole('searchbox').inputValue()).toBe('mail')
    await page.getByRole('link', { name: 'emails' }).waitFor()
    expect(await page.locator('tbody a').count()).toBe(1)
    await page.getByRole('searchbox').fill('job-7')
    await page.getByText('No queue has “job-7” in its name. To find a job, open its queue').waitFor()
  })

  it('leads to a demo that moves by itself', async () => {
    const console = await visitConsole(hub.url)
    await console.at('')
    await console.page.getByRole('link', { name: 'Demo', exact: true }).click()
    const published = async () => Number(await console.page.locator('[data-test="published"]').innerText())
    await until(async () => (await published()) > 2, { what: 'events', seen: published })
  })

  it('says that the hub is away, keeps what it shows, and heals itself', async () => {
    const store = await tempFolder()
    let own = await createTestHub({ store })
    atEnd(() => own.close())
    const console = await visitConsole(own.url, { expected: LOST_CONNECTIONS })
    await own.hub.topic('orders').publish(1)
    await console.at('')
    await console.says('kept', '1')
    const port = Number(new URL(own.url).port)
    await own.close()
    await console.presence('away')
    expect(await console.page.locator('.banner').innerText()).toMatch(/cannot be reached since .* as of /)
    expect(await console.figure('kept')).toBe('1')
    own = await createTestHub({ store, port })
    await own.hub.topic('orders').publish(2)
    await console.presence('live')
    await console.says('kept', '2')
    expect(await console.page.locator('.banner').count()).toBe(0)
  })

  it('asks for a token where the hub does, and shows what it may read', async () => {
    const own = await createTestHub({ auth: { jwt: { secret: SECRET } } })
    atEnd(() => own.close())
    await own.hub.topic('mine').publish(1)
    await own.hub.topic('other').publish(1)
    const console = await visitConsole(own.url, { expected: /401|431/ })
    const { page } = console
    await console.at('#/topics')
    const enter = async (token: string) => {
      await page.getByLabel('Token or key').fill(token)
      await page.getByRole('button', { name: 'Enter' }).click()
    }
    await enter('nonsense')
    await page.getByRole('alert').waitFor()
    // Whatever was typed, it can be typed anew.
    await enter('“quoted”')
    await page.getByText('it has characters that no token has').waitFor()
    await enter('x'.repeat(20_000))
    await page.getByText('the answer was 431').waitFor()
    await enter(await tokenOf('ann', { grants: [{ actions: ['read'], names: ['mine'] }] }))
    await page.getByText('1 topic').waitFor()
    expect(await page.locator('tbody a').allInnerTexts()).toEqual(['mine'])
    await page.getByRole('link', { name: 'Overview' }).click()
    await page.getByText('The numbers of the whole hub are for').waitFor()
    await page.getByRole('button', { name: 'Leave' }).click()
    await enter(await tokenOf('root'))
    await console.says('kept', '2')
    expect(await page.evaluate(() => sessionStorage.length)).toBe(0)
  })

  it('is small', () => {
    const assets = new URL('../../dist/console/assets/', import.meta.url).pathname
    const own = readdirSync(assets).filter((name) => !name.startsWith('demo'))
    const bytes = own.reduce((sum, name) => sum + gzipSync(readFileSync(join(assets, name))).length, 0)
    expect(bytes).toBeLessThan(MOST_BYTES)
  })
})
