/** A data folder that is deleted, moved, replaced or cut off underneath a running hub. */

import { cp, mkdir, rename, rm, truncate, writeFile } from 'node:fs/promises'
import { join as joinPath } from 'node:path'
import { describe, expect, it, vi } from 'vitest'
import { Environment } from '../../../server/store/lmdb/engine/environment.ts'
import { openStore } from '../../../server/store/open.ts'
import { dataOf, publish } from '../../store/conformance/fixture.ts'
import { join } from '../../support/clients/wire.ts'
import { atEnd } from '../../support/ending.ts'
import { startHub } from '../../support/hub/hub.ts'
import { folderPlace } from '../../support/hub/stores.ts'
import { diskFolder } from '../../support/temp.ts'
import { until } from '../../support/until.ts'

const TOPIC = 'orders'

interface Running {
  readonly url: string
}

async function readiness({ url }: Running): Promise<{ status: number; reason?: string }> {
  const response = await fetch(`${url}/readyz`)
  return { status: response.status, ...((await response.json()) as { reason?: string }) }
}

async function isAlive({ url }: Running): Promise<boolean> {
  return (await fetch(`${url}/healthz`)).status === 200
}

interface Paths {
  readonly data: string
  readonly file: string
  readonly aside: string
}

type Loss = (paths: Paths) => Promise<unknown>

interface Case {
  readonly lose: Loss
  readonly says: string
  readonly back?: Loss
}

const MOVED: Case = {
  lose: ({ data, aside }) => rename(data, aside),
  says: 'was deleted or moved',
  back: ({ data, aside }) => rename(aside, data),
}

const LOSSES: Record<string, Case> = {
  'deleted folder': { lose: ({ data }) => rm(data, { recursive: true }), says: 'was deleted or moved' },
  'deleted file': { lose: ({ file }) => rm(file), says: 'was deleted or moved' },
  'moved folder': MOVED,
  'folder that is a file now': {
    lose: async ({ data, aside }) => {
      await rename(data, aside)
      await writeFile(data, '')
    },
    says: 'cannot be reached any more',
    back: async ({ data, aside }) => {
      await rm(data)
      await rename(aside, data)
    },
  },
  'replaced file': {
    lose: async ({ file, aside }) => {
      await rename(file, aside)
      await cp(aside, file)
    },
    says: 'was replaced by another file',
    back: ({ file, aside }) => rename(aside, file),
  },
  'replaced folder': {
    lose: async ({ data, file, aside }) => {
      await rename(data, aside)
      await mkdir(data)
      await writeFile(file, '')
    },
    says: 'was replaced by another file',
  },
}

const isWindows = process.platform === 'win32'

/** What holds of each loss, for a hub at work. */
async function loses(hub: Running, paths: Paths, { lose, says, back }: Case): Promise<void> {
  const wire = await join(hub.url, TOPIC, { client: 'a', from: 'start' })
  await wire.seen('live')
  await wire.value('publish', [{ data: 1 }])
  await lose(paths)
  // The very next call, and all behind it.
  for (const call of [wire.call('publish', [{ data: 2 }]), wire.call('publish', [{ data: 3 }])]) {
    expect(await call).toMatchObject({
      ok: false,
      error: { code: 'unavailable', message: expect.stringContaining(says) },
    })
  }
  const jobs = await fetch(`${hub.url}/v1/queues/q/jobs`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify([{ data: 1 }]),
  })
  expect(jobs.status).toBe(503)
  await until(async () => (await readiness(hub)).status === 503)
  expect((await readiness(hub)).reason).toContain(says)
  expect(await isAlive(hub)).toBe(true)
  if (back !== undefined) {
    await back(paths)
    await until(async () => (await readiness(hub)).status === 200)
    expect(await wire.call('publish', [{ data: 'again' }])).toMatchObject({ ok: true })
    await until(() => wire.events().some(({ data }) => data === 'again'))
    expect(wire.all('gap')).toEqual([])
  }
  wire.close()
}

async function pathsIn(): Promise<Paths> {
  const parent = await diskFolder()
  const data = joinPath(parent, 'data')
  return { data, file: joinPath(data, 'data.mdb'), aside: joinPath(parent, 'aside') }
}

describe.skipIf(isWindows)('a data folder that goes away underneath', () => {
  it('is told by the hub, which acknowledges nothing, lives on, and goes on when it is back', async () => {
    const paths = await pathsIn()
    const hub = await startHub({ store: paths.data })
    await loses(hub, paths, MOVED)
    await hub.close()
  })

  it('does not end the hub where its file is cut off, nor when that is stopped', { timeout: 60_000 }, async () => {
    const paths = await pathsIn()
    const hub = await folderPlace(paths.data).spawn({ deadlineMs: 40_000 })
    await loses(hub, paths, { lose: ({ file }) => truncate(file, 0), says: 'was cut off while the hub ran' })
    expect(await hub.kill('SIGTERM')).toEqual({ code: 0, signal: null })
  })

  for (const [name, { lose, says, back }] of Object.entries(LOSSES)) {
    it(`(${name}) is noticed by the next write, and told once`, async () => {
      const paths = await pathsIn()
      const said: string[] = []
      const store = await openStore(paths.data, { warn: (message) => said.push(message) })
      const heard: string[] = []
      await store.topics.watch('t', ({ kind }) => heard.push(kind))
      await publish(store, 't', 1)
      await lose(paths)
      const owner = { subject: 'ann', client: 'phone' }
      const calls = [publish(store, 't', 2), publish(store, 'u', 2), store.cursors.open('t', owner, 'end')]
      for (const call of [...calls, store.settings.put('topics', {}), store.queues.pause('q', true)]) {
        await expect(call).rejects.toMatchObject({ code: 'unavailable', message: expect.stringContaining(says) })
      }
      await expect(publish(store, 't', 3)).rejects.toMatchObject({ code: 'unavailable' })
      expect(said).toEqual([expect.stringContaining(says)])
      expect(heard).toEqual(['appended'])
      if (back !== undefined) {
        await back(paths)
        expect((await publish(store, 't', 4)).offsets).toEqual([2])
        expect(await dataOf(store, 't')).toEqual([1, 4])
        expect(said.slice(1)).toEqual(['data.mdb is there again: the hub goes on'])
        expect(heard).toEqual(['appended', 'lost', 'appended'])
      }
      await store.close()
    })
  }

  it('acknowledges nothing that went into a file which was lost while it was written', async () => {
    const paths = await pathsIn()
    const store = await openStore(paths.data)
    const heard: string[] = []
    await store.topics.watch('t', ({ kind }) => heard.push(kind))
    await publish(store, 't', 1)
    const commit = vi.spyOn(Environment.prototype, 'commit')
    atEnd(() => commit.mockRestore())
    commit.mockImplementationOnce(async function (this: Environment, writes) {
      await rename(paths.data, paths.aside)
      await this.commit(writes)
    })
    await expect(publish(store, 't', 2)).rejects.toMatchObject({ code: 'unavailable' })
    expect(heard).toEqual(['appended'])
    await store.close()
  })

  it('never has what was acknowledged in a file that nobody can find', async () => {
    const paths = await pathsIn()
    const store = await openStore(paths.data)
    let stored = 0
    let refused = 0
    const write = async (): Promise<void> => {
      while (refused === 0) {
        await publish(store, 't', stored).then(
          () => stored++,
          () => refused++,
        )
      }
    }
    const writing = Promise.all([write(), write(), write()])
    await until(() => stored > 20)
    await rename(paths.data, paths.aside)
    await writing
    await store.close()
    // Those of the last commit may be in it, too.
    const moved = await openStore(paths.aside)
    expect((await dataOf(moved, 't')).length).toBeGreaterThanOrEqual(stored)
    await moved.close()
  })
})
