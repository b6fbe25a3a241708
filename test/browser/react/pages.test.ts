/** React and a page without it, in StrictMode where there is one: each has one connection, and misses nothing. */

import { readFile } from 'node:fs/promises'
import { extname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ROOT } from '../../../build/build.ts'
import { createHub, type Hub } from '../../../server/index.ts'
import { closeBrowser, openContext, openPage } from '../../support/browser/chromium.ts'
import { ensureBuilt } from '../../support/built.ts'
import { serveAttached } from '../../support/hub/attached.ts'
import { tempFolder } from '../../support/temp.ts'
import { has } from '../../support/tools.ts'
import { until } from '../../support/until.ts'

const LOST_CONNECTIONS = /net::ERR_|WebSocket connection to/
const TYPES: Readonly<Record<string, string>> = { '.html': 'text/html', '.js': 'text/javascript' }
const HOOKS = '<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><title>hooks</title>'

/** Builds the example's pages and the one of the hooks, with the React that complains and calls effects twice. */
async function buildPages(): Promise<string> {
  const vite = await import('vite')
  const outDir = await tempFolder()
  const common = {
    logLevel: 'error',
    // React's own word for a build that is not for users.
    define: { 'process.env.NODE_ENV': '"development"' },
  } as const
  const output = { outDir, emptyOutDir: false, minify: false } as const
  await vite.build({ ...common, configFile: join(ROOT, 'examples/pages/vite.config.ts'), build: output })
  await vite.build({
    ...common,
    configFile: false,
    root: ROOT,
    build: {
      ...output,
      rolldownOptions: {
        input: join(ROOT, 'test/support/browser/hooksPage.tsx'),
        output: { entryFileNames: 'hooks.js' },
      },
    },
  })
  return outDir
}

describe.runIf(has('chromium'))('pages in React', () => {
  let folder = ''
  let hub: Hub
  let origin = ''

  beforeAll(async () => {
    await ensureBuilt()
    folder = await buildPages()
    hub = createHub({ store: join(await tempFolder(), 'data'), logLevel: 'silent' })
    await hub.ready
    origin = await serveAttached(hub, async (request, response) => {
      const path = new URL(request.url ?? '', 'http://host').pathname
      const text = path === '/hooks' ? `${HOOKS}<script type="module" src="/hooks.js"></script>` : undefined
      const file = join(folder, path.endsWith('/') ? `${path}index.html` : path)
      const body = text ?? (await readFile(file).catch(() => undefined))
      if (body === undefined) hub.handler(request, response)
      else response.setHeader('content-type', TYPES[extname(file)] ?? 'text/html').end(body)
    })
  }, 180_000)
  afterAll(async () => {
    await closeBrowser()
  })

  async function haveConnections(count: number): Promise<void> {
    let seen: unknown[] = []
    const have = async () => {
      const { clients } = (await (await fetch(`${origin}/v1/clients`)).json()) as { clients: unknown[] }
      seen = clients
      return seen.length === count
    }
    await until(have, { what: `${count} connections`, everyMs: 50, seen: () => seen })
  }

  it('and without it: the examples show what was published while they were away, once, over one connection each', async () => {
    const context = await openContext()
    const pages = await Promise.all(
      ['/', '/vanilla.html'].map(async (path) => {
        const page = await openPage(context, { expected: LOST_CONNECTIONS })
        await page.goto(`${origin}${path}`)
        await page.waitForFunction(() => document.querySelector('#status')?.textContent === 'live')
        return page
      }),
    )
    const publish = (text: string) => hub.topic('chat').publish({ text })
    const expected: string[] = []
    const show = async (...texts: string[]) => {
      expected.push(...texts)
      const all = expected.join()
      const lines = () => [...document.querySelectorAll('li')].map(({ textContent }) => textContent).join()
      for (const page of pages) {
        await page.waitForFunction((all) => {
          return [...document.querySelectorAll('li')].map(({ textContent }) => textContent).join() === all
        }, all)
        expect(await page.evaluate(lines)).toBe(all)
      }
    }
    await publish('from the hub')
    await show('from the hub')
    for (const [i, page] of pages.entries()) {
      await page.fill('input', `from page ${i}`)
      await page.click('button')
      await show(`from page ${i}`)
    }
    await haveConnections(2)

    await context.setOffline(true)
    for (const page of pages) {
      await page.waitForFunction(() => document.querySelector('#status')?.textContent === 'offline')
    }
    const [react] = pages
    await react?.fill('input', 'written while away')
    await react?.click('button')
    for (let i = 0; i < 10; i++) await publish(`meanwhile ${i}`)
    await context.setOffline(false)
    await show(...Array.from({ length: 10 }, (_, i) => `meanwhile ${i}`), 'written while away')
    expect(await react?.textContent('output')).toBe('')
    await haveConnections(2)
    await context.close()
    await haveConnections(0)
  })

  it('subscribe once, with the newest handler, to the topic that they name last, until they are gone', async () => {
    const page = await openPage(await openContext())
    await page.goto(`${origin}/hooks`)
    const subscribed = () => page.evaluate(() => hooks.subscribed)
    const got = async () => (await page.evaluate(() => hooks.log)).filter((line) => !line.startsWith('rendered'))
    const counter = (text: string) =>
      page.waitForFunction((text) => document.querySelector('#counter')?.textContent?.trim() === text, text)

    // One alone: StrictMode calls its effects, undoes them, and calls them again.
    await page.evaluate(() => hooks.show({ topic: 'orders', hidden: true }))
    await page.waitForFunction(() => hooks.log.includes('rendered a'))
    await page.evaluate(() => hooks.show({ topic: 'orders', twice: true }))
    await counter('orders: live')
    await page.waitForFunction(() => document.querySelector('#sides')?.textContent === 'function emails live')
    await hub.topic('orders').publish({ id: 1 })
    await counter('orders: 1 live')
    expect(await got()).toEqual(['a orders 1', 'aa orders 1'])

    // Another handler is no other subscription, and who does not look at the status is not rendered for it.
    const rendered = () => page.evaluate(() => hooks.log.filter((line) => line === 'rendered b').length)
    await page.evaluate(() => hooks.show({ topic: 'orders', mark: 'b' }))
    await page.waitForFunction(() => hooks.log.includes('rendered b'))
    const before = await rendered()
    await page.evaluate(() => {
      hooks.hub.suspend()
      hooks.hub.resume()
    })
    await hub.topic('orders').publish({ id: 2 })
    await counter('orders: 1 2 live')
    expect((await got()).slice(2)).toEqual(['b orders 2'])
    expect(await rendered()).toBe(before)
    expect(await subscribed()).toEqual(['orders'])
    await haveConnections(1)

    // Put away by React, and back.
    await page.evaluate(() => hooks.show({ topic: 'orders', mark: 'b', hidden: true }))
    await page.waitForFunction(() => document.querySelector<HTMLElement>('#counter')?.style.display === 'none')
    await page.evaluate(() => hooks.show({ topic: 'orders', mark: 'b' }))
    // It shares the subscription of one that was there all the time: what that has had meanwhile does not come again.
    await page.waitForFunction(() => document.querySelector<HTMLElement>('#counter')?.style.display === '')
    await hub.topic('orders').publish({ id: 3 })
    await counter('orders: 1 2 3 live')

    await page.evaluate(() => hooks.show({ topic: 'notes', mark: 'c', wrong: true }))
    await counter('notes: live')
    await page.waitForFunction(() => document.querySelector('#thrown')?.textContent?.includes('no name'))
    await hub.topic('orders').publish({ id: 4 })
    await hub.topic('notes').publish('n')
    await counter('notes: 1 live')
    expect((await got()).slice(3)).toEqual(['b orders 3', 'c notes 1'])
    await page.waitForFunction(() => hooks.subscribed.includes('orders closed'))
    expect((await subscribed()).toSorted()).toEqual(['notes', 'orders', 'orders closed'])
    await haveConnections(1)

    await page.evaluate(() => hooks.show(undefined))
    await page.waitForFunction(() => hooks.subscribed.includes('notes closed'))
    await haveConnections(0)

    // What a server has made is taken over as it is, and lives then.
    const html = await page.evaluate(() => hooks.hydrate())
    expect(html).toContain('notes: connecting')
    expect(html).toContain('function emails idle')
    await counter('notes: live')
    expect((await subscribed()).slice(4)).toEqual(['notes'])
  })
})
