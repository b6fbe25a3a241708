import { once } from 'node:events'
import { createServer } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { whenWritten } from '../../server/http/ending.ts'
import type { Job } from '../../shared/queues.ts'
import { joinQueues, settlement } from '../support/clients/jobs.ts'
import { queueCalls } from '../support/clients/queueCalls.ts'
import { atEnd } from '../support/ending.ts'
import { startHub } from '../support/hub/hub.ts'
import { startChild } from '../support/hub/process.ts'
import { runSeed, seededRandom } from '../support/seed.ts'
import { until } from '../support/until.ts'

const hub = await startHub({ queues: { '*': { backoffMs: 1, reconnectGraceMs: 0 }, rated: { rate: 1 } } })
const { ask, send, claim, settle, look, explain, jobs } = queueCalls(hub.url)

const consumers = (queue: string, count: number) =>
  until(async () => (await look(queue)).consumers === count, { what: `${count} consumers` })

/** A claim that nobody reads the answer of. */
async function halfClaim(queue: string, body: object) {
  const { hostname, port } = new URL(hub.url)
  const socket = connect(Number(port), hostname)
  await once(socket, 'connect')
  socket.write(claimText(queue, body))
  return socket
}

function claimText(queue: string, body: object): string {
  const json = JSON.stringify(body)
  const head = `POST /v1/queues/${queue}/claims HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n`
  return `${head}Content-Length: ${json.length}\r\n\r\n${json}`
}

describe('a claim', () => {
  it('answers all that is ready, up to its max, however large', async () => {
    await send('large', ...Array.from({ length: 320 }, (_, n) => ({ data: n })))
    expect((await claim('large', { max: 300 })).map(({ data }) => data)).toEqual(
      Array.from({ length: 300 }, (_, n) => n),
    )
    expect(await claim('large', { max: 1_000 })).toHaveLength(20)
  })

  it('answers at once where there is nothing and it does not wait', async () => {
    for (let i = 0; i < 20; i++) expect(await claim('empty')).toEqual([])
    expect((await ask('POST', '/v1/queues/empty/claims')).body).toEqual({ jobs: [] })
    await ask('POST', '/v1/queues/empty/pause')
    await send('empty', { data: 1 })
    expect(await claim('empty')).toEqual([])
    await ask('POST', '/v1/queues/empty/resume')
    await consumers('empty', 0)
  })

  it('takes one job, or as many as it asks for, and leaves the others', async () => {
    const ids = await send('some', ...Array.from({ length: 6 }, (_, data) => ({ data })))
    expect((await claim('some')).map(({ id }) => id)).toEqual(ids.slice(0, 1))
    expect((await claim('some', { max: 3 })).map(({ id }) => id)).toEqual(ids.slice(1, 4))
    expect((await look('some')).counts).toMatchObject({ ready: 2, held: 4 })
    expect((await claim('some', { max: 1_000, waitMs: 5_000 })).map(({ id }) => id)).toEqual(ids.slice(4))
    // What was answered stays with whoever has it.
    await consumers('some', 0)
    await sleep(20)
    expect((await look('some')).counts).toMatchObject({ ready: 0, held: 6 })
  })

  it('of more than an answer holds takes a part and leaves the others', async () => {
    for (let i = 0; i < 3; i++) await send('huge', ...Array.from({ length: 5 }, () => ({ data: 'x'.repeat(200_000) })))
    const first = await claim('huge', { max: 100 })
    expect(first.length).toBeGreaterThan(3)
    expect(first.length).toBeLessThan(10)
    expect((await look('huge')).counts).toMatchObject({ held: first.length, ready: 15 - first.length })
  })

  it('waits for a job, and no longer than it said', async () => {
    const waiting = claim('awaited', { waitMs: 20_000 })
    await consumers('awaited', 1)
    const began = performance.now()
    await send('awaited', { data: 'now' })
    expect(await waiting).toMatchObject([{ data: 'now' }])
    // It was woken, and did not only find the job at the end of its wait.
    expect(performance.now() - began).toBeLessThan(10_000)
    const before = performance.now()
    expect(await claim('awaited', { waitMs: 150 })).toEqual([])
    expect(performance.now() - before).toBeGreaterThan(140)
    await consumers('awaited', 0)
  })

  it('that waits beside many others gets a job of its own', async () => {
    const all = Array.from({ length: 40 }, () => claim('crowd', { waitMs: 10_000 }))
    await consumers('crowd', 40)
    const ids = await send('crowd', ...Array.from({ length: 40 }, (_, data) => ({ data })))
    const got = (await Promise.all(all)).map((jobs) => jobs.map(({ id }) => id))
    expect(got.every((jobs) => jobs.length === 1)).toBe(true)
    expect(got.flat().sort()).toEqual([...ids].sort())
    expect((await look('crowd')).counts).toMatchObject({ held: 40, ready: 0 })
  })

  it('shares the work with consumers that stay', async () => {
    const wire = await joinQueues(hub.url)
    await wire.consume('shared', { credit: 1 })
    const [first] = await send('shared', { data: 1 }, { data: 2 })
    const [held] = await wire.jobsSeen(1)
    const [claimed] = await claim('shared', { waitMs: 5_000 })
    expect([held?.id, claimed?.data]).toEqual([first, 2])
    await wire.settle('shared', settlement(held as Job))
    await settle('shared', { id: claimed?.id, lease: claimed?.lease, as: 'done' })
    expect((await look('shared')).counts).toMatchObject({ done: 2 })
  })

  it('is held to the rate of the queue', async () => {
    await send('rated', { data: 1 }, { data: 2 })
    expect(await claim('rated', { max: 5 })).toHaveLength(1)
    expect(await claim('rated', { max: 5 })).toEqual([])
    expect(await claim('rated', { max: 5, waitMs: 5_000 })).toHaveLength(1)
  })

  it('holds jobs for its lease, and those that lapse together are then handed out alone', async () => {
    await send('lapsing', { data: 1 }, { data: 2 })
    const [first] = await claim('lapsing', { max: 2, leaseMs: 100 })
    const again = await claim('lapsing', { max: 2, waitMs: 5_000 })
    expect(again).toMatchObject([{ id: first?.id, attempts: 0, deliveries: 2 }])
    expect(await settle('lapsing', { id: first?.id, lease: first?.lease, as: 'done' })).toEqual(['lost'])
  })

  it('ends without jobs when the hub drains', async () => {
    const other = await startHub()
    const calls = queueCalls(other.url)
    const waiting = calls.claim('drained', { waitMs: 20_000 })
    await until(async () => (await calls.look('drained')).consumers === 1, { what: 'the claim' })
    await other.close()
    expect(await waiting).toEqual([])
  })
})

describe('a client that is gone', () => {
  it('while it waits takes nothing', async () => {
    const program = `fetch('${hub.url}/v1/queues/killed/claims', { method: 'POST',
      headers: { 'content-type': 'application/json' }, body: '{"waitMs":20000}' })`
    const child = startChild([process.execPath, '-e', program])
    await until(async () => (await look('killed')).consumers === 1, { what: 'the claim' })
    await child.kill()
    await consumers('killed', 0)
    const [id = ''] = await send('killed', { data: 1 })
    expect(await explain('killed', id)).toMatchObject({ state: 'ready', attempts: 0, deliveries: 0 })
  })

  it('in the moment of the hand-out loses no job, whatever the moment', async () => {
    const random = seededRandom(runSeed('claims cut at any moment'))
    const ids: string[] = []
    for (let round = 0; round < 25; round++) {
      const socket = await halfClaim('cut', { waitMs: 5_000, max: 3, leaseMs: 150 })
      const cut = sleep(random.integer(0, 6)).then(() => socket.resetAndDestroy())
      ids.push(...(await send('cut', { data: round }, { data: round })))
      await cut
    }
    const seen = new Set<string>()
    await until(
      async () => {
        const jobs = await claim('cut', { max: 50, waitMs: 200 })
        await settle('cut', ...jobs.map(({ id, lease }) => ({ id, lease, as: 'done' })), {
          id: '-',
          lease: '-',
          as: 'done',
        })
        for (const { id } of jobs) seen.add(id)
        return seen.size === ids.length
      },
      { what: 'every job', seen: () => seen.size },
    )
    expect([...seen].sort()).toEqual([...ids].sort())
    expect((await look('cut')).counts).toMatchObject({ sent: 50, done: 50, dead: 0, held: 0, ready: 0 })
  })

  it('before its answer could be written gives its jobs back at once', async () => {
    await send('unread', { data: 1 }, { data: 2 })
    // The answers of a connection come in the order of its requests, so the first one holds up the others.
    const socket = await halfClaim('quiet', { waitMs: 20_000 })
    socket.write(claimText('unread', { max: 2 }))
    socket.write(claimText('quiet', { waitMs: 20_000 }))
    await until(async () => (await look('unread')).counts.held === 2, { what: 'the hand-out' })
    await consumers('quiet', 2)
    socket.destroy()
    await until(async () => (await look('unread')).counts.ready === 2, { what: 'the jobs back' })
    for (const queue of ['unread', 'quiet']) await consumers(queue, 0)
    expect((await jobs('unread')).jobs).toMatchObject([
      { data: 1, attempts: 0, history: [{ what: 'release' }] },
      { data: 2, attempts: 0, history: [{ what: 'release' }] },
    ])
  })

  it('is told from one that has its answer', async () => {
    const outcomes: string[] = []
    const asked: string[] = []
    const server = createServer((request, response): void => {
      const name = request.url ?? ''
      asked.push(name)
      whenWritten(
        request,
        response,
        () => outcomes.push(`${name} written`),
        () => outcomes.push(`${name} lost`),
      )
      if (name === '/late') request.socket.once('close', () => response.end('late'))
      else response.end(name === '/large' ? Buffer.alloc(50_000_000) : 'small')
    })
    server.listen(0, '127.0.0.1')
    atEnd(() => void server.close())
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const get = async (path: string, cut: () => Promise<unknown>) => {
      const socket = connect(port, '127.0.0.1').pause()
      socket.on('error', () => {})
      socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`)
      await until(() => asked.includes(path), { what: path })
      await cut()
      socket.destroy()
    }
    await get('/large', () => sleep(100))
    await get('/late', async () => {})
    await get('/small', () => until(() => outcomes.includes('/small written'), { what: 'the small answer' }))
    await until(() => outcomes.length === 3, { what: 'three outcomes', seen: () => outcomes })
    expect(outcomes.sort()).toEqual(['/large lost', '/late lost', '/small written'])
  })
})
