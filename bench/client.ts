/** The SDK of the build that is measured. */

import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

/** Where the build's modules are. */
export interface Place {
  /** The folder that holds `server/`, `client/` and `cli/`. */
  readonly root: string
  /** `js`: compiled; `ts`: the sources, loaded through tsx. */
  readonly form: 'js' | 'ts'
}

export function modulePath({ root, form }: Place, module: string): string {
  return join(root, `${module}.${form}`)
}

export async function importClient(place: Place): Promise<typeof import('../client/index.ts')> {
  return await import(pathToFileURL(modulePath(place, 'client/index')).href)
}
