/**
 * What comes on a connection of the hub's own server, on its way to Socket.IO, which takes all that is there in one turn
 * of the event loop: a burst of packets takes its turns here, before anything is made of them.
 */

import type { Server } from 'socket.io'
import { type Entrant, enter, mayBegin, turnNumber, weightOf } from '../../core/turns.ts'
import { type Connection, Reading } from './reading.ts'

/** Waiting packets above which the connection is not read until none waits. */
const MAX_WAITING = { packets: 500, bytes: 2 ** 20 }
/** Of what has come already, so many packets are taken in before the rest has to wait. */
const CROWD = 1_000
/** An entrance costs as much as several small calls, with the subscription that begins. Any other one is only decoded. */
const ENTRANCE_WEIGHT = 3
const PACKET_WEIGHT = 0.5
/** No burst: a connection has one packet in each turn, and more up to this, whatever others have. */
const FREE_WEIGHT = 4
/** A packet of Socket.IO's that enters a namespace, and the name. */
const ENTRANCE = /^0(\/[^,]*)?/
/** Its number of the packet that leaves one. */
const LEAVE = '1'

export interface InboxRules {
  /** Bytes of a packet that enters a namespace. */
  readonly handshakeBytes: number
  /** Answers one that has more. */
  refuse(connection: Connection, namespace: string, bytes: number): void
  /** Whether the connection is in this namespace. */
  isInside(connection: Connection, namespace: string): boolean
}

/** From now on, and before anybody else listens to the connections. */
export function paceInput(engine: Server['engine'], rules: InboxRules): void {
  engine.on('connection', (connection: Connection) => {
    const readers = connection.listeners('data') as ((data: string | Buffer) => void)[]
    connection.removeAllListeners('data')
    const inbox = new Inbox(connection, rules)
    for (const reader of readers) inbox.on('data', reader)
  })
}

class Inbox extends Reading implements Entrant {
  readonly #rules: InboxRules
  /** The first of them is the last one here. */
  #next: (string | Buffer)[] = []
  #later: (string | Buffer)[] = []
  #bytes = 0
  /** What was taken in which turn. */
  #turn = 0
  #taken = 0
  #paused = false
  /** A namespace is being left, which Socket.IO does behind the packets that it is given at once. */
  #leaving = false

  constructor(connection: Connection, rules: InboxRules) {
    super(connection)
    this.#rules = rules
  }

  protected override came(data: string | Buffer): void {
    const weight = weightOfPacket(data)
    if (this.#mayTake(data) && this.#first === undefined && (this.#isFree(weight) || mayBegin(weight))) {
      this.#deliver(data)
      return
    }
    this.#later.push(data)
    this.#bytes += data.length
    if (this.#next.length + this.#later.length > MAX_WAITING.packets || this.#bytes > MAX_WAITING.bytes) this.unread()
    if (this.hasWork) enter(this)
  }

  #isFree(weight: number): boolean {
    const turn = turnNumber()
    if (turn !== this.#turn) {
      this.#turn = turn
      this.#taken = 0
    }
    if (this.#taken > 0 && this.#taken + weight > FREE_WEIGHT) return false
    this.#taken += weight
    return true
  }

  override get crowded(): boolean {
    return this.#next.length + this.#later.length > CROWD
  }

  override pause(): void {
    this.#paused = true
    this.unread()
  }

  override resume(): void {
    this.#paused = false
    if (this.hasWork) enter(this)
    else if (this.#first === undefined) this.read()
  }

  protected override close(): void {
    this.#next = []
    this.#later = []
    this.#bytes = 0
    this.#paused = false
    super.close()
  }

  get weight(): number {
    const data = this.#first
    return data === undefined ? 0 : weightOfPacket(data)
  }

  get hasWork(): boolean {
    const data = this.#first
    return data !== undefined && this.#mayTake(data)
  }

  step(): number {
    const data = this.#first
    if (data === undefined || !this.#mayTake(data)) return 0
    this.#next.pop()
    this.#bytes -= data.length
    this.#deliver(data)
    if (!this.#paused && this.#first === undefined) this.read()
    return weightOfPacket(data)
  }

  #mayTake(data: string | Buffer): boolean {
    return !this.#paused && !(this.#leaving && isEntrance(data))
  }

  get #first(): string | Buffer | undefined {
    if (this.#next.length === 0 && this.#later.length > 0) {
      this.#next = this.#later.reverse()
      this.#later = []
    }
    return this.#next.at(-1)
  }

  #deliver(data: string | Buffer): void {
    const { connection } = this
    if (connection.readyState !== 'open') return
    // Who asks again has one place and got one answer. Socket.IO would close the connection, or not, by who is faster.
    const entrance = isEntrance(data) ? ENTRANCE.exec(data) : null
    if (entrance !== null) {
      const [, namespace = '/'] = entrance
      if (data.length > this.#rules.handshakeBytes) {
        this.#rules.refuse(connection, namespace, data.length)
        return
      }
      if (this.#rules.isInside(connection, namespace)) return
    }
    this.emit('data', data)
    if (typeof data !== 'string' || !data.startsWith(LEAVE)) return
    this.#leaving = true
    process.nextTick(() => {
      this.#leaving = false
      if (this.hasWork) enter(this)
    })
  }
}

function isEntrance(data: string | Buffer): data is string {
  return typeof data === 'string' && data.startsWith('0')
}

function weightOfPacket(data: string | Buffer): number {
  return (isEntrance(data) ? ENTRANCE_WEIGHT : PACKET_WEIGHT) - 1 + weightOf(data.length)
}
