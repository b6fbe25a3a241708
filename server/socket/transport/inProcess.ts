/**
 * Connections to the hub from its own process. They are what they are over a network, HTTP and WebSocket, but the bytes
 * go through memory: so the SDK runs in the hub's program as it does elsewhere, and no port is opened.
 */

import { Agent, type Server } from 'node:http'
import { Duplex } from 'node:stream'

/** Its requests reach `server`, which need not listen. */
export function agentOf(server: Server): Agent {
  return new InProcessAgent(server)
}

class InProcessAgent extends Agent {
  readonly #server: Server

  constructor(server: Server) {
    super()
    this.#server = server
  }

  override createConnection(): Duplex {
    const near = new End()
    const far = new End()
    near.join(far)
    far.join(near)
    this.#server.emit('connection', far)
    return near
  }
}

/** One end of a connection: what is written to it is read at the other one. */
class End extends Duplex {
  #other: End | undefined
  /** The other end's writer goes on when this one is read. */
  #wanted: (() => void) | undefined

  join(other: End): void {
    this.#other = other
  }

  override _read(): void {
    const wanted = this.#wanted
    this.#wanted = undefined
    wanted?.()
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    // It arrives when the writer's call is over, as over a network. A WebSocket that is answered within its `close` closes
    // twice, and waits 30 s for the second answer.
    process.nextTick(() => this.#other?.receive(chunk, done))
  }

  override _final(done: () => void): void {
    this.#other?.push(null)
    done()
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    // A broken connection ends at both ends, the other one a turn later, as over a network.
    setImmediate(() => this.#other?.destroy())
    done(error)
  }

  receive(chunk: Buffer, done: () => void): void {
    if (this.destroyed) done()
    else {
      this.#wanted = done
      this.push(chunk)
    }
  }
}
