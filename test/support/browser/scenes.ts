/** The scenes of the demo behind the first one: how a test gets there, what it clicks and what it reads. */

import type { Page } from 'playwright-core'
import { expect } from 'vitest'
import { atEnd } from '../ending.ts'
import { until } from '../until.ts'
import { violations } from './accessible.ts'
import { openContext, openPage } from './chromium.ts'
import { Demo } from './demo.ts'
import { keepPicture } from './pictures.ts'

interface SceneOptions {
  /** Complaints that the test brings about itself. */
  readonly expected?: RegExp
  readonly width?: number
}

export class Scene extends Demo {
  /** Clicks a step of the scene. */
  async step(name: string): Promise<void> {
    await this.page.locator('.steps').getByRole('button', { name, exact: true }).click()
  }

  /** Waits for a text in the scene. */
  async tells(text: string | RegExp): Promise<void> {
    await this.page.locator('[data-scene]').getByText(text).first().waitFor({ timeout: 20_000 })
  }

  /** What stands there, by its name. */
  async text(name: string, within = ''): Promise<string> {
    return await this.page.locator(`${within} [data-test=${name}]`).innerText()
  }

  async reads(name: string, expected: string, within = ''): Promise<void> {
    await until(async () => (await this.text(name, within)) === expected, {
      what: `${name} to be ${expected}`,
      seen: () => this.text(name, within),
      deadlineMs: 20_000,
    })
  }

  /** Steps that are done, of all. */
  async done(): Promise<string> {
    const steps = this.page.locator('.steps li')
    return `${await this.page.locator('.steps .done').count()} of ${await steps.count()}`
  }

  /** At the end of a test: a picture is kept where that is asked for, and nothing keeps anybody out, in the dark neither. */
  async leave(name: string): Promise<void> {
    await keepPicture(this.page, `demo ${name}`)
    expect(await violations(this.page)).toEqual([])
    await this.page.emulateMedia({ colorScheme: 'dark' })
    expect(await violations(this.page, ['color-contrast'])).toEqual([])
    await this.page.emulateMedia({ colorScheme: 'light' })
  }

  async fits(width: number): Promise<void> {
    expect(await this.page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(width)
  }
}

/** Opens a scene. Whatever the page asks for that is not the hub's fails the test. */
export async function openScene(
  url: string,
  topic: string,
  scene: string,
  { expected, width }: SceneOptions = {},
): Promise<Scene> {
  const page: Page = await openPage(await openContext(), expected === undefined ? {} : { expected })
  if (width !== undefined) await page.setViewportSize({ width, height: 800 })
  const foreign: string[] = []
  page.on('request', (request) => {
    if (new URL(request.url()).host !== new URL(url).host) foreign.push(request.url())
  })
  atEnd(() => {
    expect(foreign).toEqual([])
  })
  await page.goto(`${url}/demo?topic=${topic}#/${scene}`)
  await page.locator(`[data-scene=${scene}] h1`).waitFor()
  return new Scene(page)
}
