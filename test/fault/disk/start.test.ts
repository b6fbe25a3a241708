/** Hubs that cannot start: one clear line, an exit code, and nothing changed. */

import { execFileSync, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join as joinPath } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { Published } from '../../../shared/protocol.ts'
import { readAll } from '../../support/books/ledger.ts'
import { join } from '../../support/clients/wire.ts'
import { atEnd } from '../../support/ending.ts'
import { cliCommand, run, spawnHub } from '../../support/hub/process.ts'
import { diskFolder } from '../../support/temp.ts'

/** Names, sizes and contents of what is in a folder; sockets by name. */
async function contents(folder: string): Promise<string[]> {
  const names = (await readdir(folder)).sort()
  return await Promise.all(
    names.map(async (name) => {
      const path = joinPath(folder, name)
      const { mtimeMs } = await stat(path)
      if (!(await stat(path)).isFile()) return name
      // Readers of an LMDB store register in its lock file.
      if (name === 'lock.mdb') return name
      return `${name} ${mtimeMs} ${createHash('sha256')
        .update(await readFile(path))
        .digest('hex')}`
    }),
  )
}

async function refusal(args: readonly string[]): Promise<string> {
  const [program, ...rest] = cliCommand()
  const { code, stdout, stderr } = await run([program, ...rest, 'serve', ...args], { deadlineMs: 20_000 })
  expect(code).toBeGreaterThan(0)
  expect(stdout).toBe('')
  const lines = stderr.trim().split('\n')
  expect(lines, stderr).toHaveLength(1)
  expect(stderr).not.toMatch(/\bat .*:\d+:\d+|Error:/)
  return lines[0] ?? ''
}

describe('a hub that cannot start', () => {
  it('leaves a data folder to the hub that has it', async () => {
    const hub = await spawnHub()
    const wire = await join(hub.url, 'orders', { from: 'start' })
    await wire.value<Published>('publish', [{ data: 1 }])
    expect(await refusal(['--port', '0', '--data', hub.data])).toMatch(/in use by process \d+/)
    // By another name of the same folder too.
    expect(
      await refusal(['--port', '0', '--data', joinPath(hub.data, '..', hub.data.split('/').at(-1) ?? '')]),
    ).toMatch(/in use/)
    await wire.value<Published>('publish', [{ data: 2 }])
    await wire.eventsSeen(2)
    expect((await readAll(hub.url, 'orders')).length).toBe(2)
    // One that was killed leaves the folder to the next one at once.
    await hub.kill()
    const next = await spawnHub({ data: hub.data })
    expect((await readAll(next.url, 'orders')).length).toBe(2)
  })

  it('does not touch the store when the port is taken, by a hub or by anything else', async () => {
    const first = await spawnHub()
    const data = await diskFolder()
    const seeded = await spawnHub({ data })
    await join(seeded.url, 'orders', {}).then((wire) => wire.value('publish', [{ data: 1 }]))
    await seeded.kill('SIGTERM')
    const before = await contents(data)
    expect(await refusal(['--port', String(first.port), '--data', data])).toMatch(
      new RegExp(`port ${first.port} .*taken.*--port`),
    )
    expect(await contents(data)).toEqual(before)
    const other = createServer().listen(0, '127.0.0.1')
    atEnd(() => {
      other.close()
    })
    await new Promise((resolve) => other.once('listening', resolve))
    const fresh = joinPath(await diskFolder(), 'never-made')
    const { port } = other.address() as AddressInfo
    expect(await refusal(['--port', String(port), '--data', fresh])).toMatch(/taken/)
    await expect(stat(fresh)).rejects.toThrow(/ENOENT/)
    await join(first.url, 'orders', {}).then((wire) => wire.value('publish', [{ data: 1 }]))
  })

  it('says so when the data folder is a file, or below one', async () => {
    const folder = await diskFolder()
    const file = joinPath(folder, 'data')
    await writeFile(file, 'mine')
    for (const data of [file, joinPath(file, 'deeper')]) {
      expect(await refusal(['--port', '0', '--data', data])).toMatch(/the data folder .*data.* cannot be used/)
    }
    expect(await readFile(file, 'utf8')).toBe('mine')
    expect(await readdir(folder)).toEqual(['data'])
  })

  it('says so when the data file is none of its own, or only a part of one, and leaves it as it is', {
    timeout: 60_000,
  }, async () => {
    const whole = await diskFolder()
    const hub = await spawnHub({ data: whole })
    const wire = await join(hub.url, 'orders', {})
    for (let i = 0; i < 20; i++) await wire.value('publish', [{ data: 'x'.repeat(20_000) }])
    await hub.kill('SIGTERM')
    const file = await readFile(joinPath(whole, 'data.mdb'))
    const files = [
      Buffer.alloc(65_536, 'not a store '),
      Buffer.alloc(65_536),
      Buffer.from('x'),
      file.subarray(0, 5_000),
    ]
    for (const content of [...files, file.subarray(0, 16_384)]) {
      const data = await diskFolder()
      await writeFile(joinPath(data, 'data.mdb'), content)
      expect(await refusal(['--port', '0', '--data', data])).toMatch(/the data folder .* cannot be used: data.mdb /)
      expect((await readFile(joinPath(data, 'data.mdb'))).equals(content)).toBe(true)
    }
    const empty = await diskFolder()
    await writeFile(joinPath(empty, 'data.mdb'), '')
    await spawnHub({ data: empty })
  })

  it.runIf(mayMount())('says so when the data folder cannot be written', async () => {
    const folder = await diskFolder()
    const data = joinPath(folder, 'data')
    await mkdir(data)
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'ro,size=1m', 'tmpfs', data])
    atEnd(() => {
      execFileSync('umount', [data])
    })
    expect(await refusal(['--port', '0', '--data', data])).toMatch(
      /the data folder .* cannot be used.*(EROFS|read-only)/,
    )
    expect(await refusal(['--port', '0', '--data', joinPath(data, 'deeper')])).toMatch(/cannot be used/)
    expect(await readdir(data)).toEqual([])
  })
})

/** Permissions do not bind root, so a folder that cannot be written is a file system that cannot. */
function mayMount(): boolean {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return false
  return spawnSync('unshare', ['-m', 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt'], { stdio: 'ignore' }).status === 0
}
