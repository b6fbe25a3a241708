/**
 * One process owns a data folder. The owner listens on a socket in it: whoever can connect knows that the owner lives.
 * The system closes the socket with its process, so there is no stale lock, no process id that could be another's, and
 * containers that share the folder see each other.
 */

import { randomUUID } from 'node:crypto'
import { link, open, rename, stat, unlink } from 'node:fs/promises'
import { connect, createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { RepriseError } from '../../../../shared/errors.ts'
import { digest } from './keys.ts'

export interface FolderLock {
  release(): Promise<void>
}

/** What the system takes as a socket's path, with its closing zero. */
const MAX_SOCKET_PATH = 104
const TRIES = 5

/** Rejects with `conflict` while another process, or another store of this one, owns the folder. */
export async function lockFolder(folder: string): Promise<FolderLock> {
  const guard = await guardFolder(folder)
  let place: Place | undefined
  try {
    place = await socketPlace(folder)
    const server = await takePlace(folder, place.path)
    const { close } = place
    return {
      release: async () => {
        await stop(server)
        await close()
        await guard.release()
      },
    }
  } catch (error) {
    await place?.close()
    await guard.release()
    throw error
  }
}

/** Who owns the folder; `undefined` where nobody does. */
export async function ownerOf(folder: string): Promise<string | undefined> {
  const place = await socketPlace(folder)
  try {
    return await askOwner(place.path)
  } finally {
    await place.close()
  }
}

async function takePlace(folder: string, path: string): Promise<Server> {
  for (let tries = 0; tries < TRIES; tries++) {
    const server = await listen(path)
    if (server !== undefined) return server
    const owner = await askOwner(path)
    if (owner !== undefined) throw inUse(folder, owner)
    await removeStale(folder, path)
  }
  throw inUse(folder, 'another process that is starting')
}

/** Folders that stores of this process own or are about to. */
const guarded = new Set<string>()

/**
 * Lets one through at a time, so that the socket of a dead owner is replaced by one alone. On Linux it is a name without
 * a file, which the system takes back with its process, but which other containers may not see: hence the socket.
 */
async function guardFolder(folder: string): Promise<FolderLock> {
  const { dev, ino } = await stat(folder)
  const name = `reprise-${dev}-${ino}`
  if (guarded.has(name)) throw inUse(folder, `process ${process.pid}`)
  guarded.add(name)
  const free = (): void => {
    guarded.delete(name)
  }
  if (process.platform !== 'linux') return { release: async () => free() }
  try {
    const server = await listen(`\0${name}`)
    if (server === undefined) throw inUse(folder, (await askOwner(`\0${name}`)) ?? 'another process')
    return {
      release: async () => {
        await stop(server)
        free()
      },
    }
  } catch (error) {
    free()
    throw error
  }
}

function inUse(folder: string, owner: string): RepriseError {
  return new RepriseError('conflict', `the data folder ${folder} is in use by ${owner}`)
}

interface Place {
  readonly path: string
  close(): Promise<void>
}

/** Where the socket is: in the folder, by a short name where its path is too long for the system. */
async function socketPlace(folder: string): Promise<Place> {
  const path = join(resolve(folder), 'owner.sock')
  const close = async (): Promise<void> => {}
  if (process.platform === 'win32') return { path: `\\\\.\\pipe\\reprise-${digest(path).toString('hex')}`, close }
  if (Buffer.byteLength(path) < MAX_SOCKET_PATH) return { path, close }
  if (process.platform !== 'linux') return { path: join(tmpdir(), `reprise-${digest(path).toString('hex')}`), close }
  const handle = await open(folder, 'r')
  return { path: `/proc/self/fd/${handle.fd}/owner.sock`, close: () => handle.close() }
}

/** `undefined` when the place is taken, by a living owner or a dead one. */
function listen(path: string): Promise<Server | undefined> {
  return new Promise((done, fail) => {
    const server = createServer((socket) => {
      socket.on('error', () => {})
      socket.end(`process ${process.pid}`)
    })
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') done(undefined)
      else fail(error)
    })
    server.listen(path, () => {
      server.unref()
      done(server)
    })
  })
}

function stop(server: Server): Promise<void> {
  return new Promise((done) => server.close(() => done()))
}

/** Who answers at the socket; `undefined` when nobody does. */
function askOwner(path: string): Promise<string | undefined> {
  return new Promise((done, fail) => {
    let answer = ''
    const socket = connect(path)
    // An owner that is stopped or busy still holds the folder: the system has taken the connection for it.
    socket.setTimeout(1_000, () => {
      socket.destroy()
      done('a process that does not answer')
    })
    socket.on('data', (data) => {
      answer += data.toString()
    })
    socket.on('end', () => done(answer || 'another process'))
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNREFUSED' || error.code === 'ENOENT') done(undefined)
      else if (error.code === 'ECONNRESET' || error.code === 'EPIPE') done(answer || 'another process')
      else fail(error)
    })
  })
}

/**
 * Two in different containers may find the same dead socket and must not remove the new one of each other: it is moved
 * aside and asked again.
 */
async function removeStale(folder: string, path: string): Promise<void> {
  const aside = join(folder, `owner.${randomUUID()}`)
  try {
    await rename(path, aside)
  } catch (error) {
    if (await isMissing(path)) return
    throw error
  }
  const owner = await askOwner(aside)
  if (owner !== undefined) await link(aside, path).catch(() => {})
  await unlink(aside)
  if (owner !== undefined) throw inUse(folder, owner)
}

async function isMissing(path: string): Promise<boolean> {
  return stat(path).then(
    () => false,
    () => true,
  )
}
