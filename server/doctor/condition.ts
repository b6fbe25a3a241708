/** What the doctor says of this hub while it runs. Looked at when somebody asks, by one at a time. */

import type { ResolvedHubOptions } from '../options/hub.ts'
import type { Finding } from '../store/contract/findings.ts'
import type { Store } from '../store/contract/store.ts'

/** An answer may be so old, as a look reads files and may ask other servers. */
const FRESH_MS = 10_000

export function conditionOf(options: ResolvedHubOptions, { settings }: Pick<Store, 'settings'>) {
  let known: Promise<readonly Finding[]> | undefined
  let knownAt = 0
  return (): Promise<readonly Finding[]> => {
    if (known !== undefined && performance.now() - knownAt < FRESH_MS) return known
    knownAt = performance.now()
    known = look()
    known.catch(() => {
      known = undefined
    })
    return known
  }

  async function look(): Promise<readonly Finding[]> {
    const { examineRunning } = await import('./examination.ts')
    return await examineRunning(options, () => settings.all())
  }
}
