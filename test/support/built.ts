/** For tests of what ships: `dist`, built from the sources as they are. */

import { build, isFresh } from '../../build/build.ts'

/** `npm test` has built already; a single file run by vitest itself builds here. */
export async function ensureBuilt(): Promise<void> {
  if (process.env.REPRISE_BUILT !== '1' && !isFresh()) await build()
}
