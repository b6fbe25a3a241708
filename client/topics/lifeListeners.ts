/** What a program hears of the jobs of a queue: one subscription to the topic of the queue's life for all its handlers. */

import { RepriseError } from '../../shared/errors.ts'
import { LIFE_KINDS, type LifeEvent, type LifeKind } from '../../shared/queues.ts'
import type { Topic } from '../api.ts'
import type { Warnings } from '../connection/warnings.ts'

type Handler = (event: LifeEvent) => unknown

export class LifeListeners {
  readonly #queue: string
  readonly #topicOf: () => Topic<LifeEvent>
  readonly #warnings: Warnings
  readonly #handlers = new Map<LifeKind, Set<Handler>>()
  #topic: Topic<LifeEvent> | undefined

  constructor(queue: string, topicOf: () => Topic<LifeEvent>, warnings: Warnings) {
    this.#queue = queue
    this.#topicOf = topicOf
    this.#warnings = warnings
  }

  /** Calls `handler` with what happens from now on; the result stops that. */
  on(kind: LifeKind, handler: Handler): () => void {
    if (!LIFE_KINDS.includes(kind)) {
      throw new RepriseError('bad_request', `on: there is no ${String(kind)}; known: ${LIFE_KINDS.join(', ')}`)
    }
    if (typeof handler !== 'function') throw new RepriseError('bad_request', 'on: the handler has to be a function')
    const own: Handler = (event) => handler(event)
    const handlers = this.#handlers.get(kind) ?? new Set()
    this.#handlers.set(kind, handlers)
    handlers.add(own)
    this.#subscribe()
    return () => {
      handlers.delete(own)
      if ([...this.#handlers.values()].every(({ size }) => size === 0)) void this.close()
    }
  }

  #subscribe(): void {
    if (this.#topic !== undefined) return
    const topic = this.#topicOf()
    this.#topic = topic
    void topic
      .subscribe(({ data }) => this.#tell(data), { from: 'end' })
      .ended.then(() => {
        // The hub has ended it: who listens from here on asks again.
        if (this.#topic === topic) this.#topic = undefined
        void topic.close()
      })
  }

  #tell(event: LifeEvent): void {
    for (const handler of this.#handlers.get(event.kind) ?? []) {
      // One that fails takes nothing from the others.
      Promise.resolve()
        .then(() => handler(event))
        .catch((error: unknown) => {
          const text = `a handler of ${event.kind} of queue ${this.#queue} failed for ${event.id}`
          this.#warnings.tell(`failed ${event.kind} ${this.#queue}`, text, error)
        })
    }
  }

  async close(): Promise<void> {
    const topic = this.#topic
    this.#topic = undefined
    this.#handlers.clear()
    await topic?.close()
  }
}
