/** A sender of jobs over plain socket.io-client that numbers its drafts and sends them again until they are answered. */

import { io, type Socket } from 'socket.io-client'
import type { Reply } from '../../../shared/protocol.ts'
import type { JobDraft, Sent } from '../../../shared/queues.ts'
import { atEnd } from '../ending.ts'
import { until } from '../until.ts'
import { QUICK } from './publisher.ts'

export interface Numbered {
  readonly by: string
  readonly n: number
}

interface Batch {
  readonly seq: number
  readonly drafts: readonly JobDraft<Numbered>[]
}

export class Sender {
  readonly socket: Socket
  /** Ids of what was acknowledged. */
  readonly ids = new Set<string>()
  readonly errors: string[] = []
  readonly #name: string
  readonly #queue: string
  readonly #draft: (data: Numbered) => JobDraft<Numbered>
  #unanswered: Batch | undefined
  #next = 1
  #stopped = false

  constructor(
    url: string,
    queue: string,
    name: string,
    draft: (data: Numbered) => JobDraft<Numbered>,
    transport: 'websocket' | 'polling' = 'websocket',
  ) {
    this.#name = name
    this.#queue = queue
    this.#draft = draft
    this.socket = io(`${url}/queues`, { ...QUICK, transports: [transport] })
    this.socket.on('connect', () => this.#send())
    atEnd(() => {
      this.socket.disconnect()
    })
  }

  /** Nothing new; resolves when everything that was sent is acknowledged. */
  async stop(deadlineMs = 20_000): Promise<void> {
    this.#stopped = true
    const seen = () => this.errors.slice(-3)
    await until(() => this.#unanswered === undefined, {
      what: `${this.#name}'s jobs to be acknowledged`,
      deadlineMs,
      seen,
    })
    this.socket.disconnect()
  }

  #send(): void {
    if (this.#unanswered === undefined) {
      if (this.#stopped) return
      const count = 1 + (this.#next % 7)
      const drafts = Array.from({ length: count }, (_, i) => this.#draft({ by: this.#name, n: this.#next + i }))
      this.#unanswered = { seq: this.#next, drafts }
      this.#next += count
    }
    const batch = this.#unanswered
    const row = { producer: this.#name, seq: batch.seq }
    this.socket.emit('send', this.#queue, batch.drafts, row, (reply: Reply<Sent>) => {
      if (batch !== this.#unanswered) return
      if (reply.ok) {
        for (const id of reply.value.ids) this.ids.add(id)
        this.#unanswered = undefined
      } else {
        this.errors.push(`${reply.error.code}: ${reply.error.message}`)
        if (!reply.error.retryable) return
      }
      setTimeout(() => this.#send(), 5)
    })
  }
}
