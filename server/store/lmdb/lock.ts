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
import { RepriseError } from '../../../shared/errors.ts'
import { digest } from './keys.ts'

export interface FolderLock {
  release(): Promise<void>
}

/** What the system takes as a socket's path, with its closing zero. */
const MAX_SOCKET_PATH = 104
const TRIES = 5

/** Rejects with `conflict` while another process, or another store of this one, owns the folder. */
export async function lockFolder(folder: string): Promise<FolderLock> {
  const place = await socketPlace(folder)
  try {
    for (let tries = 0; tries < TRIES; tries++) {
      const server = await listen(place.path)
      if (server !== undefined) {
        return {
          release: async () => {
            await new Promise<void>((done) => server.close(() => done()))
            await place.close()
          },
        }
      }
      const owner = await askOwner(place.path)
      if (owner !== undefined) throw inUse(folder, owner)
      await removeStale(folder, place.path)
    }
    throw inUse(folder, 'another process that is starting')
  } catch (error) {
    await place.close()
    throw error
  }
}

function inUse(folder: string, owner: string): RepriseError {
  return new RepriseError('conflict', `the data folder ${folder} is in use by ${owner}`)
}

/** Where the socket is: in the folder, by a short name where its path is too long for the system. */
async function socketPlace(folder: string): Promise<{ path: string; close(): Promise<void> }> {
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

/** Two that find the same dead socket must not remove the new one of each other: it is moved aside and asked again. */
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
