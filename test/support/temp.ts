/** Temporary folders that are gone when their test is. */

import { statfsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { atEnd } from './ending.ts'

/**
 * Where tests keep data: most sync thousands of times for what has nothing to do with a disk, and disks differ by the
 * factor of ten. The disk where memory is short.
 */
export const MEMORY = hasRoom('/dev/shm') ? '/dev/shm' : tmpdir()

function hasRoom(folder: string): boolean {
  try {
    const { bavail, bsize } = statfsSync(folder)
    return bavail * bsize > 2 ** 32
  } catch {
    return false
  }
}

export function tempFolder(): Promise<string> {
  return folderIn(MEMORY)
}

/** For what a disk does, and for programs: what is in memory may not be one. */
export function diskFolder(): Promise<string> {
  return folderIn(tmpdir())
}

async function folderIn(parent: string): Promise<string> {
  const folder = await mkdtemp(join(parent, 'reprise-'))
  atEnd(() => rm(folder, { recursive: true, force: true, maxRetries: 3 }))
  return folder
}
