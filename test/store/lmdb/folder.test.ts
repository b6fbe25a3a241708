import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { createInterface } from 'node:readline'
import { open as openLmdb } from 'lmdb'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openStore } from '../../../server/store/open.ts'
import { infoOf, maintain, trim } from '../conformance/calls.ts'
import {
  ALL,
  dataIn,
  dataOf,
  drafts,
  KEEP,
  type LmdbEngine,
  lmdbEngine,
  publish,
  text,
} from '../conformance/fixture.ts'

const MAIN = new URL('../../../', import.meta.url)

/** Runs `child.ts` and gives its lines as they come. */
function child(args: readonly string[], limitBytes?: number) {
  const node = [process.execPath, '--import', 'tsx', new URL('./child.ts', import.meta.url).pathname, ...args]
  const command = limitBytes === undefined ? node : ['prlimit', `--fsize=${limitBytes}:unlimited`, ...node]
  const [program = '', ...rest] = command
  const running = spawn(program, rest, { cwd: MAIN.pathname, stdio: ['ignore', 'pipe', 'ignore'] })
  const ended = new Promise<number | null>((done) => running.on('close', (code) => done(code)))
  return { running, ended, lines: createInterface({ input: running.stdout }) }
}

async function sha(path: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(path)) hash.update(chunk)
  return hash.digest('hex')
}

describe('the data folder of the LMDB store', () => {
  let engine: LmdbEngine

  beforeEach(async () => {
    engine = await lmdbEngine()
  })

  afterEach(async () => {
    await engine.destroy()
  })

  test('that cannot be made is refused with a sentence, at once', async () => {
    const root = await mkdtemp(join(tmpdir(), 'reprise-store-'))
    const file = join(root, 'file')
    await writeFile(file, '')
    for (const folder of ['/proc/reprise/data', file, join(file, 'data')]) {
      await expect(openStore(folder, {}), folder).rejects.toThrow(`the data folder ${folder} cannot be used`)
    }
    await (await openStore(join(root, 'a', 'b', 'c'), {})).close()
    await rm(root, { recursive: true })
  })

  describe('lock', () => {
    test('a second store on the folder is refused with a sentence, the first goes on', async () => {
      const store = await engine.open()
      const second = openStore(engine.folder)
      await expect(second).rejects.toMatchObject({ code: 'conflict' })
      await expect(second).rejects.toThrow(`${engine.folder} is in use by process ${process.pid}`)
      expect((await publish(store, 't', 1)).offsets).toEqual([1])
    })

    test('of two that open at once one gets it, also where a dead owner left its socket', async () => {
      for (let round = 0; round < 5; round++) {
        const opened = await Promise.allSettled(Array.from({ length: 4 }, () => engine.open()))
        const stores = opened.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []))
        expect(stores).toHaveLength(1)
        await stores[0]?.close()
        // What a killed process leaves: a socket that nobody listens to.
        await leaveSocket(join(engine.folder, 'owner.sock'))
      }
    })

    test('an owner that was killed holds nothing', async () => {
      const { running, ended, lines } = child([engine.folder, 't'])
      for await (const line of lines) if (line.includes('offsets')) break
      const refused = openStore(engine.folder)
      await expect(refused).rejects.toThrow(`in use by process ${running.pid}`)
      running.kill('SIGKILL')
      await ended
      const store = await engine.open()
      expect((await infoOf(store.topics, 't'))?.head).toBeGreaterThan(0)
      expect((await readdir(engine.folder)).sort()).toEqual(['data.mdb', 'lock.mdb', 'owner.sock'])
    })

    test('works in a folder whose path is too long for a socket', async () => {
      const deep = join(engine.folder, 'd'.repeat(60), 'e'.repeat(60), 'f.g')
      const store = await openStore(deep)
      await expect(openStore(deep)).rejects.toMatchObject({ code: 'conflict' })
      await publish(store, 't', 1)
      await store.close()
      const again = await openStore(deep)
      expect(await dataOf(again, 't')).toEqual([1])
      await again.close()
    })
  })

  test('a path with a dot is a folder, a file: URL too', async () => {
    const store = await engine.open()
    await publish(store, 't', 1)
    await store.close()
    expect(await readdir(engine.folder)).toContain('data.mdb')
    const again = await openStore(`file://${engine.folder}`)
    expect(await dataOf(again, 't')).toEqual([1])
    await again.close()
  })

  test('locations that are no folder are refused', async () => {
    await expect(openStore('http://127.0.0.1:1')).rejects.toMatchObject({ code: 'bad_request' })
  })

  test('a folder that cannot be used is named, and nothing is changed', async () => {
    const parent = await mkdtemp(join(tmpdir(), 'reprise-store-'))
    const file = join(parent, 'file')
    await writeFile(file, 'mine')
    const open = openStore(join(file, 'data'))
    await expect(open).rejects.toMatchObject({ code: 'unavailable' })
    await expect(open).rejects.toThrow(join(file, 'data'))
    expect(await readFile(file, 'utf8')).toBe('mine')
    await mkdir(join(parent, 'other', 'data.mdb'), { recursive: true })
    await expect(openStore(join(parent, 'other'))).rejects.toMatchObject({ code: 'unavailable' })
    await rm(parent, { recursive: true })
  })

  test('a store of a newer schema is refused and left as it is', async () => {
    const store = await engine.open()
    await publish(store, 't', 1)
    await store.close()
    const raw = { encoding: 'binary', keyEncoding: 'binary' } as const
    const root = openLmdb<Buffer, Buffer>({ path: engine.folder, noSubdir: false, overlappingSync: false, ...raw })
    await root.openDB<Buffer, Buffer>({ name: 'schema', ...raw }).put(Buffer.from('version'), Buffer.from('3'))
    await root.close()
    const before = await sha(join(engine.folder, 'data.mdb'))
    for (let i = 0; i < 2; i++) {
      await expect(openStore(engine.folder)).rejects.toMatchObject({
        code: 'unsupported',
        message: expect.stringContaining('schema version 3'),
      })
    }
    expect(await sha(join(engine.folder, 'data.mdb'))).toBe(before)
  })

  describe('damage', () => {
    /** Changes bytes of the closed store where `text` stands in its file. */
    const flip = async (text: string, back = 0): Promise<void> => {
      const path = join(engine.folder, 'data.mdb')
      const bytes = await readFile(path)
      let found = 0
      for (let at = bytes.indexOf(text); at >= 0; at = bytes.indexOf(text, at + 1)) {
        found++
        const byte = at - back
        bytes[byte] = (bytes[byte] ?? 0) ^ 0x20
      }
      expect(found).toBeGreaterThan(0)
      await writeFile(path, bytes)
    }

    const seen = async (): Promise<unknown[]> => {
      const store = await engine.open()
      const page = await store.topics.read('t', 0, ALL)
      expect(page.events.map(({ offset }) => offset)).toEqual(page.events.map((_, i) => page.first + i))
      const data = page.events.map(dataIn)
      // Around the damage everything goes on.
      await publish(store, 't', 'next')
      await store.topics.seek('t', 0)
      await trim(store.topics, 't', { events: 3, bytes: 1e6, ageMs: 1e15 })
      expect((await dataOf(store, 't')).at(-1)).toBe('next')
      await store.close()
      return data
    }

    beforeEach(async () => {
      const store = await engine.open()
      await publish(store, 't', 'one')
      await publish(store, 't', 'two-a', 'two-b', 'two-c')
      await publish(store, 't', 'three')
      await store.close()
    })

    test('a changed payload costs exactly its event', async () => {
      await flip('two-b')
      expect(await seen()).toEqual(['one', 'two-a', 'damaged', 'two-c', 'three'])
    })

    test('a changed record head costs exactly its event', async () => {
      // Before the text stands `{"data":"`, before that the checksum and the kind.
      await flip('two-c', 9 + 5)
      expect(await seen()).toEqual(['one', 'two-a', 'two-b', 'damaged', 'three'])
    })

    test('a changed block header costs exactly the events of its block', async () => {
      // Before the first record stand the header's checksum and three sizes.
      await flip('two-a', 9 + 5 + 4 + 6)
      expect(await seen()).toEqual(['one', 'damaged', 'damaged', 'damaged', 'three'])
    })

    test('a changed header of the last block costs its events', async () => {
      await flip('three', 9 + 5 + 4 + 2)
      expect(await seen()).toEqual(['one', 'two-a', 'two-b', 'two-c', 'damaged'])
    })
  })

  describe('room', () => {
    test('below the reserve appends and new cursors are refused, everything else goes on', async () => {
      let free = 1e12
      const store = await engine.open({ reserveBytes: 1e9, freeBytes: async () => free })
      const ann = { subject: 'ann', client: 'phone' }
      const { epoch } = await publish(store, 't', 1, 2, 3)
      const { session } = await store.cursors.open('t', ann, 'start')
      free = 0
      await expect.poll(() => publish(store, 't', 4).catch(({ code }) => code), { timeout: 5_000 }).toBe('storage_full')
      const bob = { subject: 'bob', client: 'phone' }
      await expect(store.cursors.open('t', bob, 'end')).rejects.toMatchObject({ code: 'storage_full' })
      expect(await store.cursors.commit('t', ann, session, { epoch, offset: 2 })).toEqual({ epoch, offset: 2 })
      expect(await store.cursors.open('t', ann, 'end')).toMatchObject({ position: { epoch, offset: 2 } })
      const head = (await store.topics.read('t', 0, ALL)).head
      await trim(store.topics, 't', { ...KEEP, events: 1 })
      expect(await dataOf(store, 't')).toHaveLength(1)
      expect(await store.topics.drop('t')).toBe(true)
      free = 1e12
      await expect
        .poll(
          () =>
            publish(store, 't', 5).then(
              ({ offsets }) => offsets,
              ({ code }) => code,
            ),
          { timeout: 5_000 },
        )
        .toEqual([1])
      expect(head).toBeGreaterThanOrEqual(3)
    })

    test.skipIf(process.platform !== 'linux')(
      'a commit that the disk refuses rejects its appends alone, and the store goes on by itself',
      async () => {
        const { running, ended, lines } = child([engine.folder, 't', '10', 'all'], 6_000_000)
        const acknowledged: number[] = []
        const said: Record<string, unknown>[] = []
        for await (const line of lines) {
          const told = JSON.parse(line) as Record<string, unknown> & { offsets?: number[] }
          acknowledged.push(...(told.offsets ?? []))
          said.push(told)
          if (told.trimmed !== undefined) spawn('prlimit', [`--pid=${running.pid}`, '--fsize=unlimited'])
        }
        expect(await ended).toBe(0)
        expect(said.filter(({ refused }) => refused !== undefined)).toContainEqual({ refused: 'storage_full' })
        expect(said).toContainEqual({ commit: 'committed', refusedAgain: expect.any(Number), read: 3 })
        expect(said).toContainEqual({ trimmed: 0 })
        expect(said).toContainEqual({ recovered: true })
        const store = await engine.open()
        const { head, first } = await store.topics.read('t', 0, ALL)
        expect(new Set(acknowledged).size).toBe(acknowledged.length)
        expect(Math.max(...acknowledged)).toBe(head)
        expect((await infoOf(store.topics, 't'))?.events).toBe(head + 1 - first)
      },
      60_000,
    )
  })

  test('readers of 20,000 topics leave nothing behind', async () => {
    const store = await engine.open()
    await publish(store, 'born', 1)
    const before = await sha(join(engine.folder, 'data.mdb'))
    for (let i = 0; i < 20_000; i++) {
      const topic = `t${i}`
      const stop = await store.topics.watch(topic, () => {})
      await store.topics.read(topic, 0, ALL)
      await infoOf(store.topics, topic)
      await store.cursors.list(topic, { limit: 1 })
      stop()
    }
    expect(await store.topics.list({ limit: 10 })).toMatchObject([{ topic: 'born' }])
    await store.close()
    expect(await sha(join(engine.folder, 'data.mdb'))).toBe(before)
  })

  test('what is trimmed and dropped gives its room back, without holding the event loop', async () => {
    let store = await engine.open()
    const size = 8_000
    const fill = async (topic: string): Promise<void> => {
      for (let i = 0; i < size; i += 1_000) {
        const calls = Array.from({ length: 20 }, (_, j) =>
          store.topics.append(topic, {
            subject: 'ann',
            drafts: Array.from({ length: 50 }, (_, k) => ({ body: text('x'.repeat(300)), id: `${i}-${j}-${k}` })),
            retain: KEEP,
          }),
        )
        await Promise.all(calls)
      }
    }
    await fill('t')
    const full = (await stat(join(engine.folder, 'data.mdb'))).size
    for (let round = 0; round < 3; round++) {
      await trim(store.topics, 't', { ...KEEP, events: 1 })
      expect(await store.topics.drop('t')).toBe(true)
      // What is left to do is done by the next opening.
      await store.close()
      store = await engine.open()
      const held = monitorEventLoopDelay({ resolution: 1 })
      held.enable()
      while ((await maintain(store)).more);
      held.disable()
      expect(held.percentile(50) / 1e6).toBeLessThan(12)
      await fill('t')
    }
    const after = (await stat(join(engine.folder, 'data.mdb'))).size
    expect(after).toBeLessThan(full * 1.5)
    expect(await dataOf(store, 't')).toHaveLength(size)
  }, 60_000)

  test('what retention trims at each append makes room for the next', async () => {
    const store = await engine.open()
    const retain = { ...KEEP, events: 20 }
    for (let i = 0; i < 300; i++) {
      await store.topics.append('t', { subject: 'ann', drafts: drafts(`${i}${'x'.repeat(8_000)}`), retain })
    }
    expect(await dataOf(store, 't')).toHaveLength(20)
    expect((await stat(join(engine.folder, 'data.mdb'))).size).toBeLessThan(1_000_000)
  })

  test('everything that was acknowledged before a kill is there, dense', async () => {
    let last = 0
    for (let round = 0; round < 3; round++) {
      const { running, ended, lines } = child([engine.folder, 't', '7'])
      let count = 0
      let highest = 0
      for await (const line of lines) {
        const { offsets = [] } = JSON.parse(line) as { offsets?: number[] }
        highest = Math.max(highest, ...offsets)
        count += offsets.length
        if (count > 400 + round * 100) running.kill('SIGKILL')
      }
      await ended
      const store = await engine.open()
      const page = await store.topics.read('t', last, ALL)
      expect(page.head).toBeGreaterThanOrEqual(highest)
      expect(page.events.map(({ offset }) => offset)).toEqual(
        Array.from({ length: page.head - last }, (_, i) => last + 1 + i),
      )
      expect(page.events.some((event) => 'damaged' in event)).toBe(false)
      expect(page.lineage).toHaveLength(2 + round)
      last = page.head
      await store.close()
    }
  }, 60_000)

  test('drafts of a call that fails are in no notification', async () => {
    const store = await engine.open()
    const told: unknown[] = []
    await store.topics.watch('t', (notification) => told.push(notification))
    const refused = store.topics.append('t', {
      subject: 'ann',
      drafts: drafts(1),
      producer: { name: 'p', seq: 5 },
      retain: KEEP,
    })
    await expect(refused).rejects.toMatchObject({ code: 'conflict' })
    expect(told).toEqual([])
  })
})

/** Leaves a socket file that nobody listens to. */
async function leaveSocket(path: string): Promise<void> {
  const script = `require('net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`
  const running = spawn(process.execPath, ['-e', script])
  await new Promise((done) => running.on('close', done))
}
