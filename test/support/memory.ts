/** What a process and a folder take. */

import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'

/** Megabytes of memory of its own: pages of mapped files, which the system takes back when it likes, do not count. */
export function memoryMb(pid: number): number {
  if (process.platform !== 'linux') {
    return Number(execFileSync('ps', ['-o', 'rss=', '-p', String(pid)], { encoding: 'utf8' })) / 1_024
  }
  const kb = /^RssAnon:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
  if (kb === undefined) throw new Error(`/proc/${pid}/status says nothing of RssAnon`)
  return Number(kb) / 1_024
}

/** Megabytes that the files of a folder take on the disk. */
export async function folderMb(folder: string): Promise<number> {
  let blocks = 0
  for (const name of await readdir(folder)) blocks += (await stat(join(folder, name))).blocks
  return (blocks * 512) / 1_048_576
}
