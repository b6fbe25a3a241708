/** One subscriber of the page: a connection of its own, which can be cut, and what came over it. */

import type { Gap, Hub, Received, Status, SubscribeOptions, Subscription } from '../../../client/index.ts'
import type { Ledger, Track } from '../counting/ledger.ts'
import type { Visit } from '../visit.ts'
import { Feed } from './feed.ts'
import { lineOf } from './orders.ts'

/** How often, while live, what is due is looked at. */
const SETTLE_MS = 1_000
const SECOND_MS = 1_000
const MAX_LATELY = 20_000

interface SubscriberOptions {
  readonly client: string
  readonly topic: string
  readonly options?: SubscribeOptions
  readonly onGap?: (gap: Gap) => void
}

export class Subscriber {
  readonly name: string
  readonly track: Track
  readonly feed = new Feed()
  /** How long its handler takes for an event. */
  slowMs = 0
  readonly #hub: Hub
  readonly #subscription: Subscription
  readonly #changed: () => void
  readonly #timer: ReturnType<typeof setInterval>
  /** When those of the last second came. */
  #lately: number[] = []
  #cut = false
  #away = false

  constructor(visit: Visit, { client, topic, options, onGap }: SubscriberOptions, ledger: Ledger, changed: () => void) {
    this.name = `client ${client}`
    this.track = ledger.track()
    this.#changed = changed
    this.#hub = visit.connect(client)
    this.#subscription = this.#hub.topic(topic).subscribe((event) => this.#arrived(event), options)
    this.#subscription.onStatus((status) => this.#moved(status))
    this.#subscription.onGap((gap) => {
      this.track.gap(gap)
      this.feed.add({ kind: 'gap', gap })
      onGap?.(gap)
      changed()
    })
    this.#timer = setInterval(() => {
      // What waits for a slow handler is not due.
      if (this.status.state !== 'live' || this.slowMs > 0) return
      this.track.settle()
      changed()
    }, SETTLE_MS)
  }

  get status(): Status {
    return this.#subscription.status
  }

  get isCut(): boolean {
    return this.#cut
  }

  /** Events that came within the last second. */
  get perSecond(): number {
    const since = performance.now() - SECOND_MS
    const first = this.#lately.findIndex((at) => at > since)
    this.#lately = first === -1 ? [] : this.#lately.slice(first)
    return this.#lately.length
  }

  /** Closes the transport, with no word to the hub, and stays away; or comes back. */
  cut(cut: boolean): void {
    if (cut === this.#cut) return
    this.#cut = cut
    if (cut) this.#hub.suspend()
    else this.#hub.resume()
    this.#changed()
  }

  close(): void {
    clearInterval(this.#timer)
    void this.#hub.close({ drainMs: 0 })
  }

  async #arrived({ offset, at, data }: Received): Promise<void> {
    if (this.slowMs > 0) await new Promise((resolve) => setTimeout(resolve, this.slowMs))
    this.#lately.push(performance.now())
    if (this.#lately.length > MAX_LATELY) this.#lately = this.#lately.slice(-MAX_LATELY / 2)
    const again = this.track.has(offset)
    const mark = this.track.arrived(offset)
    this.feed.add({ kind: 'event', offset, at, text: lineOf(data), mark, again })
    this.#changed()
  }

  #moved(status: Status): void {
    if (status.state === 'offline') this.#left()
    if (status.state === 'catching-up' && status.done === 0) this.#returned(status.total)
    this.#changed()
  }

  #left(): void {
    if (this.#away || !this.track.started) return
    this.#away = true
    this.track.left()
    this.feed.add({ kind: 'cut', text: this.#cut ? 'the connection was cut' : 'the connection was lost' })
  }

  #returned(behind: number): void {
    // What was published before this page was there is shown, and not counted.
    if (!this.track.started) this.track.startAfter(this.#subscription.position?.offset ?? 0, behind)
    else if (this.#away) {
      this.track.returned(behind)
      this.feed.add({ kind: 'back', text: behind === 0 ? 'back: nothing was missed' : `back: ${behind} to replay` })
    }
    this.#away = false
  }
}
