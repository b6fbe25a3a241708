/** Looks at a data folder without taking it: a hub may run on it. Writes nothing, and makes nothing that is missing. */

import { closeSync, fstatSync, openSync } from 'node:fs'
import { access, constants, stat, statfs } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { open } from 'lmdb'
import { messageOf } from '../../../shared/errors.ts'
import { type Checkup, type Finding, fail, ok, warn } from '../contract/findings.ts'
import { checkFiles, DATA_FILE } from './engine/folder.ts'
import { ALL } from './engine/keys.ts'
import { ownerOf } from './engine/lock.ts'
import { freeBytesOf } from './engine/space.ts'
import { TABLES } from './engine/tables.ts'
import { isUnused, metasOf } from './recovery/pages.ts'

/** By the numbers that the system has for them: memory is not shared between machines there. */
const NETWORK: Readonly<Record<number, string>> = {
  26985: 'NFS',
  20859: 'SMB',
  4266872130: 'SMB',
  4283649346: 'CIFS',
  16914839: '9p',
}
const PLENTY = 16

export async function checkFolder(folder: string, reserveBytes: number): Promise<Checkup> {
  const found = await stat(folder).catch(() => undefined)
  if (found === undefined) return { findings: await missing(folder) }
  if (!found.isDirectory()) {
    return { findings: [fail('data folder', `${folder} is not a folder`, 'name another one with --data')] }
  }
  const findings: Finding[] = []
  const owner = await ownerOf(folder)
  const used = owner === undefined ? 'no hub runs on it' : `a hub runs on it (${owner})`
  const writable = await access(folder, constants.R_OK | constants.W_OK | constants.X_OK).then(
    () => true,
    () => false,
  )
  findings.push(
    writable
      ? ok('data folder', `${folder}: ${used}`)
      : fail('data folder', `${folder} cannot be written`, 'give it to the user that the hub runs as'),
  )
  findings.push(...(await checkDisk(folder, reserveBytes)))
  try {
    await checkFiles(folder)
    const documents = documentsIn(folder)
    if (documents === undefined) findings.push(ok('data file', 'none yet: the first hub makes it'))
    return { findings, ...(documents && { documents }) }
  } catch (error) {
    return {
      findings: [...findings, fail('data file', messageOf(error), 'put a whole copy in its place (docs/data.md)')],
    }
  }
}

/** The hub makes it, where it may. */
async function missing(folder: string): Promise<Finding[]> {
  for (let parent = dirname(folder); ; parent = dirname(parent)) {
    if ((await stat(parent).catch(() => undefined)) === undefined && parent !== dirname(parent)) continue
    return await access(parent, constants.W_OK).then(
      () => [ok('data folder', `${folder} is not there yet: the hub makes it`)],
      () => [fail('data folder', `${folder} is not there, and ${parent} cannot be written`, 'make it, or use --data')],
    )
  }
}

export async function checkDisk(folder: string, reserveBytes: number): Promise<Finding[]> {
  const free = await freeBytesOf(folder)
  const shown = `${Math.floor(free / 1_048_576)} MiB are free`
  const space =
    free < reserveBytes
      ? fail('disk', `${shown}: the hub refuses publishes that its file has no room for`, 'make room')
      : free < reserveBytes * PLENTY
        ? warn('disk', shown, 'make room before it is full')
        : ok('disk', shown)
  const network = NETWORK[(await statfs(folder)).type]
  if (network === undefined) return [space]
  return [space, fail('disk', `the folder is on ${network}, where LMDB loses data`, 'use a local disk, or Redis')]
}

/** `undefined` where there is no store yet. Throws where the file is cut off or none. */
function documentsIn(folder: string): ReadonlyMap<string, unknown> | undefined {
  if (!isWhole(join(folder, DATA_FILE))) return undefined
  const binary = { encoding: 'binary', keyEncoding: 'binary' } as const
  const root = open<Buffer, Buffer>({ path: folder, noSubdir: false, readOnly: true, maxDbs: 48, ...binary })
  try {
    const { settings } = TABLES
    const database = root.openDB<Buffer, Buffer>({ name: settings.name, ...binary })
    const documents = new Map<string, unknown>()
    for (const { key, value } of database?.getRange(ALL) ?? []) {
      documents.set(Buffer.from(key).toString(), settings.decode(Buffer.from(value)))
    }
    return documents
  } finally {
    void root.close()
  }
}

function isWhole(path: string): boolean {
  let handle: number
  try {
    handle = openSync(path, 'r')
  } catch {
    return false
  }
  try {
    const { size } = fstatSync(handle)
    if (size === 0 || isUnused(path)) return false
    const [newest] = metasOf(handle, size)
    if (newest === undefined) throw new Error('data.mdb is damaged: its first pages cannot be read')
    const needs = (newest.lastPage + 1) * newest.pageSize
    if (size < needs) throw new Error(`data.mdb was cut off: it has ${size} bytes, its meta page names ${needs}`)
    return true
  } finally {
    closeSync(handle)
  }
}
