/**
 * Looks through the data file before the database does. One that was cut off is refused; of one with damaged pages all
 * that is whole is written anew, and the damaged file is kept beside it. Owns that decision and the writing.
 */

import { closeSync, fstatSync, openSync } from 'node:fs'
import { copyFile, link, mkdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setImmediate as fireTimers } from 'node:timers/promises'
import { open, type RootDatabaseOptionsWithPath } from 'lmdb'
import { messageOf } from '../../../../shared/errors.ts'
import { DAMAGED, DATA_FILE, MENDING, syncPath } from '../engine/folder.ts'
import { isTree, type Leaf, type Meta, metasOf, PageFile, type Tree, treeAt } from './pages.ts'

const BINARY = { encoding: 'binary', keyEncoding: 'binary' } as const

/** What was found in a file by one of its meta pages. */
interface Survey {
  readonly meta: Meta
  readonly tables: ReadonlyMap<string, Tree>
  readonly lost: Map<string, number>
  /** Tables of which pages are lost that led to others. */
  readonly headless: Set<string>
  readonly isFree: Uint8Array | undefined
}

/** A start does not wait longer for a large file to be looked through: that many pages are likely to be whole. */
const LOOK_MS = 2_000
/** Time for others between two parts. */
const PART_MS = 20
const RECORDS_AT_ONCE = 500

/**
 * `undefined` where the file is whole or not there yet; a sentence about what was lost where it was written anew. Throws
 * one about a file that cannot be used. What was not looked at within `lookMs` counts as whole, but not as there.
 */
export async function mendFile(folder: string, lookMs = LOOK_MS): Promise<string | undefined> {
  const path = join(folder, DATA_FILE)
  const handle = openSync(path, 'r')
  try {
    const { size } = fstatSync(handle)
    if (size === 0) return undefined
    const metas = metasOf(handle, size)
    const [newest] = metas
    if (newest !== undefined && metas.length === 2) {
      const survey = await surveyBy(handle, size, newest, performance.now() + lookMs)
      if (survey?.lost.size === 0) return undefined
    }
    for (const meta of metas) {
      const survey = await surveyBy(handle, size, meta)
      if (survey === undefined) continue
      return await writeAnew(folder, handle, size, survey, { lacksMeta: metas.length < 2, isOlder: meta !== metas[0] })
    }
    throw new Error('data.mdb is damaged: the page that names its tables cannot be read')
  } finally {
    closeSync(handle)
  }
}

/** `undefined` where the tables cannot be found. */
async function surveyBy(
  handle: number,
  size: number,
  meta: Meta,
  until = Number.POSITIVE_INFINITY,
): Promise<Survey | undefined> {
  const file = new PageFile(handle, size, meta)
  let hasTables = true
  const tables = new Map<string, Tree>()
  const catalog = file.leaves(meta.main, 'bytes', () => {
    hasTables = false
  })
  for (const leaf of catalog) {
    for (const node of leaf.nodes()) if (isTree(node)) tables.set(nameIn(node.key), treeAt(node.value(), 0))
  }
  if (!hasTables) return undefined
  const lost = new Map<string, number>()
  const headless = new Set<string>()
  file.until = until
  for (const [name, tree] of tables) {
    const told = (isBranch: boolean): void => {
      lost.set(name, (lost.get(name) ?? 0) + 1)
      if (isBranch) headless.add(name)
    }
    for await (const _ of inParts(file.leaves(tree, 'bytes', told)));
  }
  const isPartial = performance.now() > until
  file.until = Number.POSITIVE_INFINITY
  const isFree = freePages(file, lost)
  if (isPartial && isFree !== undefined) file.checkEnd(isFree)
  return { meta, tables, lost, headless, isFree }
}

const FREE = 'free space'

/** Pages that the database may write over. `undefined` where it would write over what is in use. */
function freePages(file: PageFile, lost: Map<string, number>): Uint8Array | undefined {
  const { lastPage, free } = file.meta
  const isFree = new Uint8Array(lastPage + 1)
  let isWhole = true
  const leaves = file.leaves(free, 'numbers', () => {
    isWhole = false
  })
  const lists: Buffer[] = []
  for (const leaf of leaves) lists.push(...leaf.nodes().map((node) => node.value()))
  for (const list of lists) isWhole &&= markFree(list, isFree, file.seen)
  if (isWhole) return isFree
  lost.set(FREE, 1)
  return undefined
}

/** A list is its length, then pages, zeros for nothing, and negative lengths before the first page of a row. */
function markFree(list: Buffer, isFree: Uint8Array, seen: Uint8Array): boolean {
  const length = list.length >= 8 ? Number(list.readBigInt64LE()) : -1
  if (length < 0 || (length + 1) * 8 > list.length) return false
  let row = 1
  for (let i = 1; i <= length; i++) {
    const entry = Number(list.readBigInt64LE(i * 8))
    if (entry <= 0) {
      row = Math.max(1, -entry)
      continue
    }
    if (entry < 2 || entry + row > isFree.length) return false
    for (let page = entry; page < entry + row; page++) {
      if (seen[page] === 1) return false
      isFree[page] = 1
    }
    row = 1
  }
  return true
}

/** Names end with a zero in the file. */
function nameIn(key: Buffer): string {
  return key.toString('utf8').replace(/\0$/, '')
}

async function* inParts(leaves: Iterable<Leaf>): AsyncGenerator<Leaf> {
  let began = performance.now()
  for (const leaf of leaves) {
    yield leaf
    if (performance.now() - began < PART_MS) continue
    await fireTimers()
    began = performance.now()
  }
}

async function writeAnew(
  folder: string,
  handle: number,
  size: number,
  survey: Survey,
  { lacksMeta, isOlder }: { readonly lacksMeta: boolean; readonly isOlder: boolean },
): Promise<string> {
  const { lost } = survey
  const what = [
    ...[...lost].map(([name, pages]) => `${pages} ${pages === 1 ? 'page' : 'pages'} of ${name}`),
    ...(lacksMeta ? ['a page that names its last state'] : []),
    ...(isOlder ? ['what was written last'] : []),
  ].join(', ')
  const mending = join(folder, MENDING)
  const kept = `${DAMAGED}${new Date().toISOString().replaceAll(':', '-')}.mdb`
  try {
    await rm(mending, { recursive: true, force: true })
    await mkdir(mending, { mode: 0o700 })
    await copyTables(mending, new PageFile(handle, size, survey.meta), survey)
    await syncPath(join(mending, DATA_FILE))
    const path = join(folder, DATA_FILE)
    await link(path, join(folder, kept)).catch(() => copyFile(path, join(folder, kept)))
    await rename(join(mending, DATA_FILE), path)
    await syncPath(folder)
  } catch (error) {
    const reason = messageOf(error)
    throw new Error(`data.mdb is damaged (${what} cannot be read), and it could not be written anew: ${reason}`)
  } finally {
    await rm(mending, { recursive: true, force: true })
  }
  return `data.mdb was damaged: ${what} could not be read; all else was written anew, the damaged file is kept as ${kept}`
}

async function copyTables(mending: string, file: PageFile, { tables, headless, isFree }: Survey): Promise<void> {
  const root = open<Buffer, Buffer>({
    path: mending,
    noSubdir: false,
    overlappingSync: false,
    maxDbs: 48,
    permissionsMode: 0o600,
    ...BINARY,
  } as RootDatabaseOptionsWithPath)
  try {
    const writing = async (name: string, leaves: Iterable<Leaf>): Promise<void> => {
      const table = root.openDB<Buffer, Buffer>({ name, ...BINARY })
      let part: [Buffer, Buffer][] = []
      const write = (): void => {
        root.transactionSync(() => {
          for (const [key, value] of part) table.putSync(key, value)
        })
        part = []
      }
      for await (const leaf of inParts(leaves)) {
        for (const node of leaf.nodes()) part.push([node.key, node.value()])
        if (part.length >= RECORDS_AT_ONCE) write()
      }
      write()
    }
    const nothing = (): void => {}
    for (const [name, tree] of tables) await writing(name, file.leaves(tree, 'bytes', nothing))
    const [only] = headless
    // Leaves that a damaged page led to are its table's where no other lost any.
    if (only === undefined || headless.size > 1 || isFree === undefined) return
    freePages(file, new Map())
    await writing(
      only,
      file.stranded((page) => isFree[page] === 1),
    )
  } finally {
    await root.close()
  }
}
