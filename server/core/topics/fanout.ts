/** Which topics this node serves: one feed for each with subscriptions, and the only way events reach them. */

import type { Store } from '../../store/contract.ts'
import type { Happenings } from '../happenings.ts'
import { Feed } from './feed.ts'
import type { Log } from './log.ts'

/** How often feeds are compared with the log, as notifications can be lost. */
const CHECK_MS = 3_000

export class Fanout {
  readonly #store: Store
  readonly #log: Log
  readonly #happenings: Happenings
  readonly #feeds = new Map<string, { readonly feed: Feed; readonly ready: Promise<void>; users: number }>()
  readonly #timer: NodeJS.Timeout

  constructor(store: Store, log: Log, happenings: Happenings) {
    this.#store = store
    this.#log = log
    this.#happenings = happenings
    this.#timer = setInterval(() => this.#check(), CHECK_MS)
    this.#timer.unref()
  }

  /** The topic's feed, watching already. Each call needs its `release`. */
  async watch(topic: string): Promise<Feed> {
    let entry = this.#feeds.get(topic)
    if (entry === undefined) {
      const feed = new Feed(topic, this.#log, this.#happenings)
      entry = { feed, ready: feed.start(this.#store.topics), users: 0 }
      this.#feeds.set(topic, entry)
    }
    entry.users += 1
    try {
      await entry.ready
    } catch (error) {
      this.release(entry.feed)
      // The next one tries anew instead of meeting the same failure.
      if (this.#feeds.get(topic) === entry) this.#feeds.delete(topic)
      throw error
    }
    return entry.feed
  }

  release(feed: Feed): void {
    const entry = this.#feeds.get(feed.topic)
    if (entry === undefined || entry.feed !== feed) return
    entry.users -= 1
    if (entry.users > 0) return
    this.#feeds.delete(feed.topic)
    feed.stop()
  }

  /** Subscriptions of a topic on this node. */
  subscribers(topic: string): number {
    return this.#feeds.get(topic)?.users ?? 0
  }

  close(): void {
    clearInterval(this.#timer)
    for (const { feed } of this.#feeds.values()) feed.stop()
    this.#feeds.clear()
  }

  #check(): void {
    for (const { feed } of this.#feeds.values()) feed.check()
  }
}
