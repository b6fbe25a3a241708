/** The scripts, and how one is run: by its digest, in full where the server has forgotten it. */

import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { Argument, Command } from '../connection/connection.ts'
import { isForgetful } from '../connection/errors.ts'
import type { Router } from '../connection/router.ts'

export interface Script {
  readonly text: string
  readonly digest: string
}

/** The scripts' folder: the engine's own among the sources, one of this name beside what is built. */
const FOLDER = new URL(import.meta.url.endsWith('.ts') ? '../' : './redis/', import.meta.url)

/** One text of several files. */
export function readScripts(files: readonly string[]): string {
  return files.map((file) => readFileSync(new URL(file, FOLDER), 'utf8')).join('\n')
}

function script(flags: string, ...files: string[]): Script {
  return scriptOf(flags, readScripts(files))
}

export function scriptOf(flags: string, source: string): Script {
  // With flags the server refuses a script as a whole, not in its midst.
  const text = `#!lua${flags === '' ? '' : ` flags=${flags}`}\n${source}`
  return { text, digest: createHash('sha1').update(text).digest('hex') }
}

const WRITING = ['record', 'changes', 'append', 'cursors', 'write'].map((part) => `topics/${part}.lua`)

export const SCRIPTS = {
  write: script('', ...WRITING),
  /** Does what needs no room, in a server that has none. */
  writeWhenFull: script('allow-oom', ...WRITING),
  read: script('no-writes,allow-oom', 'topics/record.lua', 'topics/read.lua'),
  epochs: script('allow-oom', 'topics/epochs.lua'),
} as const

/** Runs a script; gives its answer, and those of what follows it on the same connection. */
export async function runScript(
  router: Router,
  { text, digest }: Script,
  key: string,
  args: readonly Argument[],
  deadline: number,
  following: readonly Command[] = [],
): Promise<unknown[]> {
  try {
    return await router.run(key, [['EVALSHA', digest, '1', key, ...args], ...following], deadline)
  } catch (error) {
    if (!isForgetful(error)) throw error
    return await router.run(key, [['EVAL', text, '1', key, ...args], ...following], deadline)
  }
}
