/** Looks at the store at a location without changing anything in it; a hub may run on it. */

import type { Checkup, Finding } from './contract/findings.ts'
import { folderOf, isRedis } from './open.ts'

/** `reserveBytes`: the hub's own option, where it has one. */
export async function checkStore(location: string, reserveBytes: number | undefined): Promise<Checkup> {
  if (isRedis(location)) {
    const { checkRedis } = await import('./redis/checkup.ts')
    return await checkRedis(location)
  }
  const { RESERVE_BYTES } = await import('./lmdb/store.ts')
  const { checkFolder } = await import('./lmdb/checkup.ts')
  return await checkFolder(folderOf(location), reserveBytes ?? RESERVE_BYTES)
}

/** The same where this process has the store open already, as far as that is no work for it. */
export async function checkRunning(location: string, reserveBytes: number | undefined): Promise<readonly Finding[]> {
  if (isRedis(location)) return (await checkStore(location, reserveBytes)).findings
  const { RESERVE_BYTES } = await import('./lmdb/store.ts')
  const { checkDisk } = await import('./lmdb/checkup.ts')
  return await checkDisk(folderOf(location), reserveBytes ?? RESERVE_BYTES)
}
