/**
 * Scripts that are called very often: a server keeps them loaded as a library, as setting up their many functions for
 * each call would cost more than what they do. Where it takes no library, they run as texts.
 */

import { createHash } from 'node:crypto'
import type { Argument, Command } from '../connection/connection.ts'
import { isForgetful, messageOf } from '../connection/errors.ts'
import { NotTaken, type Router } from '../connection/router.ts'
import { readScripts, runScript, type Script, scriptOf } from './scripts.ts'

export interface LibraryCall {
  /** The library's text, and the name of this call in it. */
  readonly library: string
  readonly name: string
  /** The same as a text of its own. */
  readonly script: Script
}

/** How long a server that took no library is not asked again. */
const REFUSED_MS = 60_000

const refusedUntil = new WeakMap<Router, number>()

/** The files define `call(keys, args)`. Each of the calls does the same under flags of its own. */
function library<Name extends string>(
  name: string,
  flags: Readonly<Record<Name, readonly string[]>>,
  ...files: string[]
): Record<Name, LibraryCall> {
  const source = readScripts(files)
  // Hubs of several versions may share a server: each has its own.
  const version = createHash('sha1').update(source).digest('hex').slice(0, 12)
  const names = Object.keys(flags) as Name[]
  const callName = (call: Name): string => `reprise_${name}_${call}_${version}`
  const registered = names.map((call) => {
    const list = flags[call].map((flag) => `'${flag}'`).join(', ')
    return `redis.register_function{ function_name = '${callName(call)}', callback = call, flags = { ${list} } }`
  })
  const text = [`#!lua name=reprise_${name}_${version}`, source, ...registered].join('\n')
  const calls = names.map((call) => {
    const script = scriptOf(flags[call].join(','), `local keys, args = KEYS, ARGV\n${source}\nreturn call(keys, args)`)
    return [call, { library: text, name: callName(call), script }]
  })
  return Object.fromEntries(calls) as Record<Name, LibraryCall>
}

const RECORD = 'queues/storage/record.lua'
const WRITING = [
  'storage/changes',
  'storage/jobSet',
  'requests',
  'deadLetters',
  'mend',
  'timers',
  'send',
  'claim',
  'settle',
  'consumers',
  'admin',
  'storage/write',
].map((part) => `queues/${part}.lua`)

export const QUEUE_CALLS = {
  ...library(
    'queue',
    { write: [], /** Does what needs no room, in a server that has none. */ writeWhenFull: ['allow-oom'] },
    RECORD,
    ...WRITING,
  ),
  ...library('queue', { read: ['no-writes', 'allow-oom'] }, RECORD, 'queues/reads.lua'),
}

/** Calls a function of a library; gives its answer, and those of what follows it on the same connection. */
export async function callLibrary(
  router: Router,
  { library, name, script }: LibraryCall,
  key: string,
  args: readonly Argument[],
  deadline: number,
  following: readonly Command[] = [],
): Promise<unknown[]> {
  if (performance.now() >= (refusedUntil.get(router) ?? 0)) {
    const lacking = (error: unknown): Command | undefined => {
      return isForgetful(error) ? ['FUNCTION', 'LOAD', 'REPLACE', library] : undefined
    }
    try {
      return await router.run(key, [['FCALL', name, '1', key, ...args], ...following], deadline, lacking)
    } catch (error) {
      if (!(error instanceof NotTaken) && !/unknown command|NOPERM/i.test(messageOf(error))) throw error
    }
    refusedUntil.set(router, performance.now() + REFUSED_MS)
  }
  return await runScript(router, script, key, args, deadline, following)
}
