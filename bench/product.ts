/** Which build is measured: `dist` as it ships, built first when it is older than the sources. */

import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { build, isFresh, ROOT } from '../build/build.ts'
import type { Place } from './client.ts'

export interface Product extends Place {
  /** For the settings of a report. */
  readonly description: string
}

/** `folder`: another build to measure instead, so that two can be compared. */
export async function chooseProduct(folder?: string): Promise<Product> {
  if (folder !== undefined) {
    const root = resolve(folder)
    for (const path of ['cli/main.js', 'sdk/reprise-client.mjs'])
      if (!existsSync(join(root, path))) throw new Error(`${folder} is no build: it holds no ${path}`)
    return { root, form: 'js', description: `the build in ${folder}` }
  }
  if (!isFresh()) await build()
  return { root: join(ROOT, 'dist'), form: 'js', description: 'dist, as it ships' }
}

/** The sources as they are, for a quick look without a build. */
export const SOURCES: Product = { root: ROOT, form: 'ts', description: 'the sources, through tsx' }
