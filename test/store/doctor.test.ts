/** What `reprise doctor` finds in configurations and stores, with and without a hub on them. */

import { truncate, writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage } from 'node:http'
import { get } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { describe, expect, it } from 'vitest'
import { conditionOf } from '../../server/doctor/condition.ts'
import { examine, type Finding } from '../../server/doctor/doctor.ts'
import { startServer } from '../../server/embedded.ts'
import { resolveHubOptions } from '../../server/options/hub.ts'
import type { Store } from '../../server/store/contract/store.ts'
import { openStore } from '../../server/store/open.ts'
import { RepriseError } from '../../shared/errors.ts'
import { asking } from '../support/clients/ask.ts'
import { atEnd } from '../support/ending.ts'
import { runCli } from '../support/hub/process.ts'
import { describeStores } from '../support/hub/stores.ts'
import { certificateFiles, newAuthority } from '../support/network/certificates.ts'
import { startRedis } from '../support/redis/redis.ts'
import { tempFolder } from '../support/temp.ts'
import { has } from '../support/tools.ts'

const KEYS = [1, 2].map((byte) => Buffer.alloc(32, byte).toString('base64'))

async function configured(options: object): Promise<string> {
  const file = join(await tempFolder(), 'reprise.yaml')
  await writeFile(file, JSON.stringify(options))
  return file
}

async function found(options: object): Promise<readonly Finding[]> {
  return await examine({ flags: { config: await configured(options) }, env: {} })
}

function linesOf(findings: readonly Finding[], what: RegExp): string[] {
  return findings.filter((finding) => what.test(finding.what)).map(({ state, text }) => `${state} ${text}`)
}

describeStores('a doctor of a hub on $name', (kind) => {
  it('finds what a running hub runs with, and a key that is wrong, missing or over, and changes nothing', async () => {
    const { location, spawn } = await kind.place()
    const old = { current: 'k1', keys: { k1: KEYS[0] } }
    const hub = await spawn({ args: ['--config', await configured({ encryption: old })] })
    await asking(hub.url)('POST', '/v1/topics/orders/events', { data: 1 })
    const looked = await runCli(['doctor', '--store', location, '--config', await configured({ encryption: old })])
    expect([looked.code, looked.stderr]).toEqual([0, ''])
    expect(looked.stdout).toMatch(/^ok {4}versions: reprise .*\nok {4}configuration: .*encryption from .*\.yaml:1/)
    expect(looked.stdout).toMatch(
      kind.name === 'lmdb' ? /ok {4}data folder: .*: a hub runs on it \(process \d+\)/ : /ok {4}redis: version/,
    )
    expect(looked.stdout).toMatch(/ok {4}encryption: current key k1\n$/)

    const running = await asking(hub.url)<{ findings: Finding[] }>('GET', '/v1/doctor')
    expect(linesOf(running.body.findings, /encryption|auth/)).toEqual([
      'ok none, and only this machine can reach 127.0.0.1',
      'ok current key k1',
    ])
    expect(linesOf(running.body.findings, kind.name === 'lmdb' ? /^disk$/ : /^redis/)).toContainEqual(
      expect.stringMatching(kind.name === 'lmdb' ? /^ok \d+ MiB are free$/ : /^ok version/),
    )

    const of = async (encryption: object) => linesOf(await found({ store: location, encryption }), /encryption/)
    const both = { k1: KEYS[0], k2: KEYS[1] }
    expect(await of({ current: 'k1', keys: { k1: KEYS[1] } })).toContain(
      'fail k1: is another key than the one that payloads are under',
    )
    expect(await of({ current: 'k2', keys: { k2: KEYS[1] } })).toContain(
      'fail k1: is missing, and payloads are under it',
    )
    expect(await of({ current: 'k2', keys: { k1: KEYS[1], k2: KEYS[1] } })).toContain(
      'fail k1: is another key than the one that payloads are under',
    )
    expect(await of({ current: 'k2', keys: both })).toEqual(['ok current key k2', 'warn k1: payloads may be left'])
    const bad = await runCli(['doctor', '--store', location, '--json'])
    expect(bad.code).toBe(1)
    const objects = bad.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Finding) // prettier-ignore
    expect(objects.at(-1)).toMatchObject({ what: 'encryption', state: 'fail', todo: 'give it as encryption.keys.k1' })
    await hub.kill('SIGTERM')

    const rotation = { lookMs: 10, failed: () => {} }
    const keys = new Map(Object.entries(both).map(([name, key]) => [name, Buffer.from(key ?? '', 'base64')]))
    let close = async () => {}
    await new Promise<void>((resolve, reject) => {
      const told = (what: string) => what === 'ended' && resolve()
      const encryption = { current: 'k2', keys }
      openStore(location, { encryption, rotation: { ...rotation, told } }).then((store) => {
        close = store.close
      }, reject)
    })
    await close()
    expect(await of({ current: 'k2', keys: both })).toEqual([
      expect.stringMatching(/^ok current key k2; \d+ older payloads were put under it by 2/),
      'ok k1: nothing is under it, it may be taken out',
    ])
  })
})

describe('a doctor', () => {
  it('tells all faults of a configuration, and looks no further', async () => {
    const findings = await found({ port: 'x', tpoics: {} })
    expect(findings.map(({ what, state }) => `${state} ${what}`)).toEqual([
      'ok versions',
      'fail configuration',
      'fail configuration',
    ])
  })

  it('finds a data file that was cut off, a folder that is none, and one that is not there yet', async () => {
    const folder = await tempFolder()
    const data = join(folder, 'data')
    expect(linesOf(await found({ data }), /data/)).toEqual([`ok ${data} is not there yet: the hub makes it`])
    await (await openStore(data)).close()
    expect(linesOf(await found({ data }), /data|disk/)).toEqual([
      `ok ${data}: no hub runs on it`,
      expect.stringMatching(/^ok \d+ MiB are free$/),
    ])
    await truncate(join(data, 'data.mdb'), 20_000)
    expect(linesOf(await found({ data }), /file/)).toEqual([
      expect.stringMatching(/^fail data.mdb was cut off: it has 20000/),
    ])
    await writeFile(join(folder, 'file'), '')
    expect(linesOf(await found({ data: join(folder, 'file') }), /data/)).toEqual([
      `fail ${folder}/file is not a folder`,
    ])
    const full = await found({ data: folder, reserveBytes: '1000000GB' })
    expect(linesOf(full, /disk/)).toEqual([expect.stringMatching(/^fail \d+ MiB are free: the hub refuses publishes/)])
  })

  it('finds certificates that end soon, sets of keys that cannot be read, and secrets that can be guessed', async () => {
    const server = createServer((request, response) => response.end(request.url === '/keys' ? '{"keys":[{}]}' : 'x'))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    atEnd(() => void server.close())
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    const data = await tempFolder()
    const { cert, key } = await certificateFiles(newAuthority())
    const jwks = async (path: string) => linesOf(await found({ data, auth: { jwt: { jwks: url + path } } }), /jwks/)
    expect(await jwks('/keys')).toEqual([`ok ${url}/keys has 1 key`])
    const secret = await found({ data, auth: { jwt: { jwks: `${url.replace('//', '//ann:pass@')}/keys?key=pass` } } })
    expect(linesOf(secret, /jwks/)).toEqual([expect.stringMatching(/^fail http.*\/keys cannot be read: /)])
    expect(JSON.stringify(secret)).not.toContain('pass')
    expect(await jwks('/none')).toEqual([expect.stringMatching(/^fail http.*\/none cannot be read: /)])
    const tls = linesOf(await found({ data, tls: { cert, key } }), /tls/)
    expect(tls).toEqual([expect.stringMatching(/^(ok|warn) CN=.*: \d+ days left$/)])
    const hub = await startServer({ store: data, port: 0, tls: { cert, key }, logLevel: 'silent' })
    atEnd(() => hub.close())
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      get(`${hub.url}/v1/doctor`, { rejectUnauthorized: false, agent: false }, resolve).once('error', reject)
    })
    const told = await text(response)
    expect(linesOf(JSON.parse(told).findings, /tls/)).toEqual(tls)
    expect(told).not.toContain('PRIVATE')
    const weak = async (bytes: number) =>
      linesOf(await found({ data, auth: { jwt: { secret: 's'.repeat(bytes) } } }), /auth/)
    expect(await weak(32)).toEqual(['ok 0 API keys, tokens'])
    expect(await weak(31)).toContainEqual(
      expect.stringMatching(/^warn auth.jwt.secret has 31 bytes, and .*: give it 32/),
    )
    const open = await found({ data, host: '0.0.0.0', open: true })
    expect(linesOf(open, /auth/)).toEqual(['warn none: whoever reaches 0.0.0.0 may do everything'])
  })

  it.runIf(has('redis-server'))('finds a Redis that is away, forgets, or keeps nothing on disk', async () => {
    const server = await startRedis()
    const redis = async () => linesOf(await found({ store: server.url }), /redis/)
    expect(await redis()).toEqual([
      expect.stringMatching(/^ok version [78].*, maxmemory-policy noeviction$/),
      expect.stringMatching(/^warn Redis keeps nothing on disk/),
      expect.stringMatching(/^ok its clock is \d+ ms (ahead of|behind) this one$/),
    ])
    await server.cli('config', 'set', 'maxmemory', '1gb')
    await server.cli('config', 'set', 'maxmemory-policy', 'allkeys-lru')
    expect(await redis()).toEqual([expect.stringMatching(/^fail Redis would throw away events/)])
    await server.kill()
    const away = expect.stringMatching(/^fail redis:\/\/127.0.0.1:\d+.*: .*ECONNREFUSED/)
    expect(await redis()).toEqual([away])
    // So does a hub that runs on it.
    const all = () => Promise.reject(new RepriseError('unavailable', 'Redis is away'))
    const store = { settings: { all } } as unknown as Store
    const findings = await conditionOf(resolveHubOptions({ store: server.url }), store)()
    expect(linesOf(findings, /redis/)).toEqual([away])
    expect(linesOf(findings, /versions|encryption/)).toEqual([expect.stringMatching(/^ok/), 'fail Redis is away'])
  })
})
