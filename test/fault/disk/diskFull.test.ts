/** A disk that fills up: publishes are refused, reading and acknowledging go on, and room is enough to go on. */

import { execFileSync, spawnSync } from 'node:child_process'
import { rm, statfs, writeFile } from 'node:fs/promises'
import { join as joinPath } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { Published, ReadPage } from '../../../shared/protocol.ts'
import { join, type Wire } from '../../support/clients/wire.ts'
import { atEnd } from '../../support/ending.ts'
import type { HubProcess } from '../../support/hub/process.ts'
import { folderPlace } from '../../support/hub/stores.ts'
import { diskFolder } from '../../support/temp.ts'
import { until } from '../../support/until.ts'

const TOPIC = 'orders'
const BIG = 'x'.repeat(50_000)
const MB = 1_048_576

/** Publishes until the hub has no room; the number of events that were acknowledged. */
async function fill(wire: Wire): Promise<number> {
  for (let stored = 0; ; ) {
    const reply = await wire.call<Published>('publish', [{ data: BIG }, { data: stored }])
    if (!reply.ok) {
      expect(reply.error).toMatchObject({ code: 'storage_full', retryable: true })
      return stored
    }
    stored = reply.value.offsets.at(-1) ?? 0
    if (stored > 20_000) throw new Error('the disk was never full')
  }
}

/** What has to go on without room. */
async function goesOn(hub: HubProcess, stored: number): Promise<void> {
  const wire = await join(hub.url, TOPIC, { from: 'start' })
  const events = await wire.eventsSeen(stored, 20_000)
  expect(events.map(({ offset }) => offset)).toEqual(events.map((_, i) => i + 1))
  wire.close()
  const page = await join(hub.url, TOPIC, { from: 'none' }).then((reader) => reader.value<ReadPage>('read', {}))
  expect(page.last).toBeGreaterThanOrEqual(stored)
}

async function acks(client: Wire, offset: number): Promise<void> {
  const { epoch } = await client.seen('subscribed')
  for (let at = Math.max(1, offset - 200); at <= offset; at++) {
    expect(await client.call('ack', { epoch, offset: at })).toEqual({ ok: true, value: { epoch, offset: at } })
  }
}

/** Room is back: publishing goes on by itself, at the next offset, and nothing was lost or stored by a refused call. */
async function recovers(hub: HubProcess, wire: Wire, stored: number): Promise<void> {
  const reply = await until(
    async () => {
      const answer = await wire.call<Published>('publish', [{ data: 'again' }])
      return answer.ok && answer.value
    },
    { what: 'a publish to be taken again', deadlineMs: 5_000, everyMs: 50 },
  )
  expect(reply.offsets).toEqual([stored + 1])
  const reader = await join(hub.url, TOPIC, { from: 'start' })
  const events = await reader.eventsSeen(stored + 1, 20_000)
  expect(events.at(-1)?.data).toBe('again')
  expect(events.length).toBe(stored + 1)
  for (const { offset, data } of events.slice(0, -1)) expect(data).toBe(offset % 2 === 0 ? offset - 2 : BIG)
  reader.close()
}

describe('a disk that is full', () => {
  it.runIf(mayMount())('refuses publishes before the reserve is used, and goes on with the rest', async () => {
    const data = await smallDisk()
    const ballast = joinPath(data, 'ballast')
    await writeFile(ballast, Buffer.alloc(36 * MB))
    const hub = await folderPlace(data).spawn()
    const wire = await join(hub.url, TOPIC, { from: 'none' })
    const client = await join(hub.url, TOPIC, { client: 'a', from: 'start' })
    await client.seen('live')
    const stored = await fill(wire)
    expect(stored).toBeGreaterThan(10)
    const { bavail, bsize } = await statfs(data)
    expect(bavail * bsize).toBeGreaterThan(8 * MB)
    await goesOn(hub, stored)
    await acks(client, stored)
    // Known clients come back, new ones without a cursor too; a new cursor needs room.
    const again = await join(hub.url, TOPIC, { client: 'a' })
    expect((await again.seen('subscribed')).position.offset).toBe(stored)
    await rm(ballast)
    await recovers(hub, wire, stored)

    // Somebody else takes even the reserve: nothing is lost, and the hub comes back by itself.
    const filled = await takeAll(joinPath(data, 'ballast'))
    expect(filled).toBeGreaterThan(0)
    const before = stored + 1
    const refused = await wire.call('publish', [{ data: BIG }])
    expect(refused).toMatchObject({ ok: false, error: { code: 'storage_full' } })
    await goesOn(hub, before)
    await rm(ballast)
    const reply = await until(async () => (await wire.call<Published>('publish', [{ data: 'end' }])).ok, {
      deadlineMs: 5_000,
    })
    expect(reply).toBe(true)
    await hub.kill('SIGTERM')
  })

  it.runIf(mayMount())('takes events again where others were dropped, though its file does not shrink', async () => {
    const data = await smallDisk()
    await writeFile(joinPath(data, 'ballast'), Buffer.alloc(30 * MB))
    const hub = await folderPlace(data).spawn()
    const wire = await join(hub.url, TOPIC, { from: 'none' })
    const stored = await fill(wire)
    const other = await join(hub.url, 'other', { from: 'none' })
    expect(await other.call('publish', [{ data: BIG }])).toMatchObject({ ok: false, error: { code: 'storage_full' } })
    expect((await fetch(`${hub.url}/v1/topics/${TOPIC}`, { method: 'DELETE' })).status).toBe(204)
    const publish = () => other.call<Published>('publish', [{ data: BIG }, { data: 'small' }])
    await until(async () => (await publish()).ok, { what: 'room', deadlineMs: 5_000, everyMs: 50 })
    for (let events = 2; events < stored * 0.8; events += 2) expect(await publish()).toMatchObject({ ok: true })
    await fill(other)
  })

  it.runIf(mayMount())(
    'to the last byte ends no process and loses no work: the driver never meets its end',
    async () => {
      const data = await smallDisk()
      const hub = await folderPlace(data).spawn()
      const post = async (path: string, body: unknown) => {
        const headers = { 'content-type': 'application/json' }
        const url = `${hub.url}/v1/queues/work/${path}`
        const response = await fetch(url, { method: 'POST', headers, body: JSON.stringify(body) })
        return { status: response.status, value: await response.json() }
      }
      const jobs = Array.from({ length: 100 }, (_, data) => ({ data }))
      expect(await post('jobs', jobs)).toMatchObject({ status: 201 })
      await takeAll(joinPath(data, 'ballast'))
      const done = new Set<string>()
      const held: { readonly id: string; readonly lease: string }[] = []
      const settle = async (reply: string): Promise<number> => {
        const claimed = await post('claims', { leaseMs: 60_000 })
        if (claimed.status === 200) held.push(...claimed.value.jobs)
        const [job] = held
        if (job === undefined) return claimed.status
        const { status } = await post('settlements', [{ id: job.id, lease: job.lease, as: 'done', reply }])
        if (status === 200) done.add(held.shift()?.id ?? '')
        return status
      }
      const answers = new Set<number>()
      for (let i = 0; i < 60; i++) answers.add(await settle('x'.repeat(100_000)))
      expect([...answers].filter((status) => status !== 200)).toEqual([507])
      await rm(joinPath(data, 'ballast'))
      await until(async () => (await settle('small')) === 200, { what: 'room', deadlineMs: 5_000, everyMs: 50 })
      while (done.size < jobs.length) expect(await settle('small')).toBe(200)
      expect(hub.stderr()).not.toContain('Write error')
      expect((await hub.kill('SIGTERM')).code).toBe(0)
    },
  )

  it.runIf(process.platform === 'linux' && has('prlimit'))(
    'that shows only when it is written to is no worse',
    async () => {
      const data = await diskFolder()
      // The system refuses to let a file of the hub grow beyond this.
      const wrapper = ['prlimit', `--fsize=${8 * MB}:unlimited`]
      const hub = await folderPlace(data).spawn({ wrapper })
      const wire = await join(hub.url, TOPIC, { from: 'none' })
      const client = await join(hub.url, TOPIC, { client: 'a', from: 'start' })
      await client.seen('live')
      const stored = await fill(wire)
      expect(stored).toBeGreaterThan(10)
      for (let i = 0; i < 5; i++) {
        expect(await wire.call('publish', [{ data: BIG }])).toMatchObject({
          ok: false,
          error: { code: 'storage_full' },
        })
      }
      await goesOn(hub, stored)
      await acks(client, stored)
      execFileSync('prlimit', ['--pid', String(hub.pid), '--fsize=unlimited'])
      await recovers(hub, wire, stored)
      expect((await hub.kill('SIGTERM')).code).toBe(0)
    },
  )
})

async function smallDisk(): Promise<string> {
  const data = await diskFolder()
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64m', 'tmpfs', data])
  atEnd(() => {
    execFileSync('umount', ['-l', data])
  })
  return data
}

async function takeAll(path: string): Promise<number> {
  let bytes = 0
  spawnSync('dd', ['if=/dev/zero', `of=${path}`, 'bs=64k'], { stdio: 'ignore' })
  bytes = Number(execFileSync('stat', ['-c', '%s', path], { encoding: 'utf8' }))
  return bytes
}

function has(program: string): boolean {
  return spawnSync(program, ['--version'], { stdio: 'ignore' }).status === 0
}

function mayMount(): boolean {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return false
  return spawnSync('unshare', ['-m', 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt'], { stdio: 'ignore' }).status === 0
}
