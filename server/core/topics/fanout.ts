/** Which topics this node serves: one feed for each with subscriptions, and the only way events reach them. */

import { RepriseError } from '../../../shared/errors.ts'
import type { Store } from '../../store/contract/store.ts'
import type { Telemetry } from '../telemetry.ts'
import { itsTurn } from '../turns.ts'
import { Feed } from './feed.ts'
import type { Log } from './log.ts'

/** How often feeds are compared with the log, as notifications can be lost. */
const CHECK_MS = 3_000
/** How often the cursors of open sessions count as used: a quiet topic's would expire under its live subscribers. */
const TOUCH_MS = 86_400_000

export class Fanout {
  readonly #store: Store
  readonly #log: Log
  readonly #telemetry: Telemetry
  readonly #feeds = new Map<string, { readonly feed: Feed; readonly ready: Promise<void>; users: number }>()
  readonly #timers: readonly NodeJS.Timeout[]
  #checking = false

  constructor(store: Store, log: Log, telemetry: Telemetry) {
    this.#store = store
    this.#log = log
    this.#telemetry = telemetry
    this.#timers = [setInterval(() => void this.#check(), CHECK_MS), setInterval(() => void this.touch(), TOUCH_MS)]
    for (const timer of this.#timers) timer.unref()
  }

  /** The topic's feed, watching already. Each call needs its `release`. */
  async watch(topic: string): Promise<Feed> {
    let entry = this.#feeds.get(topic)
    if (entry === undefined) {
      const feed = new Feed(topic, this.#log, this.#telemetry)
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

  /** Each topic that this node serves, with its subscriptions here. */
  *all(): Generator<readonly [topic: string, subscriptions: number]> {
    for (const [topic, { users }] of this.#feeds) yield [topic, users]
  }

  /** Subscriptions of a topic on this node. */
  subscribers(topic: string): number {
    return this.#feeds.get(topic)?.users ?? 0
  }

  close(): void {
    for (const timer of this.#timers) clearInterval(timer)
    for (const { feed } of this.#feeds.values()) feed.stop()
    this.#feeds.clear()
  }

  /** Uses every cursor that a session is open for, without moving it. */
  async touch(): Promise<void> {
    for (const { feed } of [...this.#feeds.values()]) {
      for (const { owner, session } of feed.sessions.all()) {
        try {
          const { epoch } = await this.#log.bounds(feed.topic)
          await this.#store.cursors.commit(feed.topic, owner, session, { epoch, offset: 0 })
        } catch (error) {
          // One that was taken over meanwhile is used by its new session.
          if (!(error instanceof RepriseError)) this.#telemetry.failed('using the cursors of open sessions', error)
        }
      }
    }
  }

  /** One feed after the other: there may be thousands. */
  async #check(): Promise<void> {
    if (this.#checking) return
    this.#checking = true
    for (const { feed } of this.#feeds.values()) {
      await itsTurn(1)
      feed.check()
    }
    this.#checking = false
  }
}
