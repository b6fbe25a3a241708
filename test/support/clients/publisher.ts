/**
 * A producer on a bad day: publishes numbered drafts without a pause, sends again what was not answered when its
 * connection is back, and keeps what the hub has acknowledged.
 */

import { io, type Socket } from 'socket.io-client'
import type { WireError } from '../../../shared/errors.ts'
import type { Draft, Published, Reply } from '../../../shared/protocol.ts'
import { atEnd } from '../ending.ts'
import { until } from '../until.ts'

/** The data of a draft: who sent it, and its number in the sender's row. */
export interface Numbered {
  readonly by: string
  readonly n: number
  readonly pad?: string
}

interface PublisherOptions {
  readonly name: string
  /** Drafts a call; default 5. */
  readonly batch?: number
  /** Calls that wait for their reply; default 4. */
  readonly window?: number
  /** Characters that fill each draft; default 0. */
  readonly padding?: number
  /** Ends by itself after so many drafts. */
  readonly total?: number
  readonly transports?: readonly ('websocket' | 'polling')[]
  /** Rests so long after each reply; default 0. */
  readonly pauseMs?: number
}

interface Batch {
  readonly seq: number
  readonly drafts: readonly Draft<Numbered>[]
}

/** Soon and spread a little, so that a test need not wait for the usual second. */
export const QUICK = {
  reconnection: true,
  reconnectionDelay: 20,
  reconnectionDelayMax: 200,
  randomizationFactor: 0.5,
  timeout: 5_000,
  forceNew: true,
} as const

export class Publisher {
  readonly socket: Socket
  readonly name: string
  /** Offset of each number that was acknowledged. */
  readonly acknowledged = new Map<number, number>()
  readonly errors: WireError[] = []
  duplicates = 0
  readonly #batch: number
  readonly #window: number
  readonly #pad: string
  readonly #total: number
  readonly #pauseMs: number
  #unanswered: Batch[] = []
  #next = 1
  #life = 0
  #stopped = false

  constructor(url: string, topic: string, options: PublisherOptions) {
    this.name = options.name
    this.#batch = options.batch ?? 5
    this.#window = options.window ?? 4
    this.#pad = 'x'.repeat(options.padding ?? 0)
    this.#total = options.total ?? Number.POSITIVE_INFINITY
    this.#pauseMs = options.pauseMs ?? 0
    this.socket = io(`${url}/topics/${topic}`, {
      ...QUICK,
      transports: [...(options.transports ?? ['websocket'])],
      auth: { from: 'none' },
    })
    this.socket.on('connect', () => {
      this.#life += 1
      for (const batch of this.#unanswered) this.#send(batch)
      this.#fill()
    })
    atEnd(() => {
      this.socket.disconnect()
    })
  }

  /** Numbers handed out so far; the last ones may be unanswered. */
  get sent(): number {
    return this.#next - 1
  }

  /** Nothing new; resolves when everything that was sent is acknowledged. */
  async stop(deadlineMs = 20_000): Promise<void> {
    this.#stopped = true
    await this.settled(deadlineMs)
    this.socket.disconnect()
  }

  /** Gives up at once: what is unanswered stays unknown. */
  abandon(): void {
    this.#stopped = true
    this.socket.disconnect()
  }

  async settled(deadlineMs = 20_000): Promise<void> {
    await until(() => this.#unanswered.length === 0 && (this.#stopped || this.sent >= this.#total), {
      what: `${this.name}'s drafts to be acknowledged`,
      deadlineMs,
      seen: () => ({ sent: this.sent, acknowledged: this.acknowledged.size, errors: this.errors.slice(-3) }),
    })
  }

  #fill(): void {
    while (!this.#stopped && this.#unanswered.length < this.#window && this.sent < this.#total) {
      const seq = this.#next
      const count = Math.min(this.#batch, this.#total - this.sent)
      const drafts = Array.from({ length: count }, (_, i) => ({
        data: { by: this.name, n: seq + i, ...(this.#pad === '' ? {} : { pad: this.#pad }) },
      }))
      this.#next += count
      const batch = { seq, drafts }
      this.#unanswered.push(batch)
      this.#send(batch)
    }
  }

  #send(batch: Batch): void {
    const life = this.#life
    this.socket.emit('publish', batch.drafts, { producer: this.name, seq: batch.seq }, (reply: Reply<Published>) => {
      if (life !== this.#life) return
      if (!reply.ok) {
        this.errors.push(reply.error)
        // A call that was refused for a while makes a hole for those behind it: all go again, in order.
        if (reply.error.retryable || reply.error.code === 'conflict') this.socket.io.engine?.close()
        return
      }
      this.#unanswered = this.#unanswered.filter((other) => other !== batch)
      this.duplicates += reply.value.duplicates
      for (const [i, offset] of reply.value.offsets.entries()) this.acknowledged.set(batch.seq + i, offset)
      if (this.#pauseMs === 0) this.#fill()
      else setTimeout(() => this.socket.connected && this.#fill(), this.#pauseMs)
    })
  }
}
