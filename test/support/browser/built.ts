/** What browsers load from the hub: when `dist` was built from other sources, the parts that they see are built anew. */

import { join } from 'node:path'
import { isFresh, markStale, ROOT } from '../../../build/build.ts'
import { bundleClient } from '../../../build/clientBundle.ts'

/** Makes sure that the hub's pages and the `<script>` bundle are of these sources. */
export async function buildForBrowsers(): Promise<void> {
  if (process.env.REPRISE_BUILT === '1' || isFresh()) return
  markStale()
  const vite = await import('vite')
  const outDir = join(ROOT, 'dist/console')
  await vite.build({ configFile: join(ROOT, 'console/vite.config.ts'), logLevel: 'warn', build: { outDir } })
  await bundleClient(join(ROOT, 'dist/sdk'))
}
