/** The machine's Chromium and pages in it. Whatever a page complains about fails the test that opened it. */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core'
import { expect } from 'vitest'
import { atEnd } from '../ending.ts'
import { MEMORY, tempFolder } from '../temp.ts'
import { pathOf } from '../tools.ts'
import { ARGS } from './args.ts'

/** It would share memory between its processes through files in /tmp. */
const IGNORED = MEMORY === '/dev/shm' ? ['--disable-dev-shm-usage'] : []

let browser: Promise<Browser> | undefined

/** A context of its own: storage, network, tabs. One browser serves a file's tests. */
export async function openContext(): Promise<BrowserContext> {
  browser ??= launch()
  const context = await (await browser).newContext({ viewport: { width: 1400, height: 900 } })
  atEnd(() => context.close())
  return context
}

/** What it keeps of pages is no concern of a disk. */
async function launch(): Promise<Browser> {
  const before = process.env.TMPDIR
  process.env.TMPDIR = MEMORY
  try {
    return await chromium.launch({ executablePath: pathOf('chromium'), args: [...ARGS], ignoreDefaultArgs: IGNORED })
  } finally {
    if (before === undefined) delete process.env.TMPDIR
    else process.env.TMPDIR = before
  }
}

/**
 * One window of a browser of its own, as people have it: its tabs are hidden by the one in front, can be frozen then, and are
 * kept when they are left. In other contexts, every page believes that it is in front.
 */
export async function openWindow(): Promise<BrowserContext> {
  const args = [...ARGS, '--remote-debugging-port=0', `--user-data-dir=${await tempFolder()}`]
  if (IGNORED.length === 0) args.push('--disable-dev-shm-usage')
  const child = spawn(pathOf('chromium'), args, { stdio: ['ignore', 'ignore', 'pipe'] })
  const gone = once(child, 'exit')
  atEnd(async () => {
    child.kill()
    await gone
  })
  for await (const line of createInterface(child.stderr)) {
    const [, address] = /^DevTools listening on (ws:.*)$/.exec(line) ?? []
    if (address === undefined) continue
    child.stderr.resume()
    const [context] = (await chromium.connectOverCDP(address, { noDefaults: true })).contexts()
    if (context !== undefined) return context
  }
  throw new Error('Chromium did not say where it listens')
}

export async function closeBrowser(): Promise<void> {
  await (await browser)?.close()
  browser = undefined
}

interface PageOptions {
  /** Complaints that the test brings about itself, such as failed connections. */
  readonly expected?: RegExp
}

/** A page whose errors, also violations of its content security policy, are held against it when the test is over. */
export async function openPage(context: BrowserContext, { expected }: PageOptions = {}): Promise<Page> {
  const page = await context.newPage()
  const complaints: string[] = []
  page.on('pageerror', (error) => complaints.push(error.message))
  page.on('console', (message) => {
    if (message.type() !== 'error' || expected?.test(message.text()) === true) return
    complaints.push(`${message.text()} (${message.location().url})`)
  })
  atEnd(() => {
    expect(complaints).toEqual([])
  })
  return page
}

/** Bytes of JavaScript that are still in use. */
export async function heapBytes(page: Page): Promise<number> {
  const session = await page.context().newCDPSession(page)
  try {
    await session.send('HeapProfiler.collectGarbage')
    const { usedSize } = await session.send('Runtime.getHeapUsage')
    return usedSize
  } finally {
    await session.detach()
  }
}
