/** What a server's settings mean for what the hub promises: looked at when it started, and said in one line. */

import { messageOf, RepriseError } from '../../../../shared/errors.ts'
import type { Durability } from '../../../../shared/protocol.ts'

/** Sharded pub/sub and scripts with flags came with it. */
const OLDEST = 7

/** Gives one command to the server; the answer is as it came. */
export type Send = (name: string, ...args: string[]) => Promise<unknown>

/** One start of a server. */
export async function runOf(send: Send): Promise<string> {
  return fieldsOf(String(await send('INFO', 'server'))).get('run_id') ?? ''
}

/** The durability of what this server is given. Refuses one that would throw away what it keeps. */
export async function checkServer(send: Send, warn: (message: string) => void): Promise<Durability> {
  const info = fieldsOf(String(await send('INFO', 'everything')))
  const version = info.get('redis_version') ?? '0'
  if (Number.parseInt(version, 10) < OLDEST) {
    throw new RepriseError('unsupported', `Redis ${version} is too old: the store needs ${OLDEST}.0 or newer`)
  }
  const policy = info.get('maxmemory_policy') ?? 'noeviction'
  if (policy !== 'noeviction' && Number(info.get('maxmemory') ?? 0) > 0) {
    const text = `Redis would throw away events when its memory is full: maxmemory-policy is ${policy}, set it to noeviction`
    throw new RepriseError('unsupported', text)
  }
  if (policy !== 'noeviction') {
    warn(`Redis has the maxmemory-policy ${policy}: as soon as maxmemory is set it would throw away events`)
  }
  if (info.get('aof_enabled') !== '1') return 'memory'
  try {
    const [, appendfsync] = ((await send('CONFIG', 'GET', 'appendfsync')) as Buffer[]).map(String)
    if (appendfsync === 'always') return 'fsync'
    return appendfsync === 'everysec' ? 'everysec' : 'memory'
  } catch (error) {
    if (!/unknown command|NOPERM|not allowed|disabled/i.test(messageOf(error))) throw error
    warn('Redis does not tell its appendfsync (CONFIG is forbidden): taken for everysec')
    return 'everysec'
  }
}

export function fieldsOf(info: string): Map<string, string> {
  const all = new Map<string, string>()
  for (const line of info.split(/\r?\n/)) {
    const colon = line.indexOf(':')
    if (colon > 0) all.set(line.slice(0, colon), line.slice(colon + 1))
  }
  return all
}

const ORDER = ['memory', 'everysec', 'fsync'] as const

export function weakest(found: readonly Durability[]): Durability {
  return ORDER.find((durability) => found.includes(durability)) ?? 'memory'
}

export function sayDurability(durability: Durability): string | undefined {
  if (durability === 'memory') {
    return 'Redis keeps nothing on disk (appendonly is no): a restart loses what was acknowledged, and says so as gaps'
  }
  if (durability === 'everysec') {
    return 'Redis writes to disk every second (appendfsync everysec): a crash loses up to about two seconds, told as gaps'
  }
  return undefined
}
