/**
 * The scripts, and how one is called. A server keeps them loaded as libraries, as setting up their many functions for each
 * call would cost more than what they do. Where it takes no library, they run as texts, by their digests.
 */

import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { messageOf } from '../../../../shared/errors.ts'
import { WAIT_MS } from '../../contract/basics.ts'
import type { Argument, Command } from '../connection/connection.ts'
import { failure, isForgetful, isReplica } from '../connection/errors.ts'
import { NotTaken, type Router } from '../connection/router.ts'

export interface Script {
  /** The library's text, and the name of this call in it. */
  readonly library: string
  readonly name: string
  /** The same as a text of its own. */
  readonly text: string
  readonly digest: string
}

/** The scripts' folder: the engine's own among the sources, one of this name beside what is built. */
const FOLDER = new URL(import.meta.url.endsWith('.ts') ? '../' : './redis/', import.meta.url)

/** How long a server that took no library is not asked again. */
const REFUSED_MS = 60_000

const refusedUntil = new WeakMap<Router, number>()

const read = (file: string): string => readFileSync(new URL(`${file}.lua`, FOLDER), 'utf8')

/** A file whose names no other one needs: Lua takes 200 of them at once. */
const enclosed = (file: string): string => `do\n${read(file)}\nend`

/** The last part defines `call(keys, args)`. Each of the calls does the same under flags of its own. */
function library<Name extends string>(
  name: string,
  flags: Readonly<Record<Name, readonly string[]>>,
  ...parts: string[]
): Record<Name, Script> {
  const source = parts.join('\n')
  // Hubs of several versions may share a server: each has its own.
  const version = digestOf(source).slice(0, 12)
  const names = Object.keys(flags) as Name[]
  const callName = (call: Name): string => `reprise_${name}_${call}_${version}`
  const registered = names.map((call) => {
    const list = flags[call].map((flag) => `'${flag}'`).join(', ')
    return `redis.register_function{ function_name = '${callName(call)}', callback = call, flags = { ${list} } }`
  })
  const text = [`#!lua name=reprise_${name}_${version}`, source, ...registered].join('\n')
  const scripts = names.map((call) => {
    // With flags the server refuses a script as a whole, not in its midst.
    const head = flags[call].length === 0 ? '#!lua' : `#!lua flags=${flags[call].join(',')}`
    const alone = `${head}\nlocal keys, args = KEYS, ARGV\n${source}\nreturn call(keys, args)`
    return [call, { library: text, name: callName(call), text: alone, digest: digestOf(alone) }]
  })
  return Object.fromEntries(scripts) as Record<Name, Script>
}

function digestOf(text: string): string {
  return createHash('sha1').update(text).digest('hex')
}

const WRITING = { write: [], /** Does what needs no room, in a server that has none. */ writeWhenFull: ['allow-oom'] }
const READING = { read: ['no-writes', 'allow-oom'] }
const PRELUDE = read('scripting/prelude')
const DEDUP = read('scripting/dedup')

const BLOCKS = read('topics/blocks')
const TOPIC_RECORD = read('topics/record')
const QUEUE_RECORD = read('queues/storage/record')

export const TOPIC = {
  ...library(
    'topic',
    WRITING,
    ...[PRELUDE, BLOCKS, TOPIC_RECORD, DEDUP, read('topics/changes'), read('topics/append')],
    ...[read('topics/cursors'), enclosed('topics/rewrite'), read('topics/write')],
  ),
  ...library('topic', READING, PRELUDE, BLOCKS, TOPIC_RECORD, read('topics/read')),
}

export const QUEUE = {
  ...library(
    'queue',
    WRITING,
    ...[PRELUDE, QUEUE_RECORD, DEDUP, read('queues/storage/changes'), enclosed('queues/storage/groups')],
    ...[enclosed('queues/storage/life'), enclosed('queues/storage/jobPolicy'), read('queues/storage/jobSet')],
    ...[enclosed('queues/children'), enclosed('queues/storage/drafts')],
    ...[read('queues/requests'), read('queues/finished'), read('queues/deadLetters'), enclosed('queues/mend')],
    ...[
      read('queues/timers'),
      enclosed('queues/send'),
      enclosed('queues/claim'),
      enclosed('queues/progress'),
      read('queues/settle'),
    ],
    ...[
      enclosed('queues/consumers'),
      enclosed('queues/schedules'),
      enclosed('queues/admin'),
      enclosed('queues/storage/rewriting'),
      read('queues/storage/write'),
    ],
  ),
  ...library('queue', READING, PRELUDE, QUEUE_RECORD, read('queues/reads')),
}

export const STORE = library('store', { epochs: ['allow-oom'] }, read('topics/epochs'))

/** The answer of a script that nobody has to wait for longer than a call may. Rejects with a `RepriseError`. */
export async function askScript(router: Router, script: Script, key: string, args: readonly Argument[]) {
  try {
    return (await callScript(router, script, key, args, performance.now() + WAIT_MS))[0]
  } catch (error) {
    throw failure(error)
  }
}

/** Calls a script; gives its answer, and those of what follows it on the same connection. */
export async function callScript(
  router: Router,
  { library, name, text, digest }: Script,
  key: string,
  args: readonly Argument[],
  deadline: number,
  following: readonly Command[] = [],
): Promise<unknown[]> {
  const run = (command: string, script: string, remedy?: (error: unknown) => Command | undefined) =>
    router.run(key, [[command, script, '1', key, ...args], ...following], deadline, remedy)
  if (performance.now() >= (refusedUntil.get(router) ?? 0)) {
    const lacking = (error: unknown): Command | undefined => {
      return isForgetful(error) ? ['FUNCTION', 'LOAD', 'REPLACE', library] : undefined
    }
    try {
      return await run('FCALL', name, lacking)
    } catch (error) {
      if (!(error instanceof NotTaken) && !/unknown command|NOPERM/i.test(messageOf(error))) throw error
      if (!isReplica(error)) refusedUntil.set(router, performance.now() + REFUSED_MS)
    }
  }
  try {
    return await run('EVALSHA', digest)
  } catch (error) {
    if (!isForgetful(error)) throw error
    return await run('EVAL', text)
  }
}
