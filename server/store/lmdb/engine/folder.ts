/**
 * The data folder as the file system has it: made where it is missing, private, and with nothing in it that would lead
 * elsewhere. Owns the names of the store's files and their rights.
 */

import { constants } from 'node:fs'
import { access, chmod, lstat, mkdir, open, readdir, stat, unlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { isUnused } from '../recovery/pages.ts'

export const DATA_FILE = 'data.mdb'
const LOCK_FILE = 'lock.mdb'
const OWNER_SOCKET = 'owner.sock'
/** What a damaged data file is kept as, beside the one that was made from it. */
export const DAMAGED = 'damaged-'
/** Where that one is made. */
export const MENDING = 'mending'

const FOLDER_MODE = 0o700
const FILE_MODE = 0o600
const OTHERS = 0o077

/** Makes the folder; throws a sentence about one that cannot be used. */
export async function makeFolder(folder: string): Promise<void> {
  await makePath(folder, FOLDER_MODE)
  await access(folder, constants.R_OK | constants.W_OK | constants.X_OK)
}

/**
 * What `recursive` does, which never ends where the system says that a folder in a folder that is there has no parent.
 * Folders above the data folder get the rights that this process gives to all it makes.
 */
async function makePath(folder: string, mode?: number): Promise<void> {
  const make = async (): Promise<void> => {
    try {
      await mkdir(folder)
      // Whatever the mask of this process takes away or leaves.
      if (mode !== undefined && process.platform !== 'win32') await chmod(folder, mode)
    } catch (error) {
      if (codeOf(error) !== 'EEXIST') throw error
      await mustBeFolder(folder)
    }
  }
  try {
    await make()
  } catch (error) {
    const parent = dirname(folder)
    if (codeOf(error) !== 'ENOENT' || parent === folder) throw error
    await makePath(parent)
    await make()
  }
}

async function mustBeFolder(path: string): Promise<void> {
  const found = await stat(path).catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') throw new Error(`${path} is a link that leads nowhere`)
    throw error
  })
  if (!found.isDirectory()) throw new Error(`${path} is not a folder`)
}

/** Throws a sentence about what stands in a file's place and is none of this folder alone. */
export async function checkFiles(folder: string): Promise<void> {
  for (const name of [DATA_FILE, LOCK_FILE, OWNER_SOCKET]) await checkPlain(folder, name)
}

/**
 * Makes the files that are missing before the driver does, and closes folder and files to others. Called by the folder's
 * owner.
 */
export async function prepareFiles(folder: string, warn: (message: string) => void): Promise<void> {
  await checkFiles(folder)
  await checkEmptied(folder)
  await removeUnused(join(folder, DATA_FILE))
  for (const name of [DATA_FILE, LOCK_FILE]) await makeFile(join(folder, name))
  if (process.platform === 'win32') return
  const names = await readdir(folder)
  await closeFolder(folder, names, warn)
  for (const name of names.filter(isOwn)) await closeFile(join(folder, name), warn)
}

function isOwn(name: string): boolean {
  return [DATA_FILE, LOCK_FILE, MENDING].includes(name) || name.startsWith('owner.') || name.startsWith(DAMAGED)
}

/** Looked at before anything is opened: a pipe would be waited for, a link followed. */
async function checkPlain(folder: string, name: string): Promise<void> {
  const found = await lstat(join(folder, name)).catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  })
  if (found === undefined) return
  if (found.isSymbolicLink()) {
    throw new Error(`${name} is a link: the store's files have to be in the folder itself (the folder may be a link)`)
  }
  if (name === OWNER_SOCKET ? !found.isSocket() : !found.isFile()) {
    throw new Error(`${name} is not a ${name === OWNER_SOCKET ? 'socket' : 'file'} of the store`)
  }
  if (name === DATA_FILE && found.nlink > 1 && !(await wasBeingMended(folder, found.ino))) {
    throw new Error(
      `${name} is known under ${found.nlink} names (hard links): a second hub could open it by another one; make a copy of the file instead`,
    )
  }
}

/** A hub that ended while it put a mended file in this one's place has given it a second name already. */
async function wasBeingMended(folder: string, ino: number): Promise<boolean> {
  for (const name of await readdir(folder)) {
    if (!name.startsWith(DAMAGED) || (await lstat(join(folder, name))).ino !== ino) continue
    await unlink(join(folder, name))
    return (await lstat(join(folder, DATA_FILE))).nlink === 1
  }
  return false
}

/** An empty data file beside a lock that was in use is no new store: it had data. */
async function checkEmptied(folder: string): Promise<void> {
  const sizeOf = async (name: string) => (await lstat(join(folder, name)).catch(() => undefined))?.size
  if ((await sizeOf(DATA_FILE)) !== 0 || ((await sizeOf(LOCK_FILE)) ?? 0) === 0) return
  throw new Error(`${DATA_FILE} was cut off: it is empty; put a copy in its place, or remove it to begin a new store`)
}

/** A first start that lost its power may leave a part of a file, which the driver would take for a damaged one. */
async function removeUnused(path: string): Promise<void> {
  if ((await lstat(path).catch(() => undefined)) !== undefined && isUnused(path)) await unlink(path)
}

/** What was written to a file, or the names in a folder, are on disk. */
export async function syncPath(path: string): Promise<void> {
  // Windows cannot open folders, and keeps their names safe by itself.
  if (process.platform === 'win32') return
  const handle = await open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

async function makeFile(path: string): Promise<void> {
  const { O_CREAT, O_EXCL, O_RDWR } = constants
  try {
    await (await open(path, O_CREAT | O_EXCL | O_RDWR, FILE_MODE)).close()
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error
  }
}

async function closeFile(path: string, warn: (message: string) => void): Promise<void> {
  const found = await lstat(path).catch(() => undefined)
  if (found === undefined || !(found.isFile() || found.isSocket())) return
  if ((found.mode & 0o777) === FILE_MODE) return
  await chmod(path, FILE_MODE).catch(() => {
    if ((found.mode & OTHERS) !== 0) warn(`${path} can be opened by others, and this process may not change that`)
  })
}

/** A folder that others may enter is closed where all of it is the store's; one that has other things is left as it is. */
async function closeFolder(folder: string, names: readonly string[], warn: (message: string) => void): Promise<void> {
  const { mode } = await stat(folder)
  if ((mode & OTHERS) === 0) return
  if (!names.every(isOwn)) {
    warn(`the data folder ${folder} can be entered by others; it is left so, as it has files that are not the store's`)
    return
  }
  await chmod(folder, FOLDER_MODE).catch(() => {
    warn(`the data folder ${folder} can be entered by others, and this process may not change that`)
  })
}

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code
}
