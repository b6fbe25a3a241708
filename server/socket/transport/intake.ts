/**
 * The calls of a connection on their way in, those of all its namespaces together: so many are begun at a time, none
 * while the connection has too much to take, and where too many wait the connection is not read any further.
 */

import { setMaxListeners } from 'node:events'
import type { Socket } from 'socket.io'
import { RepriseError } from '../../../shared/errors.ts'
import { OVERFULL_BYTES } from '../../core/topics/outlet.ts'
import { type Entrant, enter, mayBegin, weightOf } from '../../core/turns.ts'
import { waitingBytes, whenDrained } from './flow.ts'
import { type Connection, type Reading, readingOf } from './reading.ts'

/** Calls under way, and the bytes that came with them and will go with their replies. */
const MAX_BEGUN = { calls: 1_024, bytes: 4 * 2 ** 20 }
/** Waiting calls above which the connection is not read, and below which it is again. */
const MAX_WAITING = { calls: 1_000, bytes: 4 * 2 ** 20 }
const FEW_WAITING = { calls: 250, bytes: 2 ** 20 }
/** A payload of long polling is taken up to here before it waits for its rest. */
const CROWD = 2
/** Whoever goes on although nothing is taken from it is let go of. */
const PATIENCE = 4
/** Requests of a connection that wait for their answers. */
const MAX_REQUESTS = 10_000
const RETRY_MS = 1_000

/** A call that is begun. */
export interface Begun {
  /** Fires when the client has left the namespace, or the connection is gone. */
  readonly gone: AbortSignal
  /**
   * It will have to wait for others: with the result it says that now it does, so that the next calls may begin. Throws
   * `too_many` where too many wait already.
   */
  willWait(): () => void
}

/** What a call costs beside what came with it. */
export interface Cost {
  readonly weight: number
  readonly bytes: number
}

interface Waiting {
  readonly socket: Socket
  /** What came with it. */
  readonly bytes: number
  readonly cost: Cost
  run(call: Begun): Promise<void>
}

const intakes = new WeakMap<Connection, Intake>()

export function intakeOf(connection: Connection): Intake {
  const known = intakes.get(connection)
  if (known !== undefined) return known
  const intake = new Intake(connection)
  intakes.set(connection, intake)
  return intake
}

export class Intake implements Entrant {
  readonly #connection: Connection
  readonly #reading: Reading
  readonly #gone = new WeakMap<Socket, AbortController>()
  #waiting: Waiting[] = []
  #waitingBytes = 0
  /** Bytes that came since the last call: those of the next one. */
  #fresh = 0
  readonly #begun = { calls: 0, bytes: 0 }
  #requests = 0
  #draining = false
  #paused = false

  constructor(connection: Connection) {
    this.#connection = connection
    this.#reading = readingOf(connection)
    this.#reading.on('data', (data) => {
      this.#fresh += data.length
    })
    connection.once('close', () => this.#close())
  }

  add(socket: Socket, cost: Cost, run: Waiting['run']): void {
    const bytes = this.#fresh
    this.#fresh = 0
    const call = { socket, bytes, cost, run }
    if (this.#waiting.length === 0 && this.#hasRoom(call) && mayBegin(weightOfCall(call))) {
      this.#begin(call)
      return
    }
    this.#waiting.push(call)
    this.#waitingBytes += bytes
    if (this.#isOver(MAX_WAITING)) this.#pause()
    this.#next()
  }

  /** Whether so many calls wait that not even the rest of what has come is taken. The connection is paused then. */
  get crowded(): boolean {
    return this.#isOver({ calls: MAX_WAITING.calls * CROWD, bytes: MAX_WAITING.bytes * CROWD })
  }

  get weight(): number {
    const [call] = this.#waiting
    return call === undefined ? 0 : weightOfCall(call)
  }

  step(): number {
    const [call] = this.#waiting
    if (call === undefined || !this.#hasRoom(call)) {
      this.#next()
      return 0
    }
    this.#waiting.shift()
    this.#waitingBytes -= call.bytes
    if (this.#paused && !this.#isOver(FEW_WAITING)) this.#resume()
    // Whoever has left is not answered, so there is nothing to do.
    if (!call.socket.connected) {
      this.#next()
      return 0
    }
    this.#begin(call)
    return weightOfCall(call)
  }

  get hasWork(): boolean {
    const [call] = this.#waiting
    return call !== undefined && this.#hasRoom(call)
  }

  #hasRoom({ bytes, cost }: Waiting): boolean {
    const { calls, bytes: begun } = this.#begun
    if (calls >= MAX_BEGUN.calls || (calls > 0 && begun + bytes + cost.bytes > MAX_BEGUN.bytes)) return false
    return waitingBytes(this.#connection) <= OVERFULL_BYTES
  }

  #begin({ socket, bytes, cost, run }: Waiting): void {
    const all = bytes + cost.bytes
    this.#begun.calls += 1
    this.#begun.bytes += all
    let isBegun = true
    let isRequest = false
    const end = () => {
      if (isBegun) {
        this.#begun.calls -= 1
        this.#begun.bytes -= all
      }
      isBegun = false
      this.#next()
    }
    const intake = this
    const call: Begun = {
      get gone() {
        return intake.#goneOf(socket)
      },
      willWait() {
        if (intake.#requests >= MAX_REQUESTS) {
          throw new RepriseError('too_many', `${MAX_REQUESTS} requests of this connection wait for their answers`, {
            retryAfterMs: RETRY_MS,
          })
        }
        isRequest = true
        intake.#requests += 1
        return end
      },
    }
    void run(call).finally(() => {
      if (isRequest) this.#requests -= 1
      end()
    })
  }

  #goneOf(socket: Socket): AbortSignal {
    let gone = this.#gone.get(socket)
    if (gone === undefined) {
      const made = new AbortController()
      // Each of its requests that wait listens to it.
      setMaxListeners(0, made.signal)
      gone = made
      this.#gone.set(socket, made)
      if (socket.connected) socket.once('disconnect', () => made.abort())
      else made.abort()
    }
    return gone.signal
  }

  /** Sees to it that the next call begins as soon as it may. */
  #next(): void {
    const [call] = this.#waiting
    if (call === undefined) return
    if (this.#hasRoom(call)) {
      enter(this)
      return
    }
    // A call that ends comes here by itself.
    if (this.#draining || waitingBytes(this.#connection) <= OVERFULL_BYTES) return
    this.#draining = true
    whenDrained(this.#connection, () => {
      this.#draining = false
      this.#next()
    })
  }

  #isOver({ calls, bytes }: { readonly calls: number; readonly bytes: number }): boolean {
    return this.#waiting.length > calls || this.#waitingBytes > bytes
  }

  #pause(): void {
    if (!this.#paused) {
      this.#paused = true
      this.#reading.pause()
      return
    }
    if (this.#waiting.length > MAX_WAITING.calls * PATIENCE || this.#waitingBytes > MAX_WAITING.bytes * PATIENCE) {
      this.#connection.close(true)
    }
  }

  #resume(): void {
    this.#paused = false
    this.#reading.resume()
  }

  #close(): void {
    this.#waiting = []
    this.#waitingBytes = 0
    if (this.#paused) this.#resume()
  }
}

function weightOfCall({ bytes, cost }: Waiting): number {
  return cost.weight + weightOf(bytes)
}
