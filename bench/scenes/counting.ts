/**
 * A Socket.IO parser for subscribers that are to cost little, so that the machine's cores are the server's. It sees every
 * event of every connection: each must be there once and in order. A packet that went to many connections of this
 * process is parsed for the first of them and compared, as text, for the others.
 */

import { Decoder, Encoder } from 'socket.io-parser'

interface Seen {
  readonly text: string
  readonly first: number
  readonly count: number
  readonly dense: boolean
  times: number
}

/** What one connection has got. */
export class Counter {
  events = 0
  packets = 0
  /** Events that came out of order, twice, or behind a hole. */
  faults = 0
  #next: number | undefined
  #goal = Number.POSITIVE_INFINITY
  #reached: () => void = () => {}

  /** Starts counting from 0; `reached` is called once, when there are `goal` events. */
  reset(goal: number, reached: () => void): void {
    this.events = 0
    this.packets = 0
    this.#goal = goal
    this.#reached = reached
  }

  take(first: number, count: number, dense: boolean): void {
    if (!dense || (this.#next !== undefined && this.#next !== first)) this.faults += 1
    this.#next = first + count
    this.packets += 1
    this.events += count
    if (this.events < this.#goal) return
    this.#goal = Number.POSITIVE_INFINITY
    this.#reached()
  }
}

const OFFSET = '"offset":'

/** Packets on their way to the other connections of this process, by their first offset. */
export class SharedPackets {
  readonly #connections: number
  readonly #seen = new Map<number, Seen>()

  constructor(connections: number) {
    this.#connections = connections
  }

  look(text: string, start: number): Seen {
    const at = text.indexOf(OFFSET, start) + OFFSET.length
    const first = Number.parseInt(text.slice(at, at + 16), 10)
    let seen = this.#seen.get(first)
    if (seen?.text !== text) {
      seen = parsed(text, start)
      this.#seen.set(first, seen)
    }
    seen.times += 1
    if (seen.times === this.#connections) this.#seen.delete(first)
    return seen
  }
}

/** The same for packets that come as bytes, of which `start` are no JSON. */
export class SharedBytes {
  readonly #connections: number
  readonly #start: number
  readonly #seen = new Map<number, { readonly bytes: Buffer; readonly seen: Seen }>()

  constructor(connections: number, start: number) {
    this.#connections = connections
    this.#start = start
  }

  /** What `Counter.take` wants to know. */
  look(bytes: Buffer): [first: number, count: number, dense: boolean] {
    const at = bytes.indexOf(OFFSET, this.#start, 'latin1') + OFFSET.length
    const first = Number.parseInt(bytes.toString('latin1', at, at + 16), 10)
    let known = this.#seen.get(first)
    if (known === undefined || !known.bytes.equals(bytes)) {
      known = { bytes, seen: parsed(bytes.toString(), this.#start) }
      this.#seen.set(first, known)
    }
    const { seen } = known
    seen.times += 1
    if (seen.times === this.#connections) this.#seen.delete(first)
    return [seen.first, seen.count, seen.dense]
  }
}

/** The payload is one event, or a packet of the hub with several. */
function parsed(text: string, start: number): Seen {
  const [payload] = JSON.parse(`[${text.slice(start)}`) as [{ offset: number } | { events: { offset: number }[] }]
  const events = 'events' in payload ? payload.events : [payload]
  const first = events[0]?.offset ?? 0
  const dense = events.every(({ offset }, i) => offset === first + i)
  return { text, first, count: events.length, dense, times: 0 }
}

/** For a client's `parser` option. Packets other than `events` go the usual way. */
export function countingParser(namespace: string, counter: Counter, packets: SharedPackets) {
  const prefix = `2${namespace === '/' ? '' : `${namespace},`}["events",`
  class CountingDecoder extends Decoder {
    override add(chunk: unknown): void {
      if (typeof chunk !== 'string' || !chunk.startsWith(prefix)) {
        super.add(chunk)
        return
      }
      const { first, count, dense } = packets.look(chunk, prefix.length)
      counter.take(first, count, dense)
    }
  }
  return { Encoder, Decoder: CountingDecoder }
}
