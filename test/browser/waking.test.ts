/** Pages that sleep: their connection has died without a word, their timers stood still, or they wait for long. */

import { isDeepStrictEqual } from 'node:util'
import type { BrowserContext, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { ConnectOptions, Hub, Subscription } from '../../client/index.ts'
import { type BareSite, startBareSite } from '../support/browser/bare.ts'
import { buildForBrowsers } from '../support/browser/built.ts'
import { closeBrowser, openContext, openPage, openWindow } from '../support/browser/chromium.ts'
import { startRelay } from '../support/network/relay.ts'
import { has } from '../support/tools.ts'
import { until } from '../support/until.ts'

declare global {
  var ticks: number
  var asleep: {
    hub: Hub
    subscription: Subscription
    offsets: number[]
    reasons: string[]
    published?: Promise<unknown>
    cached?: boolean
  }
}

describe.runIf(has('chromium'))('a page that wakes up', () => {
  let site: BareSite

  beforeAll(async () => {
    await buildForBrowsers()
    site = await startBareSite()
  })
  afterAll(async () => {
    await closeBrowser()
  })

  async function open(url: string, topic: string, context?: BrowserContext, options: ConnectOptions = {}) {
    const page = await openPage(context ?? (await openContext()), { expected: /net::ERR_|WebSocket connection to/ })
    // Only what the test is about may bring it back.
    await page.addInitScript(() => addEventListener('online', (event) => event.stopImmediatePropagation()))
    await page.goto(url)
    await page.evaluate(
      async ({ topic, options }) => {
        const hub = Reprise.connect(undefined, { reconnect: { baseMs: 3_600_000, maxMs: 3_600_000 }, ...options })
        const [offsets, reasons]: [number[], string[]] = [[], []]
        const subscription = hub.topic(topic).subscribe(({ offset }) => void offsets.push(offset))
        globalThis.asleep = { hub, subscription, offsets, reasons }
        await new Promise<void>((resolve) => {
          subscription.onStatus((status) => {
            if (status.state === 'offline') reasons.push(status.reason.message)
            if (status.state === 'live') resolve()
          })
        })
      },
      { topic, options },
    )
    return page
  }

  it('gives up a connection on which no ping has come in time, and gets what it missed', async () => {
    const relay = await startRelay(site.origin)
    const page = await open(relay.url, 'slept')
    // The network is another one, and nobody has told.
    relay.freeze()
    await site.hub.topic('slept').publishAll([{ data: 1 }, { data: 2 }])
    await page.evaluate(() => {
      document.dispatchEvent(new Event('visibilitychange'))
      if (asleep.reasons.length > 0) throw new Error('it has slept for no time')
      const { now } = Date
      Date.now = () => now() + 600_000
      document.dispatchEvent(new Event('visibilitychange'))
    })
    await page.waitForFunction(() => asleep.offsets.length === 2)
    expect(await page.evaluate(() => asleep.reasons)).toEqual([
      'the connection was lost: the page or its network was asleep',
    ])
  })

  it('does not wait for its next try', async () => {
    for (const event of ['visibilitychange', 'pageshow', 'resume']) {
      const topic = `waits-${event}`
      const page = await open(site.url, topic)
      await page.context().setOffline(true)
      await page.waitForFunction(() => asleep.reasons.length > 0)
      expect(await page.evaluate(() => asleep.reasons[0])).toBe('the connection was lost: the browser is offline')
      await site.hub.topic(topic).publish('meanwhile')
      await page.context().setOffline(false)
      await page.evaluate((event) => {
        const target = event === 'pageshow' ? window : document
        target.dispatchEvent(new Event(event))
      }, event)
      await page.waitForFunction(() => asleep.offsets.length === 1)
      await page.context().close()
    }
  })

  it('comes back from the cache of pages that were left, and gets what it missed, once', async () => {
    const window = await openWindow()
    for (const [i, options] of [{}, { transports: ['polling' as const] }, { share: true, persist: true }].entries()) {
      const topic = `left-${i}`
      const page = await open(site.url, topic, window, options)
      await site.hub.topic(topic).publish('before')
      await page.waitForFunction(() => asleep.offsets.length === 1)
      await page.evaluate((topic) => {
        addEventListener('pageshow', ({ persisted }) => {
          asleep.cached = persisted
        })
        asleep.published = asleep.hub.topic(topic).publish('on the way')
      }, topic)
      await page.goto('about:blank')
      await site.hub.topic(topic).publish('meanwhile')
      await page.goBack({ waitUntil: 'commit' })
      await page.evaluate(() => asleep.published)
      // All that was published is stored once.
      expect(await site.hub.topic(topic).publish('after')).toMatchObject({ offset: 4 })
      await page.waitForFunction(() => asleep.offsets.at(-1) === 4)
      const { cached, offsets, reasons } = await page.evaluate(() => asleep)
      expect(cached, reasons.join()).toBe(true)
      expect(offsets).toEqual([1, 2, 3, 4])
      expect(reasons).toEqual(['the connection was lost: the page was left'])
    }
  })

  it('catches up when it was frozen', async () => {
    const window = await openWindow()
    const pages = [
      await open(site.url, 'frozen', window),
      await open(site.url, 'frozen', window, { transports: ['polling'] }),
      await open(site.url, 'frozen', window),
    ]
    const [first, second, front] = pages as [Page, Page, Page]
    for (const page of pages) {
      await page.evaluate(() => {
        globalThis.ticks = 0
        setInterval(() => ticks++, 10)
      })
    }
    await front.bringToFront()
    const frozen = []
    for (const page of [first, second]) {
      const cdp = await window.newCDPSession(page)
      await cdp.send('Page.setWebLifecycleState', { state: 'frozen' })
      frozen.push({ page, cdp, stood: await page.evaluate(() => ticks) })
    }
    await site.hub.topic('frozen').publishAll(Array.from({ length: 500 }, (_, i) => ({ data: i })))
    await front.waitForFunction(() => ticks > 50 && asleep.offsets.length === 500)
    for (const { page, cdp, stood } of frozen) {
      expect(await page.evaluate(() => [ticks, asleep.offsets.length])).toEqual([stood, 0])
      await cdp.send('Page.setWebLifecycleState', { state: 'active' })
      await page.bringToFront()
      await page.waitForFunction(() => asleep.offsets.length === 500)
      const { offsets, reasons } = await page.evaluate(() => asleep)
      expect(offsets).toEqual(Array.from({ length: 500 }, (_, i) => i + 1))
      expect(reasons).toEqual(['the connection was lost: the browser has frozen the page'])
    }
  })

  it('has worked meanwhile under leases that outlast its slow timers, also where it shares a connection', async () => {
    const window = await openWindow()
    const tabs: Page[] = []
    for (let i = 0; i < 2; i++) {
      const page = await openPage(window)
      await page.goto(site.url)
      await page.evaluate(async () => {
        const hub = Reprise.connect(undefined, { client: 'tab', share: true })
        const worker = hub.queue('hidden').consume(() => new Promise(() => {}))
        await new Promise<void>((resolve) => void worker.onStatus(({ state }) => state === 'working' && resolve()))
      })
      await site.hub.queue('hidden').send('long')
      tabs.push(page)
    }
    /** How long the leases are: of what the tabs get from now on, and what is left of those that they have. */
    const leases = async () => {
      const of = async (what: string) => (await fetch(`${site.url}v1/queues/hidden/${what}`)).json()
      const { consumers } = (await of('consumers')) as { consumers: { client: string; leaseMs: number }[] }
      const { jobs } = (await of('jobs?state=held')) as { jobs: { holder: { client: string }; expiresAt: number }[] }
      return ['tab', 'tab:2'].map((client) => {
        const job = jobs.find(({ holder }) => holder.client === client)
        const left = (job?.expiresAt ?? 0) - Date.now() > 120_000 ? 'long' : 'short'
        return [consumers.find((one) => one.client === client)?.leaseMs, left]
      })
    }
    let seen: unknown
    for (const [front, ...expected] of [
      [1, [240_000, 'long'], [30_000, 'short']],
      [0, [30_000, 'long'], [240_000, 'long']],
    ] as const) {
      await tabs[front]?.bringToFront()
      const isSo = async () => {
        seen = await leases()
        return isDeepStrictEqual(seen, expected)
      }
      await until(isSo, { what: 'leases', seen: () => seen })
    }
  })
})
