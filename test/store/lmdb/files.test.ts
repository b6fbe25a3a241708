/** What the embedded store makes in the file system, and what it refuses to take for its own. */

import { execFile } from 'node:child_process'
import {
  chmod,
  link,
  lstat,
  mkdir,
  readdir,
  readFile,
  readlink,
  rm,
  stat,
  symlink,
  truncate,
  writeFile,
} from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { open } from 'lmdb'
import { describe, expect, test } from 'vitest'
import { checkFolder } from '../../../server/store/lmdb/checkup.ts'
import { openStore } from '../../../server/store/open.ts'
import { tempFolder } from '../../support/temp.ts'
import { dataOf, publish } from '../conformance/fixture.ts'

const run = promisify(execFile)

const modeOf = async (path: string): Promise<string> => ((await lstat(path)).mode & 0o777).toString(8)

async function modesIn(folder: string): Promise<Record<string, string>> {
  const names = await readdir(folder)
  return Object.fromEntries(await Promise.all(names.map(async (name) => [name, await modeOf(join(folder, name))])))
}

async function filled(folder: string): Promise<void> {
  const store = await openStore(folder)
  await publish(store, 't', 1)
  await store.close()
}

const PRIVATE = { 'data.mdb': '600', 'lock.mdb': '600', 'owner.sock': '600' }

describe.skipIf(process.platform === 'win32')('the data folder', () => {
  test('is for its owner alone, whatever the mask of the process', async () => {
    const parent = await tempFolder()
    const before = process.umask()
    try {
      for (const mask of [0o000, 0o022, 0o277]) {
        process.umask(mask)
        const folder = join(parent, `mask-${mask}`)
        const store = await openStore(folder)
        process.umask(before)
        expect(await modeOf(folder)).toBe('700')
        expect(await modesIn(folder)).toEqual(PRIVATE)
        await store.close()
      }
    } finally {
      process.umask(before)
    }
  })

  test('of a first start that lost its power is a new one', async () => {
    const folder = join(await tempFolder(), 'data')
    const path = join(folder, 'data.mdb')
    await open({ path: folder, noSubdir: false }).close()
    const whole = await readFile(path)
    expect(whole).toHaveLength(8_192)
    const half = whole.subarray(0, 4_096)
    for (const left of [half, Buffer.concat([half, Buffer.alloc(4_096)]), Buffer.concat([Buffer.alloc(4_096), half])]) {
      await writeFile(path, left)
      const { findings } = await checkFolder(folder, 0)
      expect(findings.at(-1)).toMatchObject({ state: 'ok', text: 'none yet: the first hub makes it' })
      const told: string[] = []
      for (const count of [1, 2]) {
        const store = await openStore(folder, { warn: (message) => told.push(message) })
        await publish(store, 't', count)
        expect(await dataOf(store, 't')).toHaveLength(count)
        await store.close()
      }
      expect(told).toEqual([])
    }
  })

  test('that was left open by an earlier hub is closed, with all of its files', async () => {
    const folder = join(await tempFolder(), 'data')
    await filled(folder)
    await chmod(folder, 0o755)
    for (const name of ['data.mdb', 'lock.mdb']) await chmod(join(folder, name), 0o664)
    const told: string[] = []
    const store = await openStore(folder, { warn: (message) => told.push(message) })
    expect(await modeOf(folder)).toBe('700')
    expect(await modesIn(folder)).toEqual(PRIVATE)
    expect(told).toEqual([])
    await store.close()
  })

  test('that has other things keeps its own rights, which is told; the files are closed all the same', async () => {
    const folder = await tempFolder()
    await chmod(folder, 0o755)
    await writeFile(join(folder, 'notes.txt'), 'mine', { mode: 0o644 })
    const told: string[] = []
    const store = await openStore(folder, { warn: (message) => told.push(message) })
    expect(await modeOf(folder)).toBe('755')
    expect(await modesIn(folder)).toEqual({ ...PRIVATE, 'notes.txt': '644' })
    expect(told).toEqual([expect.stringContaining(`the data folder ${folder} can be entered by others`)])
    await store.close()
  })

  test('may be a link to a folder, but not one that leads nowhere', async () => {
    const parent = await tempFolder()
    await mkdir(join(parent, 'there'))
    await symlink(join(parent, 'there'), join(parent, 'link'))
    await filled(join(parent, 'link'))
    expect(await readdir(join(parent, 'there'))).toContain('data.mdb')
    // Both names are one folder.
    const store = await openStore(join(parent, 'there'))
    expect(await dataOf(store, 't')).toEqual([1])
    await expect(openStore(join(parent, 'link'))).rejects.toMatchObject({ code: 'conflict' })
    await store.close()
    await symlink(join(parent, 'nowhere'), join(parent, 'dangling'))
    for (const path of [join(parent, 'dangling'), join(parent, 'dangling', 'data')]) {
      await expect(openStore(path)).rejects.toThrow(`${join(parent, 'dangling')} is a link that leads nowhere`)
    }
    expect(await readdir(parent)).not.toContain('nowhere')
  })

  test('with a link in place of a file is refused, and nothing is made or changed where it leads', async () => {
    const parent = await tempFolder()
    await filled(join(parent, 'other'))
    for (const name of ['data.mdb', 'lock.mdb', 'owner.sock']) {
      for (const target of [join(parent, 'elsewhere'), join(parent, 'other', 'data.mdb')]) {
        const folder = await tempFolder()
        await symlink(target, join(folder, name))
        const before = await stat(join(parent, 'other', 'data.mdb'))
        await expect(openStore(folder), `${name} to ${target}`).rejects.toMatchObject({
          code: 'unavailable',
          message: expect.stringContaining(`${name} is a link`),
        })
        expect(await readdir(parent)).toEqual(['other'])
        expect(await readdir(folder)).toEqual([name])
        expect(await readlink(join(folder, name))).toBe(target)
        expect((await stat(join(parent, 'other', 'data.mdb'))).mtimeMs).toBe(before.mtimeMs)
      }
    }
  })

  test('with anything but a file in place of one is refused at once', async () => {
    const parent = await tempFolder()
    const places: Record<string, (path: string) => Promise<unknown>> = {
      folder: (path) => mkdir(path),
      pipe: (path) => run('mkfifo', [path]),
      socket: (path) =>
        new Promise<void>((done) => {
          const server = createServer()
          server.listen(path, () => server.unref() && done())
        }),
      ...(process.getuid?.() === 0 && { device: (path: string) => run('mknod', [path, 'c', '1', '3']) }),
    }
    for (const [kind, make] of Object.entries(places)) {
      for (const name of ['data.mdb', 'lock.mdb']) {
        const folder = join(parent, `${kind}-${name}`)
        await mkdir(folder)
        await make(join(folder, name))
        await expect(openStore(folder), `${kind} ${name}`).rejects.toMatchObject({
          code: 'unavailable',
          message: expect.stringContaining(`${name} is not a file of the store`),
        })
      }
    }
    const folder = join(parent, 'mine')
    await mkdir(folder)
    await writeFile(join(folder, 'owner.sock'), 'mine')
    await expect(openStore(folder)).rejects.toThrow('owner.sock is not a socket of the store')
    expect(await readdir(folder)).toEqual(['owner.sock'])
  })

  test('whose data file has a second name is refused: two hubs could open it', async () => {
    const parent = await tempFolder()
    await filled(join(parent, 'one'))
    await mkdir(join(parent, 'two'))
    await link(join(parent, 'one', 'data.mdb'), join(parent, 'two', 'data.mdb'))
    for (const name of ['one', 'two']) {
      await expect(openStore(join(parent, name))).rejects.toThrow('data.mdb is known under 2 names')
    }
  })

  test('whose data file is empty though it was in use is refused; without the file a new store begins', async () => {
    const folder = join(await tempFolder(), 'data')
    await filled(folder)
    const file = join(folder, 'data.mdb')
    await truncate(file, 0)
    await expect(openStore(folder)).rejects.toThrow('data.mdb was cut off: it is empty')
    expect((await stat(file)).size).toBe(0)
    await rm(file)
    await filled(folder)
  })
})
