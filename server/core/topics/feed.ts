/**
 * One topic's live stream on this node. It has a head, the position of the last event it has sent; a notification at or
 * below it is dropped, the next one is sent, one beyond makes it read what is missing and send that in order.
 * It keeps a bounded tail of what it sent last, so that a reader who is nearly there can join in one turn.
 */

import type { Position } from '../../../shared/positions.ts'
import type { Gap } from '../../../shared/protocol.ts'
import type { Notification, StoredEvent, Topics } from '../../store/contract/store.ts'
import type { Telemetry } from '../telemetry.ts'
import { type Entrant, itsTurn, PAGE_WEIGHT, sendLater } from '../turns.ts'
import type { Log } from './log.ts'
import type { Channel, Outlet } from './outlet.ts'
import { PACKET_BYTES, type Packet, packetsOf } from './packet.ts'
import { Sessions } from './sessions.ts'
import { sizeOf, Tail } from './tail.ts'

/** What follows a feed: a live subscription. */
export interface Follower {
  readonly outlet: Outlet
  /** It was too slow and is out of the feed, having been sent everything up to `position`. */
  fellBehind(position: Position): void
  /** Events were lost under a live subscription. */
  lost(gap: Gap): void
}

/** `read`: the feed is further, read on. `wait`: the feed has not got so far yet, see `reached`. */
export type Joined = 'joined' | 'read' | 'wait'

/** A reader that waits for the feed asks the log after this time: the notification may be lost. */
const PATIENCE_MS = 100

/** What is told while the feed reads is kept up to this. Beyond it nothing is kept, and all of it is read from the log. */
const MAX_PENDING_BYTES = 1_048_576

type Appended = Extract<Notification, { readonly kind: 'appended' }>

export class Feed implements Entrant {
  readonly topic: string
  readonly hasWork = false
  readonly sessions = new Sessions()
  readonly #log: Log
  readonly #telemetry: Telemetry
  readonly #followers = new Map<Channel, Set<Follower>>()
  #size = 0
  readonly #tail = new Tail()
  #head: Position | undefined
  #pending: Appended[] = []
  #pendingBytes = 0
  /** What is told waits for its turn, as there are many to send it to: what comes meanwhile goes with it. */
  #held = false
  #reading = false
  #readAgain = false
  #waiting: (() => void)[] = []
  #unwatch: (() => void) | undefined
  #stopped = false

  constructor(topic: string, log: Log, telemetry: Telemetry) {
    this.topic = topic
    this.#log = log
    this.#telemetry = telemetry
  }

  async start(topics: Topics): Promise<void> {
    const unwatch = await topics.watch(this.topic, (notification) => this.#told(notification))
    if (this.#stopped) unwatch()
    else this.#unwatch = unwatch
  }

  stop(): void {
    this.#stopped = true
    this.#unwatch?.()
    this.#advanced()
  }

  /**
   * Joins in this turn, if what was read up to `position` and what the feed sends next fit together. `head`: the log's,
   * as the caller has seen it since the feed watches. No follower is live before it has got everything up to there.
   */
  follow(position: Position, head: Position, follower: Follower): Joined {
    if (!this.#held) this.#flush()
    if (this.#reading) return 'wait'
    this.#head ??= head
    const { epoch, offset } = this.#head
    if (head.epoch !== epoch || head.offset > offset) return 'wait'
    const missing = position.epoch === epoch ? this.#tail.after(position.offset, this.#head) : undefined
    if (missing === undefined) return 'read'
    for (const item of missing) {
      if ('events' in item) {
        follower.outlet.push(item)
        this.#delivered(item, 'replay', 1)
      } else follower.lost(item)
    }
    const { channel } = follower.outlet
    const group = this.#followers.get(channel)
    if (group === undefined) this.#followers.set(channel, new Set([follower]))
    else group.add(follower)
    this.#size += 1
    follower.outlet.live(offset)
    return 'joined'
  }

  /** Takes a follower out, in this turn, and answers up to where it was sent everything. */
  unfollow(follower: Follower): Position | undefined {
    const { channel } = follower.outlet
    const group = this.#followers.get(channel)
    if (!group?.delete(follower)) return undefined
    this.#size -= 1
    if (group.size === 0) this.#followers.delete(channel)
    follower.outlet.leave()
    return this.#head
  }

  follows(follower: Follower): boolean {
    return this.#followers.get(follower.outlet.channel)?.has(follower) ?? false
  }

  /** The last event that it has sent. */
  get head(): Position | undefined {
    return this.#head
  }

  /** Resolves when the feed has moved, or after having looked at the log. */
  async reached(): Promise<void> {
    await new Promise<void>((resolve) => {
      const patience = setTimeout(() => {
        this.check()
        resolve()
      }, PATIENCE_MS)
      this.#waiting.push(() => {
        clearTimeout(patience)
        resolve()
      })
    })
  }

  /** Compares with the log and sends what no notification told of. */
  check(): void {
    if (this.#head === undefined || this.#stopped) return
    if (this.#reading) {
      this.#readAgain = true
      return
    }
    this.#reading = true
    this.#catchUp()
      .catch((error) => this.#telemetry.failed(`reading ${this.topic} for its live subscribers`, error))
      .finally(() => {
        this.#reading = false
        this.#flush()
        this.#advanced()
      })
  }

  #told(notification: Notification): void {
    switch (notification.kind) {
      case 'session':
        this.sessions.began(notification.owner, notification.session)
        return
      case 'changed':
      case 'lost':
        this.check()
        return
      case 'appended':
        // What becomes durable in one turn leaves as one packet, without a timer.
        if (this.#pending.push(notification) === 1) {
          this.#held = sendLater(this)
          if (!this.#held) queueMicrotask(() => this.#flush())
        }
        if (!this.#reading && !this.#held) return
        for (const event of notification.events) this.#pendingBytes += sizeOf(event)
        if (this.#reading && this.#pendingBytes > MAX_PENDING_BYTES) {
          this.#takePending()
          this.#readAgain = true
        } else if (this.#pendingBytes > PACKET_BYTES) this.#flush()
    }
  }

  /** How many it sends to. */
  get weight(): number {
    return this.#size
  }

  /** Its turn has come. */
  step(): number {
    const { weight } = this
    this.#flush()
    return weight
  }

  #flush(): void {
    if (this.#reading || this.#stopped) return
    if (this.#pending.length === 0 && !this.#readAgain) return
    const pending = this.#takePending()
    const fresh: StoredEvent[] = []
    for (const { epoch, head, events } of pending) {
      // Without a head nobody has joined yet: the feed begins with the first it is told.
      this.#head ??= { epoch, offset: events[0] === undefined ? head : events[0].offset - 1 }
      const sent = this.#head.offset + fresh.length
      if (epoch === this.#head.epoch && head <= sent) continue
      const first = events[0]?.offset
      if (epoch !== this.#head.epoch || first === undefined || first > sent + 1) {
        this.#readAgain = true
        continue
      }
      for (const event of events) if (event.offset > sent) fresh.push(event)
    }
    if (fresh.length > 0) this.#send(fresh)
    if (this.#readAgain) this.check()
    else this.#advanced()
  }

  #takePending(): readonly Appended[] {
    const pending = this.#pending
    this.#pending = []
    this.#pendingBytes = 0
    this.#held = false
    return pending
  }

  /** Whether what was told continues at the head: to read up to the log's head would have no end while publishing is as fast. */
  #isTold({ epoch, offset }: Position): boolean {
    const next = this.#pending.find(({ head }) => head > offset)
    const first = next?.events[0]
    return next?.epoch === epoch && first !== undefined && first.offset <= offset + 1
  }

  /** Events behind the head, without a hole. */
  #send(events: readonly StoredEvent[]): void {
    const { epoch } = this.#head ?? { epoch: '' }
    this.#tail.push(events)
    this.#broadcast(epoch, packetsOf(epoch, events))
  }

  #broadcast(epoch: string, items: readonly (Packet | Gap)[]): void {
    for (const item of items) {
      if ('events' in item) {
        this.#head = { epoch, offset: item.last }
        for (const channel of this.#followers.keys()) channel.broadcast(item)
        if (this.#size > 0) this.#delivered(item, 'live', this.#size)
      } else {
        this.#head = item.position
        for (const group of this.#followers.values()) for (const follower of [...group]) follower.lost(item)
      }
    }
    for (const group of this.#followers.values()) {
      for (const follower of group) if (follower.outlet.overfull) this.#drop(follower)
    }
  }

  #delivered({ events }: Packet, kind: 'live' | 'replay', subscriptions: number): void {
    const { meter, spans } = this.#telemetry
    if (kind === 'live') meter.delivered(this.topic, events, subscriptions)
    else meter.replayed(this.topic, events)
    spans.delivered(this.topic, events, kind, subscriptions)
  }

  #drop(follower: Follower): void {
    const position = this.unfollow(follower)
    if (position !== undefined) follower.fellBehind(position)
  }

  /** Reads from the head on. Without followers there is nobody to send to: the feed just moves to the log's head. */
  async #catchUp(): Promise<void> {
    do {
      this.#readAgain = false
      for (;;) {
        const head = this.#head
        if (head === undefined || this.#stopped) return
        if (this.#followers.size === 0) {
          const bounds = await this.#log.bounds(this.topic)
          this.#tail.clear()
          this.#head = { epoch: bounds.epoch, offset: bounds.head }
          break
        }
        const step = await this.#log.step(this.topic, head)
        if (step.items.length > 0) this.#tail.clear()
        this.#head = step.position
        this.#broadcast(step.head.epoch, step.items)
        if (this.#head.offset === step.head.offset || this.#isTold(this.#head)) break
        await itsTurn(PAGE_WEIGHT)
      }
    } while (this.#readAgain)
  }

  #advanced(): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const resolve of waiting) resolve()
  }
}
