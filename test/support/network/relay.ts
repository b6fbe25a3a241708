/** A network that can be bad: a TCP relay on the loopback between a client and the hub, which cuts, swallows, slows. */

import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { atEnd } from '../ending.ts'

export interface Relay {
  /** Where clients connect instead. */
  readonly url: string
  readonly port: number
  /** Open connections. */
  readonly connections: number
  /** Bytes passed on to clients. */
  readonly bytesToClients: number
  /** Resets every connection at once; new ones are taken again. */
  cut(): void
  /** While on: nothing passes in either direction and nobody is told. What was swallowed passes when it is off again. */
  blackHole(on: boolean): void
  /** Those that are open now pass nothing any more and nobody is told; new ones are as before. */
  freeze(): void
  /** While on: new connections are reset. */
  refuse(on: boolean): void
  /** Bytes a second towards each client; `Infinity` (the default) is as fast as it goes. */
  throttle(bytesPerSecond: number): void
  /** Milliseconds that each byte takes, in each direction. */
  delay(ms: number): void
  /** Where connections from now on lead: a hub that came back at another port. */
  lead(url: string): void
  close(): Promise<void>
}

interface Weather {
  blackHole: boolean
  bytesPerSecond: number
  delayMs: number
}

interface Line {
  frozen: boolean
}

const TICK_MS = 20
/** What a direction holds before it stops reading, so that a slow reader is felt by the hub. */
const HELD_BYTES = 64 * 1024

export async function startRelay(target: string): Promise<Relay> {
  let { hostname, port } = new URL(target)
  const weather: Weather = { blackHole: false, bytesPerSecond: Number.POSITIVE_INFINITY, delayMs: 0 }
  const open = new Map<readonly [client: Socket, hub: Socket], Line>()
  let refusing = false
  let bytesToClients = 0

  const server = createServer({ noDelay: true }, (client) => {
    if (refusing) {
      client.resetAndDestroy()
      return
    }
    const hub = connect({ host: hostname, port: Number(port), noDelay: true })
    const pair = [client, hub] as const
    const line: Line = { frozen: false }
    open.set(pair, line)
    const both = (): void => {
      open.delete(pair)
      client.destroy()
      hub.destroy()
    }
    for (const socket of pair) socket.on('error', both).on('close', both)
    pass(client, hub, weather, line, false, () => {})
    pass(hub, client, weather, line, true, (bytes) => {
      bytesToClients += bytes
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const ownPort = (server.address() as AddressInfo).port

  const relay: Relay = {
    url: `http://127.0.0.1:${ownPort}`,
    port: ownPort,
    get connections() {
      return open.size
    },
    get bytesToClients() {
      return bytesToClients
    },
    cut() {
      for (const pair of open.keys()) for (const socket of pair) socket.resetAndDestroy()
      open.clear()
    },
    blackHole(on) {
      weather.blackHole = on
    },
    freeze() {
      for (const line of open.values()) line.frozen = true
    },
    refuse(on) {
      refusing = on
    },
    throttle(bytesPerSecond) {
      weather.bytesPerSecond = bytesPerSecond
    },
    delay(ms) {
      weather.delayMs = ms
    },
    lead(url) {
      ;({ hostname, port } = new URL(url))
    },
    async close() {
      relay.cut()
      if (server.listening) await new Promise((resolve) => server.close(resolve))
    },
  }
  atEnd(() => relay.close())
  return relay
}

/** One direction of one connection. */
function pass(
  from: Socket,
  to: Socket,
  weather: Weather,
  line: Line,
  throttled: boolean,
  passed: (bytes: number) => void,
): void {
  const held: { readonly due: number; readonly chunk: Buffer }[] = []
  let heldBytes = 0
  let budget = 0
  let ended = false

  const write = (chunk: Buffer): boolean => {
    passed(chunk.length)
    return to.write(chunk)
  }
  const isSilent = (): boolean => weather.blackHole || line.frozen
  const isCalm = (): boolean =>
    !isSilent() && weather.delayMs === 0 && (!throttled || weather.bytesPerSecond === Number.POSITIVE_INFINITY)

  const release = (): void => {
    if (isSilent()) return
    const limit = throttled ? weather.bytesPerSecond : Number.POSITIVE_INFINITY
    budget = Math.min(budget + (limit * TICK_MS) / 1000, Math.max(limit, 1))
    while (held[0] && held[0].due <= performance.now() && budget >= 1 && !to.writableNeedDrain) {
      const { due, chunk } = held[0]
      const bytes = Math.min(chunk.length, Math.floor(Math.min(budget, chunk.length)))
      write(chunk.subarray(0, bytes))
      if (budget !== Number.POSITIVE_INFINITY) budget -= bytes
      heldBytes -= bytes
      if (bytes === chunk.length) held.shift()
      else held[0] = { due, chunk: chunk.subarray(bytes) }
    }
    if (heldBytes < HELD_BYTES && from.isPaused()) from.resume()
    if (ended && held.length === 0) to.end()
  }
  const timer = setInterval(release, TICK_MS)
  from.on('close', () => clearInterval(timer))
  to.on('drain', () => {
    if (heldBytes < HELD_BYTES) from.resume()
  })
  from.on('end', () => {
    ended = true
    if (held.length === 0) to.end()
  })
  from.on('data', (chunk: Buffer) => {
    if (held.length === 0 && isCalm()) {
      if (!write(chunk)) from.pause()
      return
    }
    held.push({ due: performance.now() + weather.delayMs, chunk })
    heldBytes += chunk.length
    if (weather.delayMs > 0) setTimeout(release, weather.delayMs + 1)
    if (heldBytes >= HELD_BYTES) from.pause()
  })
}
