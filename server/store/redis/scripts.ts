/** The scripts, and how one is run: by its digest, in full where the server has forgotten it. */

import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { messageOf } from './failures.ts'
import type { Argument, Command } from './link.ts'
import type { Router } from './router.ts'

export interface Script {
  readonly text: string
  readonly digest: string
}

function script(flags: string, ...files: string[]): Script {
  const parts = files.map((file) => readFileSync(new URL(file, import.meta.url), 'utf8'))
  // With flags the server refuses a script as a whole, not in its midst.
  const text = `#!lua${flags === '' ? '' : ` flags=${flags}`}\n${parts.join('\n')}`
  return { text, digest: createHash('sha1').update(text).digest('hex') }
}

const WRITING = ['topic.lua', 'writing.lua', 'append.lua', 'cursors.lua', 'write.lua']

const QUEUE_WRITING = ['State', 'Turn', 'Send', 'Claim', 'Settle', 'Holders', 'Change', 'Write']
const QUEUE_FILES = ['queue.lua', ...QUEUE_WRITING.map((part) => `queue${part}.lua`)]

export const SCRIPTS = {
  write: script('', ...WRITING),
  /** Does what needs no room, in a server that has none. */
  writeWhenFull: script('allow-oom', ...WRITING),
  read: script('no-writes,allow-oom', 'topic.lua', 'read.lua'),
  writeQueue: script('', ...QUEUE_FILES),
  writeQueueWhenFull: script('allow-oom', ...QUEUE_FILES),
  readQueue: script('no-writes,allow-oom', 'queue.lua', 'queueRead.lua'),
  epochs: script('allow-oom', 'epochs.lua'),
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
    if (!messageOf(error).startsWith('NOSCRIPT')) throw error
    return await router.run(key, [['EVAL', text, '1', key, ...args], ...following], deadline)
  }
}
