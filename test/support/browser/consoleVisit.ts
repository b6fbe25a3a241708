/** The console in a browser: pages of it, and what they show. */

import type { Page } from 'playwright-core'
import { expect } from 'vitest'
import { atEnd } from '../ending.ts'
import { until } from '../until.ts'
import { openContext, openPage } from './chromium.ts'

const STEP_MS = 10_000

export class Console {
  readonly page: Page
  readonly #url: string

  constructor(page: Page, url: string) {
    this.page = page
    this.#url = url
  }

  /** `#/topics/orders`. */
  async at(place: string): Promise<void> {
    await this.page.goto(`${this.#url}/${place}`)
  }

  /** What a figure of the overview says. */
  async figure(name: string): Promise<string> {
    return await this.page.locator(`[data-figure="${name}"]`).innerText()
  }

  async says(name: string, value: string): Promise<void> {
    await until(async () => (await this.figure(name)) === value, {
      what: `${name} to be ${value}`,
      seen: () => this.figure(name),
    })
  }

  async presence(state: string): Promise<void> {
    const seen = () => this.page.locator('[data-test="presence"]').innerText()
    await until(async () => (await seen()) === state, { what: `the hub to be ${state}`, seen, deadlineMs: 15_000 })
  }
}

interface VisitOptions {
  /** Complaints that the test brings about itself. */
  readonly expected?: RegExp
  readonly width?: number
  readonly dark?: boolean
}

/** Whatever the page asks for that is not the hub's fails the test. */
export async function visitConsole(
  url: string,
  { expected, width, dark = false }: VisitOptions = {},
): Promise<Console> {
  const page = await openPage(await openContext(), expected === undefined ? {} : { expected })
  // Before the test's own, so that it is told which step it was.
  page.setDefaultTimeout(STEP_MS)
  if (width !== undefined) await page.setViewportSize({ width, height: 800 })
  if (dark) await page.emulateMedia({ colorScheme: 'dark' })
  const foreign: string[] = []
  page.on('request', (request) => {
    if (new URL(request.url()).host !== new URL(url).host) foreign.push(request.url())
  })
  atEnd(() => {
    expect(foreign).toEqual([])
  })
  return new Console(page, url)
}

/** Controls that nobody can name: without text, label or title. */
export async function unnamed(page: Page): Promise<string[]> {
  return await page.evaluate(() =>
    [...document.querySelectorAll<HTMLElement>('a, button, input, select, textarea, [role="img"], dialog')]
      .filter((element) => {
        const labels = (element as HTMLInputElement).labels
        const label = labels === null || labels === undefined ? '' : [...labels].map((one) => one.textContent).join('')
        return `${element.textContent}${element.getAttribute('aria-label') ?? ''}${element.title}${label}`.trim() === ''
      })
      .map((element) => element.outerHTML),
  )
}
