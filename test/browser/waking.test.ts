/** Pages that sleep: their connection has died without a word, their timers stood still, or they wait for long. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Hub, Subscription } from '../../client/index.ts'
import { type BareSite, startBareSite } from '../support/browser/bare.ts'
import { buildForBrowsers } from '../support/browser/built.ts'
import { closeBrowser, openContext, openPage } from '../support/browser/chromium.ts'
import { startRelay } from '../support/network/relay.ts'
import { has } from '../support/tools.ts'

declare global {
  var asleep: { hub: Hub; subscription: Subscription; offsets: number[]; reasons: string[] }
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

  async function open(url: string, topic: string) {
    const page = await openPage(await openContext(), { expected: /net::ERR_|WebSocket connection to/ })
    // Only what the test is about may bring it back.
    await page.addInitScript(() => addEventListener('online', (event) => event.stopImmediatePropagation()))
    await page.goto(url)
    await page.evaluate(async (topic) => {
      const hub = Reprise.connect(undefined, { reconnect: { baseMs: 3_600_000, maxMs: 3_600_000 } })
      const [offsets, reasons]: [number[], string[]] = [[], []]
      const subscription = hub.topic(topic).subscribe(({ offset }) => void offsets.push(offset))
      globalThis.asleep = { hub, subscription, offsets, reasons }
      await new Promise<void>((resolve) => {
        subscription.onStatus((status) => {
          if (status.state === 'offline') reasons.push(status.reason.message)
          if (status.state === 'live') resolve()
        })
      })
    }, topic)
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

  it('catches up when it was frozen', async () => {
    const page = await open(site.url, 'frozen')
    const cdp = await page.context().newCDPSession(page)
    await cdp.send('Page.setWebLifecycleState', { state: 'frozen' })
    await site.hub.topic('frozen').publishAll(Array.from({ length: 500 }, (_, i) => ({ data: i })))
    await cdp.send('Page.setWebLifecycleState', { state: 'active' })
    await page.waitForFunction(() => asleep.offsets.length === 500)
    expect(await page.evaluate(() => asleep.offsets)).toEqual(Array.from({ length: 500 }, (_, i) => i + 1))
  })
})
