/** What a Redis URL says: where the servers are, who is asking, and how this store wants it. */

import { readFileSync } from 'node:fs'
import { RepriseError } from '../../../../shared/errors.ts'

export interface Address {
  readonly host: string
  readonly port: number
}

export interface Certificates {
  /** The authorities that are trusted, in place of the usual ones; the hub's own certificate and its key. PEM. */
  readonly ca?: Buffer
  readonly cert?: Buffer
  readonly key?: Buffer
}

export interface Location {
  readonly kind: 'single' | 'cluster' | 'sentinel'
  readonly addresses: readonly [Address, ...Address[]]
  /** The master's name, with Sentinel. */
  readonly master: string
  /** Absent without TLS; empty where the usual authorities do. */
  readonly tls: Certificates | undefined
  readonly username: string | undefined
  readonly password: string | undefined
  readonly sentinelPassword: string | undefined
  readonly database: number
  readonly prefix: string
  /** Replicas that a write waits for. */
  readonly replicas: number
  /** For messages: without secrets. */
  readonly shown: string
}

const SCHEME = /^redis(s|-cluster|-sentinel)?:\/\/(?:([^@/]*)@)?([^/?#]*)(?:\/([^?#]*))?(?:\?([^#]*))?$/
const FILES = ['ca', 'cert', 'key'] as const
const PARAMETERS = new Set(['prefix', 'replicas', 'tls', 'sentinelPassword', ...FILES])

export function parseLocation(url: string): Location {
  const match = SCHEME.exec(url)
  if (match === null) throw wrong('is not one: redis://[user:password@]host[:port][/db] is, see docs/redis.md')
  const [, scheme = '', credentials, hosts = '', path = '', query = ''] = match
  const kind = scheme === '-cluster' ? 'cluster' : scheme === '-sentinel' ? 'sentinel' : 'single'
  const parameters = new URLSearchParams(query)
  for (const name of parameters.keys()) {
    if (!PARAMETERS.has(name))
      throw wrong(`has the parameter ${JSON.stringify(name)}: ${[...PARAMETERS].join(', ')} are known`)
  }
  const [username, password] = credentialsOf(credentials)
  const fallback = kind === 'sentinel' ? 26_379 : 6_379
  const [first, ...rest] = hosts.split(',').map((host) => addressOf(host, fallback))
  if (first === undefined || (rest.length > 0 && kind === 'single')) {
    throw wrong('names several servers: redis-cluster:// or redis-sentinel:// do')
  }
  if (kind === 'sentinel' && !/^[^/]+$/.test(path)) throw wrong('names no master: redis-sentinel://host:port/<master>')
  if (kind === 'cluster' && path !== '' && path !== '0') throw wrong('names a database: a cluster has only one')
  if (kind === 'single' && !/^\d*$/.test(path)) throw wrong('has a database that is no number')
  const replicas = Number(parameters.get('replicas') ?? 0)
  if (!Number.isInteger(replicas) || replicas < 0) throw wrong('has replicas that are no whole number')
  const prefix = parameters.get('prefix') ?? 'reprise:'
  if (/[{}]/.test(prefix)) throw wrong('has a prefix with braces, which would take topics to the wrong place')
  return {
    kind,
    addresses: [first, ...rest],
    master: kind === 'sentinel' ? decodeURIComponent(path) : '',
    tls: certificatesOf(scheme === 's', parameters),
    username,
    password,
    sentinelPassword: parameters.get('sentinelPassword') ?? undefined,
    database: kind === 'single' ? Number(path) : 0,
    prefix,
    replicas,
    shown: `redis${scheme}://${hosts}${path === '' ? '' : `/${path}`}`,
  }
}

function wrong(text: string): RepriseError {
  return new RepriseError('bad_request', `the Redis URL of the store ${text}`)
}

function credentialsOf(text: string | undefined): [string | undefined, string | undefined] {
  if (text === undefined || text === '') return [undefined, undefined]
  const colon = text.indexOf(':')
  try {
    const [user, password] = colon < 0 ? ['', text] : [text.slice(0, colon), text.slice(colon + 1)]
    return [user === '' ? undefined : decodeURIComponent(user), decodeURIComponent(password)]
  } catch {
    throw wrong('has a user or password with a stray %: encode them')
  }
}

function certificatesOf(always: boolean, parameters: URLSearchParams): Certificates | undefined {
  const given = parameters.get('tls')
  const named = FILES.filter((name) => parameters.has(name))
  if (given !== null && !/^(0|1|true|false)$/.test(given)) throw wrong('has a tls that is neither 1 nor 0')
  if (!always && given !== '1' && given !== 'true') {
    if (named.length > 0) throw wrong(`has the parameter ${named[0]} and no TLS: rediss:// or tls=1`)
    return undefined
  }
  if (parameters.has('cert') !== parameters.has('key')) throw wrong('has one of cert and key: they go together')
  return Object.fromEntries(named.map((name) => [name, readPem(name, parameters.get(name) ?? '')]))
}

function readPem(name: string, path: string): Buffer {
  let pem: Buffer
  try {
    pem = readFileSync(path)
  } catch (cause) {
    const { code = 'unreadable' } = cause as NodeJS.ErrnoException
    throw wrong(`names a file that cannot be read: ${name}=${path} (${code})`)
  }
  if (!pem.includes('-----BEGIN ')) throw wrong(`names a file that holds no PEM: ${name}=${path}`)
  return pem
}

function addressOf(text: string, fallback: number): Address {
  const match = /^(\[[^\]]+\]|[^:]*)(?::(\d+))?$/.exec(text)
  const host = match?.[1]?.replace(/^\[|\]$/g, '') ?? ''
  const port = Number(match?.[2] ?? fallback)
  if (match === null || port < 1 || port > 65_535) throw wrong('has a host or port that cannot be')
  return { host: host === '' ? '127.0.0.1' : host, port }
}
