/** The namespace of the queues on one connection, as handles and workers share it: who is told of what. */

import { RepriseError } from '../../shared/errors.ts'
import type { Limits } from '../../shared/protocol.ts'
import { type Consuming, type Job, QUEUES_NAMESPACE, type QueuesAuth } from '../../shared/queues.ts'
import { Link } from '../connection/namespace.ts'
import type { Connection } from '../connection/transport.ts'
import { unpacked } from '../outgoing/joining.ts'

/** A handle: its outbox and its requests. */
export interface QueuesUser {
  /** Something waits for the hub. */
  readonly busy: boolean
  joined(): void
  refused(error: RepriseError): void
}

/** A worker. */
export interface Consumer {
  joined(): void
  lost(reason: RepriseError): void
  refused(error: RepriseError): void
  jobs(jobs: readonly Job[]): void
  lostJobs(ids: readonly string[]): void
}

export class QueuesLink {
  readonly #link: Link
  readonly #users = new Set<QueuesUser>()
  readonly #consumers = new Map<string, Consumer>()

  /** `clientNow` names the holder of jobs, so that a blink keeps them. */
  constructor(connection: Connection, clientNow: () => string) {
    this.#link = new Link(connection, QUEUES_NAMESPACE, {
      introduce: (): QueuesAuth => ({ client: clientNow() }),
      joined: () => {
        for (const consumer of [...this.#consumers.values()]) consumer.joined()
        for (const user of [...this.#users]) user.joined()
      },
      lost: (reason) => {
        for (const consumer of [...this.#consumers.values()]) consumer.lost(reason)
      },
      refused: (error) => {
        const consumers = [...this.#consumers.values()]
        this.#consumers.clear()
        for (const consumer of consumers) consumer.refused(error)
        for (const user of [...this.#users]) user.refused(error)
      },
      takes: (error) => {
        const queue = (error as { readonly queue?: unknown } | null)?.queue
        if (typeof queue !== 'string') return false
        this.#consumers.get(queue)?.refused(RepriseError.fromWire(error))
        return true
      },
    })
    this.#link.on('jobs', (queue: string, jobs: readonly Job[]) => this.#consumers.get(queue)?.jobs(unpacked(jobs)))
    this.#link.on('lost', (queue: string, ids: readonly string[]) => this.#consumers.get(queue)?.lostJobs(ids))
  }

  get connected(): boolean {
    return this.#link.connected
  }

  get limits(): Limits | undefined {
    return this.#link.limits
  }

  open(): void {
    this.#link.open()
  }

  joined(givenUp?: Promise<never>): Promise<void> {
    return this.#link.whenJoined(givenUp)
  }

  call<T>(name: string, ...args: unknown[]): Promise<T> {
    const value = this.#link.call<T>(name, ...args)
    return name === 'consume' ? value.then((consuming) => this.#learned(consuming)) : value
  }

  #learned<T>(consuming: T): T {
    this.#link.learn((consuming as Consuming).limits)
    return consuming
  }

  use(user: QueuesUser): void {
    this.#users.add(user)
  }

  unuse(user: QueuesUser): void {
    this.#users.delete(user)
    this.#leaveIfIdle()
  }

  /** Whether the queue has its one consumer on this connection. */
  has(queue: string): boolean {
    return this.#consumers.has(queue)
  }

  attach(queue: string, consumer: Consumer): void {
    this.#consumers.set(queue, consumer)
    if (this.#link.connected) consumer.joined()
    else this.#link.open()
  }

  detach(queue: string, consumer: Consumer): void {
    if (this.#consumers.get(queue) === consumer) this.#consumers.delete(queue)
    this.#leaveIfIdle()
  }

  close(): void {
    this.#link.close()
  }

  #leaveIfIdle(): void {
    if (this.#consumers.size > 0) return
    for (const user of this.#users) if (user.busy) return
    this.#link.leave()
  }
}
