/** Pictures of pages, kept where `REPRISE_TEST_PICTURES` names a folder. */

import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { env } from 'node:process'
import type { Page } from 'playwright-core'

const folder = env.REPRISE_TEST_PICTURES

export async function keepPicture(page: Page, name: string): Promise<void> {
  if (folder === undefined) return
  mkdirSync(folder, { recursive: true })
  await page.screenshot({ path: join(folder, `${name.replaceAll(/[^\w-]+/g, '-')}.png`) })
}
