/**
 * `npm run pictures`: the pictures that README shows, taken of the real pages while a hub has something to do. Run by hand
 * when a page has changed its looks.
 */

import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { argv } from 'node:process'
import { fileURLToPath } from 'node:url'
import { chromium, type Page } from 'playwright-core'
import { build, isFresh, ROOT } from '../../../build/build.ts'
import { connect, type Hub } from '../../../client/index.ts'
import { createTestHub, type TestHub } from '../../../server/testing.ts'
import { pathOf } from '../tools.ts'
import { ARGS } from './args.ts'
import { Demo } from './demo.ts'

const SIZE = { width: 1_280, height: 800 }
/** So long the plots have something to draw. */
const SECONDS = 100

/** Writes `console.png` and `demo.png`. */
export async function takePictures(folder: string, seconds = SECONDS): Promise<void> {
  mkdirSync(folder, { recursive: true })
  const browser = await chromium.launch({ executablePath: pathOf('chromium'), args: [...ARGS] })
  const own = await createTestHub({ queues: { '*': { maxAttempts: 2 } } })
  const client = connect(own.url, { client: 'billing', quiet: true })
  try {
    const page = await browser.newPage({ viewport: SIZE, timezoneId: 'UTC' })
    await page.goto(`${own.url}/#/overview`)
    const rest = work(own.hub, client)
    await page.waitForTimeout(seconds * 1_000)
    await page.screenshot({ path: join(folder, 'console.png') })
    rest()
    await demoPicture(await browser.newPage({ viewport: SIZE }), own.url, join(folder, 'demo.png'))
  } finally {
    await client.close()
    await browser.close()
    await own.close()
  }
}

/** Events and jobs that come and go in waves. The result ends them. */
function work(hub: TestHub['hub'], client: Hub): () => void {
  const [orders, emails] = [hub.topic('orders'), hub.queue('emails')]
  client.topic('orders').subscribe(() => {}, { from: 'start' })
  client.queue('emails').consume(
    (job) => {
      if (Number(job.data) % 97 === 0) throw new Error('no such address')
      return new Promise((resolve) => setTimeout(resolve, 40))
    },
    { concurrency: 4 },
  )
  let n = 0
  const timer = setInterval(() => {
    const wave = 1 + Math.sin(performance.now() / 9_000)
    const count = Math.round(20 + 30 * wave)
    void orders.publishAll(Array.from({ length: count }, () => ({ data: { order: ++n } }))).catch(() => {})
    if (n % 3 === 0)
      void emails.sendAll(Array.from({ length: Math.round(5 * wave) }, () => ({ data: ++n }))).catch(() => {})
  }, 100)
  return () => clearInterval(timer)
}

/** One subscriber was away for a burst, and has it now. */
async function demoPicture(page: Page, url: string, path: string): Promise<void> {
  const demo = new Demo(page)
  await demo.open(url, 'demo')
  await demo.publish(5)
  await demo.published(5)
  await demo.toggle()
  await demo.reaches('fickle', 'cut')
  await demo.burst()
  await demo.published(305)
  await demo.toggle()
  await demo.reaches('fickle', 'live')
  await demo.publish(3)
  await demo.published(308)
  await page.screenshot({ path })
}

if (argv[1] !== undefined && fileURLToPath(import.meta.url) === argv[1]) {
  if (!isFresh()) await build()
  await takePictures(argv[2] ?? join(ROOT, 'docs/pictures'), Number(argv[3] ?? SECONDS))
}
