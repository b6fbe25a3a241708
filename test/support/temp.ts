/** Temporary folders that are gone when their test is. */

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { atEnd } from './ending.ts'

export async function tempFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'reprise-'))
  atEnd(() => rm(folder, { recursive: true, force: true, maxRetries: 3 }))
  return folder
}
