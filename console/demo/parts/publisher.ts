/** The page's publisher: one event, a burst, or so many a second; keeps what the replies named. */

import type { Hub, Receipt, Topic } from '../../../client/index.ts'
import { RepriseError } from '../../../client/index.ts'
import type { Ledger } from '../counting/ledger.ts'
import { makeOrder } from './orders.ts'

const TICK_MS = 40
/** With so many without a reply the clock stands still: the hub is away. */
const MAX_UNANSWERED = 2_000
/** What a browser that puts a tab to sleep may make up for at once. */
const MAX_CATCH_UP_MS = 1_000

export class Publisher {
  readonly #hub: Hub
  readonly #topic: Topic
  readonly #ledger: Ledger
  readonly #changed: () => void
  /** So many it publishes steadily, and then stops. */
  readonly most: number
  #orders = 0
  #answered = 0
  #failed = 0
  #last: Receipt | undefined
  #problem: RepriseError | undefined
  #perSecond = 0
  #timer: ReturnType<typeof setInterval> | undefined

  constructor(hub: Hub, topic: string, ledger: Ledger, changed: () => void, most = Number.POSITIVE_INFINITY) {
    this.most = most
    this.#hub = hub
    this.#topic = hub.topic(topic)
    this.#ledger = ledger
    this.#changed = changed
  }

  /** Events that a reply named. */
  get published(): number {
    return this.#answered
  }

  /** Events that were sent, or wait for a connection, and have no reply yet. */
  get unanswered(): number {
    return this.#orders - this.#answered - this.#failed
  }

  get last(): Receipt | undefined {
    return this.#last
  }

  get problem(): RepriseError | undefined {
    return this.#problem
  }

  get perSecond(): number {
    return this.#perSecond
  }

  /** It has published as many as it does here. */
  get isThrough(): boolean {
    return this.#orders >= this.most
  }

  publish(count: number): void {
    for (let i = 0; i < count; i++) {
      this.#topic.publish(makeOrder(++this.#orders)).then(
        (receipt) => {
          this.#answered++
          this.#last = receipt
          this.#problem = undefined
          this.#ledger.published(receipt)
          this.#changed()
        },
        (error: unknown) => {
          this.#failed++
          this.#problem = error instanceof RepriseError ? error : new RepriseError('internal', String(error))
          this.#changed()
        },
      )
    }
    this.#changed()
  }

  setRate(perSecond: number): void {
    this.#perSecond = perSecond
    clearInterval(this.#timer)
    if (perSecond > 0) this.#start(perSecond)
    this.#changed()
  }

  close(): void {
    clearInterval(this.#timer)
    void this.#hub.close({ drainMs: 0 })
  }

  #start(perSecond: number): void {
    let then = performance.now()
    let owed = 1
    this.#timer = setInterval(() => {
      const now = performance.now()
      if (this.unanswered < MAX_UNANSWERED) {
        owed += (Math.min(now - then, MAX_CATCH_UP_MS) * perSecond) / 1000
        const due = Math.floor(owed)
        owed -= due
        if (due > 0) this.publish(due)
        if (this.#orders >= this.most) this.setRate(0)
      }
      then = now
    }, TICK_MS)
  }
}
