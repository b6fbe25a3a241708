/** The SDK of the build that is measured. */

import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

/** Where the build's modules are. */
export interface Place {
  /** The folder that holds `cli/`, and `sdk/` or, as sources, `client/`. */
  readonly root: string
  /** `js`: compiled; `ts`: the sources, loaded through tsx. */
  readonly form: 'js' | 'ts'
}

export function modulePath({ root, form }: Place, module: string): string {
  return join(root, `${module}.${form}`)
}

/** The SDK as programs get it. */
export async function importClient(place: Place): Promise<typeof import('../client/index.ts')> {
  const path = place.form === 'js' ? join(place.root, 'sdk/reprise-client.mjs') : join(place.root, 'client/index.ts')
  return await import(pathToFileURL(path).href)
}
