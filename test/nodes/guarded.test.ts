/** Three hubs behind nginx, with TLS, tokens, encryption and metrics: they are restarted, and their keys change, while SDK clients go on. */

import { generateKeyPairSync, randomBytes, randomUUID } from 'node:crypto'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { exportJWK, SignJWT } from 'jose'
import { expect, it } from 'vitest'
import { connect } from '../../client/index.ts'
import { atEnd } from '../support/ending.ts'
import { spawnHub } from '../support/hub/process.ts'
import { certificateFiles, newAuthority } from '../support/network/certificates.ts'
import { startNginx } from '../support/network/nginx.ts'
import { startRedis } from '../support/redis/redis.ts'
import { tempFolder } from '../support/temp.ts'
import { has } from '../support/tools.ts'
import { until, within } from '../support/until.ts'

const NODES = [0, 1, 2] as const
const TTL_S = 4
const AT_REST = Object.fromEntries(['k1', 'k2'].map((name) => [name, randomBytes(32).toString('base64')]))
/** In each payload. */
const MARK = 'M4rk-of-a-payload'

/** What a hub counts under this name, over all labels. */
async function counted(url: string, name: string): Promise<number> {
  const lines = (await (await fetch(`${url}/metrics`)).text()).split('\n')
  return lines
    .filter((line) => line.startsWith(`${name}{`))
    .reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0)
}

/** What Redis has written, each command of it. */
async function filesIn(folder: string): Promise<Buffer[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile())
  return await Promise.all(files.map(({ parentPath, name }) => readFile(join(parentPath, name))))
}

interface Types {
  readonly topics: { readonly news: Numbered }
  readonly queues: { readonly emails: Numbered }
}

interface Numbered {
  readonly n: number
  readonly mark: string
}

/** A set of keys in a file, of which the last one signs. */
async function keySet() {
  const path = join(await tempFolder(), 'jwks.json')
  const keys: { kid: string; pair: ReturnType<typeof newPair> }[] = []
  const newPair = () => generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
  const write = async () => {
    const jwks = keys.map(async ({ kid, pair }) => ({ ...(await exportJWK(pair.publicKey)), kid, alg: 'ES256' }))
    await writeFile(path, JSON.stringify({ keys: await Promise.all(jwks) }))
  }
  return {
    path,
    /** The one that signs from now on. */
    async add() {
      keys.push({ kid: randomUUID(), pair: newPair() })
      await write()
    },
    async removeFirst() {
      keys.shift()
      await write()
    },
    async sign(subject: string): Promise<string> {
      const last = keys.at(-1)
      if (last === undefined) throw new Error('no keys')
      return await new SignJWT({ reprise: { roles: ['member'] } })
        .setProtectedHeader({ alg: 'ES256', kid: last.kid })
        .setSubject(subject)
        .setIssuedAt()
        .setExpirationTime(`${TTL_S}s`)
        .sign(last.pair.privateKey)
    },
  }
}

it.runIf(has('redis-server', 'nginx'))(
  'show SDK users no error while three guarded hubs are restarted one by one and their keys change',
  { timeout: 90_000 },
  async () => {
    const keys = await keySet()
    await keys.add()
    const config = join(await tempFolder(), 'reprise.yaml')
    const configure = async (current: string) => {
      const auth = { jwt: { jwks: keys.path }, roles: { member: [{ actions: ['*'], names: ['news', 'emails'] }] } }
      await writeFile(config, JSON.stringify({ auth, encryption: { current, keys: AT_REST }, metrics: { open: true } }))
    }
    await configure('k1')
    const redis = await startRedis({ appendonly: 'yes', appendfsync: 'always' })
    const start = (port = 0) => spawnHub({ store: redis.url, port, args: ['--config', config, '--drain-ms', '2s'] })
    const hubs = await Promise.all(NODES.map(() => start()))
    const authority = newAuthority()
    const nginx = await startNginx(
      hubs.map(({ url }) => url),
      { tls: await certificateFiles(authority) },
    )

    const told: unknown[] = []
    const asked: Record<string, number> = {}
    const open = (subject: string, transport: 'websocket' | 'polling') => {
      const hub = connect<Types>(nginx.url, {
        client: subject,
        transports: [transport],
        socketOptions: { ca: authority.cert },
        token: () => {
          asked[subject] = (asked[subject] ?? 0) + 1
          return keys.sign(subject)
        },
      })
      atEnd(() => hub.close())
      return hub
    }
    const clients = [open('ann', 'websocket'), open('ben', 'polling'), open('cat', 'websocket')]
    const heard = clients.map((client) => {
      const got: unknown[] = []
      const subscription = client.topic('news').subscribe(({ data }) => void got.push(data.n), { from: 'start' })
      subscription.onError((error) => told.push(error))
      subscription.onGap((gap) => told.push(gap))
      subscription.onStatus((status) => {
        if (status.state === 'ended') told.push(status)
      })
      return got
    })
    const done = new Set<number>()
    for (const client of clients.slice(0, 2)) {
      const worker = client.queue('emails').consume(({ data: { n } }) => void done.add(n))
      worker.onError((error) => told.push(error))
    }

    const publisher = open('dan', 'websocket')
    let [published, stopped] = [0, false]
    const publishing = (async () => {
      while (!stopped) {
        const draft = { n: published, mark: MARK }
        await Promise.all([publisher.topic('news').publish(draft), publisher.queue('emails').send(draft)])
        published += 1
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
    })()
    const goesOn = async () => {
      const before = published
      await until(() => published > before + 10, { what: 'publishing to go on', deadlineMs: 20_000 })
    }

    await goesOn()
    await configure('k2')
    for (const i of NODES) {
      if (i === 1) await keys.add()
      const { port } = hubs[i] as { port: number }
      const { code } = await within((hubs[i] as Awaited<ReturnType<typeof start>>).kill('SIGTERM'), 10_000, 'the end')
      expect(code).toBe(0)
      hubs[i] = await start(port)
      await goesOn()
    }
    // All have a token of the new key by then.
    const asks = { ...asked }
    await until(() => Object.entries(asked).every(([who, count]) => count > (asks[who] ?? 0)), {
      what: 'all to renew',
      deadlineMs: 20_000,
    })
    await keys.removeFirst()
    await goesOn()
    stopped = true
    await publishing
    const all = Array.from({ length: published }, (_, n) => n)
    await until(() => heard.every((got) => got.length >= published) && done.size === published, { what: 'everything' })
    for (const got of heard) expect(got).toEqual(all)
    expect([...done].sort((a, b) => a - b)).toEqual(all)
    expect(told).toEqual([])
    // Counted since each hub has been there; the store has nothing that can be read.
    const counts = await Promise.all(hubs.map(({ url }) => counted(url, 'reprise_events_published_total')))
    expect(counts.reduce((sum, count) => sum + count, 0)).toBeGreaterThan(10)
    for (const bytes of await filesIn(redis.folder)) expect(bytes.includes(MARK)).toBe(false)
  },
)
