/** What a Redis URL says: where the servers are, who is asking, and how this store wants it. */

import { RepriseError } from '../../../shared/errors.ts'

export interface Address {
  readonly host: string
  readonly port: number
}

export interface Location {
  readonly kind: 'single' | 'cluster' | 'sentinel'
  readonly addresses: readonly [Address, ...Address[]]
  /** The master's name, with Sentinel. */
  readonly master: string
  readonly tls: boolean
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
const PARAMETERS = new Set(['prefix', 'replicas', 'tls', 'sentinelPassword'])

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
    tls: scheme === 's' || parameters.get('tls') === '1' || parameters.get('tls') === 'true',
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

function addressOf(text: string, fallback: number): Address {
  const match = /^(\[[^\]]+\]|[^:]*)(?::(\d+))?$/.exec(text)
  const host = match?.[1]?.replace(/^\[|\]$/g, '') ?? ''
  const port = Number(match?.[2] ?? fallback)
  if (match === null || port < 1 || port > 65_535) throw wrong('has a host or port that cannot be')
  return { host: host === '' ? '127.0.0.1' : host, port }
}
