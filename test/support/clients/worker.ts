/** A consumer over plain socket.io-client that does with its jobs what chance says, and the books that are kept of it. */

import { io, type Socket } from 'socket.io-client'
import type { Reply } from '../../../shared/protocol.ts'
import type { Consuming, Job, Settled, Settlement } from '../../../shared/queues.ts'
import { atEnd } from '../ending.ts'
import type { Random } from '../seed.ts'
import { QUICK } from './publisher.ts'

interface Holding {
  readonly lease: string
  readonly worker: string
  /** By the store's clock, which is this machine's. */
  expiresAt: number
}

/** What all workers together have seen. */
export class Books {
  readonly faults: string[] = []
  /** Leases under which a job was settled `done`, by its id. */
  readonly done = new Map<string, Set<string>>()
  readonly #holding = new Map<string, Holding>()
  readonly #maxAttempts: number

  constructor(maxAttempts: number) {
    this.#maxAttempts = maxAttempts
  }

  taken(worker: string, { id, lease, attempts, expiresAt }: Job): void {
    const other = this.#holding.get(id)
    const leftMs = (other?.expiresAt ?? 0) - Date.now()
    if (other !== undefined && other.lease !== lease && leftMs > 20) {
      this.faults.push(`${id} was given to ${worker} while ${other.worker} held it for ${leftMs} ms more`)
    }
    if (attempts >= this.#maxAttempts) this.faults.push(`${id} was handed out with ${attempts} attempts`)
    if (this.done.has(id)) this.faults.push(`${id} was handed out after it was done`)
    this.#holding.set(id, { lease, worker, expiresAt })
  }

  extended(id: string, lease: string, expiresAt: number): void {
    const holding = this.#holding.get(id)
    if (holding?.lease === lease) holding.expiresAt = expiresAt
  }

  /** The holder is cut off: from `at` on others may have the job, until it is heard that it is still its own. */
  doubtful(id: string, lease: string, at: number): void {
    const holding = this.#holding.get(id)
    if (holding?.lease === lease) holding.expiresAt = Math.min(holding.expiresAt, at)
  }

  /** The holder no longer works on it, or may not know that it does. */
  over(id: string, lease: string): void {
    if (this.#holding.get(id)?.lease === lease) this.#holding.delete(id)
  }

  settled(settlement: Settlement, answer: Settled): void {
    const { id, lease, as } = settlement
    this.over(id, lease)
    if (as !== 'done' || answer !== 'ok') return
    const leases = this.done.get(id) ?? new Set()
    this.done.set(id, leases.add(lease))
    if (leases.size > 1) this.faults.push(`${id} was settled done twice`)
  }
}

export interface WorkerOptions {
  readonly name: string
  readonly credit: number
  readonly leaseMs: number
  /** The queue's: how long its jobs wait for it when it is cut off. */
  readonly reconnectGraceMs: number
  readonly random: Random
  /** Without it the hub has no name for the holder. */
  readonly client?: string
  /** Default: WebSocket. */
  readonly transports?: readonly ('websocket' | 'polling')[]
  /** Settles everything as done. */
  readonly tame?: boolean
}

export class Worker {
  readonly socket: Socket
  readonly errors: string[] = []
  readonly #queue: string
  readonly #books: Books
  readonly #options: WorkerOptions
  readonly #working = new Map<string, Job>()
  /** Sent again after a reconnection, until they are answered. */
  readonly #unanswered = new Set<Settlement>()
  readonly #timers = new Set<NodeJS.Timeout>()
  #gone = false

  constructor(url: string, queue: string, books: Books, options: WorkerOptions) {
    this.#queue = queue
    this.#books = books
    this.#options = options
    const auth = options.client === undefined ? {} : { client: options.client }
    const transports = [...(options.transports ?? ['websocket'])]
    this.socket = io(`${url}/queues`, { ...QUICK, transports, auth })
    this.socket.on('connect', () => this.#enter())
    this.socket.on('jobs', (_queue: string, jobs: readonly Job[]) => {
      for (const job of jobs) this.#take(job)
    })
    this.socket.on('disconnect', () => {
      const at = Date.now() + options.reconnectGraceMs
      for (const { id, lease } of this.#working.values()) books.doubtful(id, lease, at)
    })
    this.socket.on('lost', (_queue: string, ids: readonly string[]) => {
      for (const job of this.#working.values()) if (ids.includes(job.id)) this.#drop(job)
    })
    atEnd(() => this.crash())
  }

  /** A connection that breaks: it comes back by itself with what it works on. */
  blink(): void {
    this.socket.io.engine?.close()
  }

  /** The process dies: nothing of it comes back. */
  crash(): void {
    this.#gone = true
    for (const timer of this.#timers) clearTimeout(timer)
    for (const job of this.#working.values()) this.#books.over(job.id, job.lease)
    this.#working.clear()
    this.socket.io.engine?.close()
    this.socket.io.reconnection(false)
    this.socket.disconnect()
  }

  /** Leaves on purpose: what it works on goes back. */
  leave(): void {
    this.#gone = true
    for (const timer of this.#timers) clearTimeout(timer)
    for (const job of this.#working.values()) this.#books.over(job.id, job.lease)
    this.#working.clear()
    this.socket.disconnect()
  }

  get client(): string | undefined {
    return this.#options.client
  }

  /** Nothing is under way: every settlement has its answer. */
  get idle(): boolean {
    return this.#unanswered.size === 0
  }

  #enter(): void {
    for (const settlement of this.#unanswered) this.#send(settlement)
    const { credit, leaseMs } = this.#options
    const holding = [...this.#working.values()].map(({ lease }) => lease)
    this.socket.emit('consume', this.#queue, { credit, leaseMs, holding }, (reply: Reply<Consuming>) => {
      if (!reply.ok) {
        this.errors.push(`${reply.error.code}: ${reply.error.message}`)
        if (reply.error.retryable) this.#later(100, () => this.socket.connected && this.#enter())
        return
      }
      const kept = new Map(reply.value.held.map((held) => [held.lease, held]))
      for (const job of this.#working.values()) {
        const held = kept.get(job.lease)
        if (held === undefined) this.#drop(job)
        else this.#books.extended(job.id, job.lease, held.expiresAt)
      }
    })
  }

  #take(job: Job): void {
    if (this.#gone) return
    this.#books.taken(this.#options.name, job)
    this.#working.set(job.lease, job)
    const { random, leaseMs, tame } = this.#options
    const { id, lease } = job
    if (tame === true) {
      this.#settle({ id, lease, as: 'done' })
      return
    }
    const fate = random.next()
    const ms = random.integer(0, 30)
    if (ms % 3 === 0) this.socket.emit('progress', this.#queue, [{ id, lease, value: ms, log: 'at work' }], () => {})
    if (fate < 0.7) this.#later(ms, () => this.#settle({ id, lease, as: 'done' }))
    else if (fate < 0.8) this.#later(ms, () => this.#settle({ id, lease, as: 'retry', delayMs: ms, error: 'chance' }))
    else if (fate < 0.85) this.#later(ms, () => this.#settle({ id, lease, as: 'release' }))
    else if (fate < 0.87) this.#later(ms, () => this.#settle({ id, lease, as: 'dead', reason: 'chance' }))
    else if (fate < 0.9) this.#later(leaseMs + 300, () => this.#settle({ id, lease, as: 'done' }))
    else if (fate < 0.93) {
      this.#later(ms, () => this.#settle({ id, lease, as: 'done' }))
      this.#later(ms + 5, () => this.#settle({ id, lease, as: 'done' }))
    } else if (fate < 0.97) {
      this.#later(leaseMs / 2, () => this.#settle({ id, lease, as: 'extend', leaseMs }))
      this.#later(leaseMs, () => this.#settle({ id, lease, as: 'done' }))
    }
    // The rest never ends: its lease lapses.
  }

  #drop({ id, lease }: Job): void {
    this.#working.delete(lease)
    this.#books.over(id, lease)
  }

  #settle(settlement: Settlement): void {
    if (this.#gone) return
    if (settlement.as === 'extend') {
      if (!this.#working.has(settlement.lease)) return
    } else {
      this.#working.delete(settlement.lease)
      this.#books.over(settlement.id, settlement.lease)
    }
    this.#unanswered.add(settlement)
    if (this.socket.connected) this.#send(settlement)
  }

  #send(settlement: Settlement): void {
    const sentAt = Date.now()
    this.socket.emit('settle', this.#queue, [settlement], (reply: Reply<readonly Settled[]>) => {
      if (!this.#unanswered.has(settlement)) return
      if (!reply.ok) {
        this.errors.push(`${reply.error.code}: ${reply.error.message}`)
        if (reply.error.retryable) this.#later(50, () => this.socket.connected && this.#send(settlement))
        return
      }
      this.#unanswered.delete(settlement)
      const [answer = 'lost'] = reply.value
      if (settlement.as !== 'extend') this.#books.settled(settlement, answer)
      else if (answer === 'ok') this.#books.extended(settlement.id, settlement.lease, sentAt + settlement.leaseMs)
    })
  }

  #later(ms: number, work: () => unknown): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer)
      work()
    }, ms)
    this.#timers.add(timer)
  }
}
