/** Who may use the Redis, and over what: TLS, users with no more rights than they need, passwords that are wrong or change. */

import { beforeAll, describe, expect, it } from 'vitest'
import { readText } from '../../architecture/sources.ts'
import { join } from '../../support/clients/wire.ts'
import { startHub } from '../../support/hub/hub.ts'
import { run, runCli, spawnHub } from '../../support/hub/process.ts'
import { type CertificateFiles, certificateFiles } from '../../support/network/certificates.ts'
import { freePorts } from '../../support/network/ports.ts'
import { type RedisServer, startRedis } from '../../support/redis/redis.ts'
import { startSentinelSet } from '../../support/redis/sentinel.ts'
import { tlsConfig } from '../../support/redis/tls.ts'
import { has, pathOf, soak } from '../../support/tools.ts'
import { until } from '../../support/until.ts'

const SECRET = 'p@ss:w/ört %'
const ENCODED = encodeURIComponent(SECRET)
/** As docs/redis.md gives it. */
const RIGHTS = (/~reprise:\* &reprise:\*([^`]*)`/.exec(readText('docs/redis.md'))?.[1] ?? '')
  .split(/\s+/)
  .filter(Boolean)

/** A Redis whose default user is off, with a user for the hub; commands go as `admin`. */
async function startGuarded(config: Readonly<Record<string, string>> = {}, prefix = 'reprise:') {
  const server = await startRedis(config)
  await guard(server, prefix)
  const admin = (...args: string[]) => server.cli('--user', 'admin', '--pass', 'admin', '--no-auth-warning', ...args)
  return { server, admin, url: `redis://hub:${ENCODED}@127.0.0.1:${server.port}` }
}

async function guard(server: RedisServer, prefix = 'reprise:'): Promise<void> {
  await server.cli('acl', 'setuser', 'admin', 'on', '>admin', '~*', '&*', '+@all')
  await server.cli('acl', 'setuser', 'hub', 'on', `>${SECRET}`, `~${prefix}*`, `&${prefix}*`, ...RIGHTS)
  await server.cli('acl', 'setuser', 'default', 'off')
}

/** Everything that a hub does with its store. */
async function useAll(url: string): Promise<void> {
  const call = async (method: string, path: string, body?: unknown): Promise<unknown> => {
    const headers = { 'content-type': 'application/json' }
    const response = await fetch(`${url}${path}`, {
      method,
      headers,
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
    const text = await response.text()
    expect(response.ok, `${method} ${path}: ${text}`).toBe(true)
    return text === '' ? undefined : JSON.parse(text)
  }
  const reader = await join(url, 'a', { client: 'c', from: 'start' })
  const writer = await join(url, 'a', { from: 'none' })
  await writer.value('publish', [{ data: 1, id: 'one' }, { data: 2 }], { producer: 'p', seq: 1 })
  const [, second] = await reader.eventsSeen(2)
  const { epoch } = await reader.seen('events')
  await reader.value('ack', { epoch, offset: second?.offset ?? 0 })
  expect(await call('GET', '/v1/topics/a/cursors')).toMatchObject({ cursors: [{ client: 'c' }] })
  await call('PUT', '/v1/topics/a', { retain: { events: 1 } })
  await writer.value('publish', [{ data: 3 }], { producer: 'p', seq: 3 })
  expect(await call('GET', '/v1/topics')).toMatchObject({ topics: [{ topic: 'a' }] })
  expect(await call('GET', '/v1/topics/a/events')).toMatchObject({ last: 3 })
  await call('DELETE', '/v1/topics/a/cursors/c')
  await call('DELETE', '/v1/topics/a')
  await until(async () => (await fetch(`${url}/readyz`)).ok, { what: 'the hub to be ready' })
}

describe.runIf(has('redis-server'))('a hub on a Redis that asks who it is', () => {
  it('does all it has to with the rights that the documentation names, and no others', async () => {
    expect(RIGHTS.length).toBeGreaterThan(3)
    const { url, admin } = await startGuarded()
    const hub = await startHub({ store: url })
    await useAll(hub.url)
    expect(await admin('acl', 'log')).toBe('')
  })

  it('refuses to start with a wrong password, or without a right: one line, no secret', async () => {
    const { url, admin, server } = await startGuarded({ appendonly: 'yes', appendfsync: 'always' })
    const wrong = url.replace(ENCODED, 'not-this-one')
    await admin('acl', 'setuser', 'narrow', 'on', `>${SECRET}`, '~other:*', '&*', '+@all')
    const narrow = url.replace('hub:', 'narrow:')
    const cases = [
      [wrong, /WRONGPASS/],
      [`redis://127.0.0.1:${server.port}`, /NOAUTH/],
      [narrow, /NOPERM/],
    ] as const
    const starts = cases.map(async ([store, reason]) => {
      const { code, stderr, stdout } = await runCli(['serve', '--port', '0', '--store', store])
      expect(code, stderr).not.toBe(0)
      expect(stderr).toMatch(reason)
      expect(stderr.trim().split('\n').length, stderr).toBe(1)
      for (const secret of [SECRET, ENCODED, 'not-this-one']) expect(stderr + stdout).not.toContain(secret)
    })
    await Promise.all(starts)
  })

  it('is red and says why when its password is changed, and green when it is right again', async () => {
    const { url, admin } = await startGuarded()
    const hub = await spawnHub({ store: url })
    await admin('acl', 'setuser', 'hub', 'resetpass', '>another')
    await admin('client', 'kill', 'user', 'hub')
    const red = await until(async () => {
      const response = await fetch(`${hub.url}/readyz`)
      return response.ok ? undefined : await response.text()
    })
    await until(() => /WRONGPASS/.test(hub.stdout() + hub.stderr()), { what: 'a line in the log' })
    await admin('acl', 'setuser', 'hub', `>${SECRET}`)
    if (soak) await until(async () => (await fetch(`${hub.url}/readyz`)).ok, { what: 'the hub to be ready again' })
    for (const text of [red, hub.stdout(), hub.stderr()]) {
      expect(text).not.toContain(SECRET)
      expect(text).not.toContain(ENCODED)
    }
  }, 40_000)

  it('finds its master through sentinels that ask for a password too', async () => {
    const set = await startSentinelSet({
      replicas: 0,
      lines: ['requirepass sentinel-secret', 'sentinel sentinel-pass sentinel-secret'],
      cliArgs: ['--no-auth-warning', '-a', 'sentinel-secret'],
    })
    const hub = await startHub({ store: set.url('?sentinelPassword=sentinel-secret') })
    await useAll(hub.url)
    const refused = await startHub({ store: set.url('?sentinelPassword=wrong') }).catch((error: Error) => error)
    expect(String(refused)).toMatch(/WRONGPASS/)
    expect(String(refused)).not.toContain('wrong@')
  })
})

describe.runIf(has('redis-server'))('a hub on a Redis with TLS', () => {
  let certificates: CertificateFiles
  let trust = ''
  const files = () => `ca=${certificates.ca}&cert=${certificates.cert}&key=${certificates.key}`

  beforeAll(async () => {
    certificates = await certificateFiles()
    trust = files()
  })

  it('speaks it to one server whose authority it is given, and shows its own certificate', async () => {
    const [port = 0] = await freePorts(1)
    const { url } = await startGuarded(tlsConfig(certificates, port))
    const secure = url.replace('redis:', 'rediss:').replace(/:\d+$/, `:${port}`)
    await useAll((await startHub({ store: `${secure}?${trust}` })).url)
    const stranger = await startHub({ store: secure }).catch((error: Error) => error)
    expect(String(stranger)).toMatch(/cannot be used: .*(certificate|issuer)/i)
    const missing = await startHub({ store: `${secure}?ca=/no/such.pem` }).catch((error: Error) => error)
    expect(String(missing)).toMatch(/ca=\/no\/such.pem \(ENOENT\)/)
  })

  it('speaks it to every node of a cluster, with a password', async () => {
    const [a = 0, b = 0, c = 0, ...bus] = await freePorts(6)
    const ports = [a, b, c]
    const servers = await Promise.all(
      ports.map((port, i) =>
        startRedis({
          ...tlsConfig(certificates, port),
          'cluster-enabled': 'yes',
          'cluster-config-file': 'nodes.conf',
          'cluster-port': String(bus[i]),
        }),
      ),
    )
    const { ca, cert, key } = certificates
    const tls = ['--tls', '--cacert', ca, '--cert', cert, '--key', key]
    const addresses = ports.map((port) => `127.0.0.1:${port}`)
    const created = await run([pathOf('redis-cli'), ...tls, '--cluster', 'create', ...addresses, '--cluster-yes'])
    expect(created.code, created.stdout + created.stderr).toBe(0)
    await until(
      async () =>
        (await Promise.all(servers.map((s) => s.cli('cluster', 'info')))).every((i) => i.includes('state:ok')),
      { what: 'the cluster to be well', everyMs: 50 },
    )
    for (const server of servers) await guard(server)
    const store = `redis-cluster://hub:${ENCODED}@${addresses.join()}?tls=1&${trust}`
    await useAll((await startHub({ store })).url)
  })
})
