import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { connect } from '../../client/index.ts'
import { createTestHub, type TestHub } from '../../server/testing.ts'
import { violations } from '../support/browser/accessible.ts'
import { buildForBrowsers } from '../support/browser/built.ts'
import { closeBrowser } from '../support/browser/chromium.ts'
import { visitConsole } from '../support/browser/consoleVisit.ts'
import { SECRET, tokenOf } from '../support/clients/tokens.ts'
import { join } from '../support/clients/wire.ts'
import { atEnd } from '../support/ending.ts'
import { startRelay } from '../support/network/relay.ts'
import { has } from '../support/tools.ts'
import { until } from '../support/until.ts'

describe.runIf(has('chromium'))('the clients in the console', () => {
  let hub: TestHub
  let token: string
  beforeAll(async () => {
    await buildForBrowsers()
    hub = await createTestHub({ auth: { jwt: { secret: SECRET } } })
    token = await tokenOf('root', { ttlMs: 600_000 })
  })
  afterAll(async () => {
    await closeBrowser()
    await hub.close()
  })

  async function enter(as: string, place: string, options = {}) {
    const visit = await visitConsole(hub.url, { expected: /401/, ...options })
    await visit.at(place)
    await visit.page.getByLabel('Token or key').fill(as)
    await visit.page.getByRole('button', { name: 'Enter' }).click()
    await visit.presence('live')
    return visit
  }

  it('shows who is live, catching up and behind, and disconnects one, which comes back and misses nothing', {
    timeout: 90_000,
  }, async () => {
    const { url } = hub
    const orders = hub.hub.topic('orders')
    const relay = await startRelay(url)
    const slow = await join(relay.url, 'orders', { token, client: 'slow' })
    await slow.seen('live')
    relay.throttle(1_000)
    const text = 'x'.repeat(200_000)
    for (let i = 0; i < 80; i++) await orders.publish(text)
    const page = { token, client: 'reader', from: 'start', paced: true } as const
    const reader = await join(url, 'orders', page, { holdPages: true })
    await reader.seen('events')
    const phone = connect(url, { token, client: 'phone' })
    atEnd(() => phone.close())
    const got: number[] = []
    const gaps: unknown[] = []
    const subscription = phone.topic('orders').subscribe(({ offset }) => void got.push(offset))
    subscription.onGap((gap) => gaps.push(gap))
    phone.queue('emails').consume(() => new Promise(() => {}))
    await hub.hub.queue('emails').send({ to: 'ann' })

    const visit = await enter(token, '#/clients?topic=orders')
    const shown = visit.page
    const state = (client: string) => shown.locator('tbody tr', { hasText: client }).locator('.state').innerText()
    await until(async () => (await state('phone')) === 'live', { what: 'phone to be live' })
    await until(async () => (await state('slow')) === 'behind', { what: 'slow to be behind' })
    expect(await state('reader')).toBe('catching up')
    expect(await shown.locator('tbody tr').count()).toBe(3)
    expect(await violations(shown)).toEqual([])

    await shown.getByRole('button', { name: /topic orders/ }).click()
    await shown.keyboard.press('/')
    await shown.keyboard.type('phone')
    await shown.getByRole('link', { name: 'phone' }).click()
    await shown.getByRole('region', { name: 'Subscriptions' }).getByRole('link', { name: 'orders' }).waitFor()
    const held = shown.getByRole('region', { name: 'Consumers' }).locator('tbody tr')
    await until(async () => /emails\s+\d+\s+1$/.test(await held.innerText()), {
      what: 'the job',
      seen: () => held.innerText(),
    })
    const address = shown.url()
    await shown.getByRole('button', { name: 'Disconnect' }).click()
    await shown.getByText('Its client comes back by itself').waitFor()
    await shown.getByRole('button', { name: 'Disconnect it' }).click()
    await shown.getByText('This connection is gone').waitFor()
    const { offset } = await orders.publish('while it was away')
    await until(() => got.includes(offset), { what: 'the client to be back' })
    expect([got, gaps]).toEqual([[offset], []])
    await shown.getByRole('link', { name: 'look for phone' }).click()
    await shown.getByRole('link', { name: 'phone' }).click()
    await until(() => /#\/clients\/./.test(shown.url()), { what: 'the new connection' })
    expect(shown.url()).not.toBe(address)
    await shown.getByRole('button', { name: 'Disconnect' }).waitFor()

    await visit.at('#/topics/orders?view=cursors')
    await shown.getByRole('link', { name: 'slow' }).click()
    await shown.getByText('1 of 3 clients').waitFor()
    relay.throttle(Number.POSITIVE_INFINITY)
    await until(async () => (await state('slow')) === 'live', { what: 'slow to be live again', deadlineMs: 20_000 })
  })

  it('only shows to whoever may look and not act, on a phone, by keys', async () => {
    const wire = await join(hub.url, 'orders', { token, client: 'watched' })
    await wire.seen('live')
    const viewer = await tokenOf('viewer', { ttlMs: 600_000, grants: [{ actions: ['read'], names: ['*'] }] })
    const { page } = await enter(viewer, '#/overview', { width: 400 })
    await page.keyboard.press('g')
    await page.keyboard.press('c')
    await page.getByRole('link', { name: 'watched' }).click()
    const button = page.getByRole('button', { name: 'Disconnect' })
    await button.waitFor()
    expect(await button.isDisabled()).toBe(true)
    await page.getByText('to disconnect needs admin on *').waitFor()
    const wide = await page.evaluate(() => document.documentElement.scrollWidth)
    expect(wide).toBeLessThanOrEqual(400)
    expect(await violations(page)).toEqual([])
    await page.emulateMedia({ colorScheme: 'dark' })
    expect(await violations(page, ['color-contrast'])).toEqual([])
  })
})
