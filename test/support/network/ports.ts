/** Free ports for programs that cannot be told to take one themselves. Prefer port 0 wherever it works. */

import { randomInt } from 'node:crypto'
import { createServer, type Server } from 'node:net'

/** Below those that the system gives to connections and to whoever listens on port 0: they are not taken meanwhile. */
const FIRST = 15_000
const END = 32_000

/**
 * Each process of a run takes from a part of its own, and none twice: a server that is down for a while must not find
 * another test's server in its place, nor must those that look for it.
 */
const PARTS = 16
const SIZE = Math.floor((END - FIRST) / PARTS)
const begin = FIRST + (Number(process.env.VITEST_POOL_ID ?? randomInt(PARTS)) % PARTS) * SIZE
const given = new Set<number>()

/** `count` different ports of the loopback that were free a moment ago. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = new Map<number, Server>()
  // A process that runs for hours may give them again: those that it gave first are long forgotten.
  if (given.size > SIZE / 2) given.clear()
  while (servers.size < count) {
    const port = begin + randomInt(SIZE)
    if (given.has(port)) continue
    const server = await listen(port)
    if (server === undefined) continue
    given.add(port)
    servers.set(port, server)
  }
  await Promise.all([...servers.values()].map((server) => new Promise((resolve) => server.close(resolve))))
  return [...servers.keys()]
}

function listen(port: number): Promise<Server | undefined> {
  const server = createServer()
  return new Promise((resolve) => {
    server.once('error', () => resolve(undefined))
    server.listen(port, '127.0.0.1', () => resolve(server))
  })
}

export async function freePort(): Promise<number> {
  const [port] = await freePorts(1)
  if (port === undefined) throw new Error('no free port')
  return port
}
