/** What the scripts tell: notifications as a word, then lines, then what is behind; losses as a kind, a part and the cause. */

import { readBody } from '../../codec.ts'
import type { DeadReason, JobLoss, Notification, QueueNotification, StoredEvent } from '../../contract/store.ts'
import { ownerOf } from '../../owners.ts'

const NEWLINE = 10

/** Reads a message from its start: line by line, and what is left. */
class Lines {
  readonly #message: Buffer
  #at = 0

  constructor(message: Buffer) {
    this.#message = message
  }

  next(): string {
    const end = this.#message.indexOf(NEWLINE, this.#at)
    const text = this.#message.toString('utf8', this.#at, end < 0 ? this.#message.length : end)
    this.#at = end < 0 ? this.#message.length : end + 1
    return text
  }

  /** As many lines as the next one says. */
  list(): string[] {
    return Array.from({ length: Number(this.next()) }, () => this.next())
  }

  rest(): Buffer {
    return this.#message.subarray(this.#at)
  }
}

export function readNotification(message: Buffer): Notification | undefined {
  const lines = new Lines(message)
  switch (lines.next()) {
    case 'A': {
      const epoch = lines.next()
      const head = Number(lines.next())
      const first = Number(lines.next())
      const at = Number(lines.next())
      const lengths = lines.next()
      return { kind: 'appended', epoch, head, events: lengths === '' ? [] : eventsIn(lines.rest(), lengths, first, at) }
    }
    case 'S': {
      const session = Number(lines.next())
      return { kind: 'session', owner: ownerOf(lines.rest()), session }
    }
    case 'C':
      return { kind: 'changed' }
    default:
      return undefined
  }
}

/** Bodies one behind the other. */
function eventsIn(bodies: Buffer, lengths: string, first: number, at: number): StoredEvent[] {
  let end = 0
  return lengths.split(' ').map((length, i) => {
    const start = end
    end += Number(length)
    const body = readBody(bodies, start, end)
    return body === undefined ? { offset: first + i, damaged: true } : { offset: first + i, at, body }
  })
}

export function readQueueNotification(message: Buffer): QueueNotification | undefined {
  const lines = new Lines(message)
  switch (lines.next()) {
    case 'W':
      return { kind: 'work', at: Number(lines.next()) }
    case 'L': {
      const ids = lines.list()
      return { kind: 'lapsed', consumer: ownerOf(lines.rest()), ids }
    }
    case 'E': {
      const leases = lines.list()
      return { kind: 'settled', consumer: ownerOf(lines.rest()), leases }
    }
    case 'S': {
      const session = Number(lines.next())
      const isDead = lines.next() === '1'
      return { kind: 'session', consumer: ownerOf(lines.rest()), session, isDead }
    }
    case 'R':
      return { kind: 'answered', id: lines.rest().toString() }
    case 'C':
      return { kind: 'changed' }
    default:
      return undefined
  }
}

/** Pairs: what became of jobs, and of how many. */
export function tellLosses(
  queue: string,
  losses: readonly Buffer[],
  lost: (queue: string, loss: JobLoss) => void,
): void {
  for (let i = 0; i + 1 < losses.length; i += 2) {
    const [name, count] = [losses[i], losses[i + 1]]
    if (name === undefined) continue
    const [kind, part] = name.toString('latin1', 0, 2)
    const cause = name.subarray(2)
    const jobs = Number(count)
    if (kind === 'F') lost(queue, { kind: 'life', jobs })
    else if (kind === 'B') lost(queue, { kind: 'tripped', jobs, ended: Number(cause.toString()) })
    else if (kind === 'D') lost(queue, { kind: 'dead', reason: cause.toString() as DeadReason, jobs })
    else lost(part === 'd' ? `${queue}/dead` : queue, { kind: 'lapsed', consumer: ownerOf(cause), jobs })
  }
}
