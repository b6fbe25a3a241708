/**
 * Drafts of one topic on their way to the hub: bounded, in order, numbered, so that what is sent again after a lost
 * reply is kept once. It packs what waits into packets, keeps a few of them in flight, and mends the row after errors.
 *
 * The hub takes a producer's numbers strictly in a row, so whatever was in flight behind a packet that failed has
 * failed as well. Therefore: wait until all in flight have come back, then go on from the first that failed.
 */

import { RepriseError } from '../../shared/errors.ts'
import { DEFAULT_LIMITS, type Draft, type Durability, type Limits } from '../../shared/protocol.ts'
import { fullJitter } from '../connection/backoff.ts'
import { after } from '../connection/timer.ts'
import { Tally } from '../tally.ts'
import type { Row } from './keeping.ts'
import { type Size, tooLarge } from './measure.ts'
import {
  draftsOf,
  type Entry,
  entryOf,
  fits,
  isTooOld,
  lateReply,
  markRefused,
  type Packet,
  partsOf,
  takeFrom,
  takeOff,
  unknownOutcome,
} from './packet.ts'
import type { OutboxOptions, Post } from './post.ts'
import { randomName } from './randomName.ts'

/** Packets in flight: enough to keep the hub busy while replies travel. */
const WINDOW = 4
/** Lost so often, a packet may be what closes the connection: from then on it goes in halves. */
const MAX_WHOLE_TRIES = 3
const RETRY = { baseMs: 100, maxMs: 5_000 }

export class Outbox<R> {
  /** How the hub keeps drafts: where each packet costs it a sync of the disk, what waits is not spread. */
  durability: Durability | undefined
  readonly #post: Post<R>
  readonly #options: OutboxOptions<R>
  #fitted: Limits | undefined
  /** Numbers behind those of drafts that are given up, of which nobody knows whether the hub has them. */
  readonly #holes = new Set<number>()
  #producer = randomName()
  #nextSeq = 1
  /** Not packed yet. */
  readonly #queue: Entry<R>[] = []
  /** Of earlier pages: each goes under its own numbers, and all before what waits. */
  #rows: Row<R>[] = []
  /** The pipeline has the numbers of an earlier page. */
  #earlier = false
  /** Packed and not settled, in order; the first `#sent` of them have been sent since the last mending. */
  #pipeline: Packet<R>[] = []
  #sent = 0
  #inFlight = 0
  #failed = false
  #failures = 0
  #timer: ReturnType<typeof setTimeout> | undefined
  #scheduled = false
  /** Drafts that are neither kept nor refused yet. */
  readonly #held = new Tally()

  constructor(post: Post<R>, options: OutboxOptions<R>) {
    this.#post = post
    this.#options = options
  }

  get size(): number {
    return this.#held.count
  }

  /** What is held, in order. */
  get waiting(): readonly Entry<R>[] {
    const packets = [...this.#pipeline, ...this.#rows.flatMap((row) => row.packets)]
    return [...packets.flatMap(({ entries }) => entries), ...this.#queue].filter(({ over }) => !over)
  }

  /** What earlier pages have left. Asked before anything is sent. */
  restore(rows: readonly Row<R>[], waiting: readonly Entry<R>[]): void {
    this.#rows.push(...rows)
    this.#earlier ||= rows.length > 0
    this.#queue.unshift(...waiting)
    for (const entry of [...waiting, ...rows.flatMap(({ packets }) => packets.flatMap(({ entries }) => entries))]) {
      this.#held.add(entry.bytes)
      if (entry.expiresAt !== undefined && !entry.sent) this.#limit(entry, entry.expiresAt - entry.at)
    }
    this.#schedule()
  }

  add(draft: Draft, size: Size, timeoutMs: number | undefined): Promise<R> {
    // Unknown without a connection.
    const refusal = this.#post.connected ? tooLarge(size.bytes, this.#limits) : undefined
    if (refusal !== undefined) return Promise.reject(refusal)
    const { count, bytes: held } = this.#held
    if (count >= this.#options.maxDrafts || held + size.bytes > this.#options.maxBytes) {
      const text = `the outbox is full: ${count} drafts, ${held} bytes wait for the hub`
      return Promise.reject(new RepriseError('too_many', text))
    }
    this.#held.add(size.bytes)
    const entry = entryOf<R>(draft, size)
    if (timeoutMs !== undefined) this.#limit(entry, timeoutMs)
    this.#queue.push(entry)
    this.#options.keeping?.add(entry)
    this.#schedule()
    return entry.outcome
  }

  joined(): void {
    this.#flush()
  }

  /** Rejects everything: the hub refused for good, or the handle was closed. */
  fail(error: RepriseError): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    const packets = [...this.#pipeline.splice(0), ...this.#rows.splice(0).flatMap((row) => row.packets)]
    const waiting = this.#queue.splice(0)
    this.#earlier = false
    this.#sent = 0
    this.#renew()
    for (const packet of packets) this.#reject(packet, error, packet.uncertain || packet.error === undefined)
    for (const entry of waiting) this.#settle(entry, error)
  }

  /** Resolves when nothing waits any more. */
  drained(): Promise<void> {
    return this.#held.none()
  }

  /** Two turns of microtasks later, so that all that is published in answer to one packet travels together. */
  #schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    queueMicrotask(() => queueMicrotask(() => this.#flush()))
  }

  #flush(): void {
    this.#scheduled = false
    if (this.size === 0 || this.#failed || this.#timer !== undefined) return
    if (!this.#post.connected) return void this.#post.open()
    if (this.#sent === 0) this.#fit()
    while (this.#inFlight < WINDOW && !this.#failed) {
      while (this.#earlier && this.#pipeline.length === 0) this.#nextRow()
      if (this.#sent === this.#pipeline.length && (this.#earlier || !this.#pack())) return
      const packet = this.#pipeline[this.#sent++]
      if (packet !== undefined) void this.#send(packet)
    }
  }

  /** Goes on with what the next earlier page has left, and behind the last one under numbers of its own. */
  #nextRow(): void {
    const row = this.#rows.shift()
    this.#earlier = row !== undefined
    this.#renew()
    if (row === undefined) return
    this.#producer = row.producer
    this.#nextSeq = row.nextSeq
    this.#pipeline = row.packets
    this.#fitted = undefined
    this.#fit()
  }

  /** Drafts that were refused and whose time is over are never sent again; what may have been kept has its numbers. */
  #dropExpired(): void {
    const [first] = this.#pipeline
    const late = this.#pipeline.flatMap(({ entries }) => entries.filter(({ over }) => over))
    if (first === undefined || first.uncertain || late.length === 0) return
    for (const entry of late) this.#options.keeping?.settled(entry)
    const left = this.#pipeline.map((packet) => ({ ...packet, entries: packet.entries.filter(({ over }) => !over) }))
    this.#pipeline = left.filter(({ entries }) => entries.length > 0)
    this.#renumber(first.seq)
  }

  get #limits(): Limits {
    return this.#post.limits ?? DEFAULT_LIMITS
  }

  /** Packets were made for another connection, whose hub may have taken more; and some time ago. */
  #fit(): void {
    this.#dropExpired()
    if (isTooOld(this.#pipeline[0])) this.#abandon(new RepriseError('conflict', 'the hub was away for too long'))
    const limits = this.#limits
    if (limits === this.#fitted) return
    this.#fitted = limits
    for (const packet of [...this.#pipeline]) if (!fits(packet, limits)) this.#split(packet, 1)
    for (const packet of [...this.#pipeline]) {
      const [entry] = packet.entries
      const refusal = packet.entries.length === 1 && entry !== undefined ? tooLarge(entry.bytes, limits) : undefined
      if (refusal === undefined) continue
      const place = this.#pipeline.indexOf(packet)
      this.#pipeline.splice(place, 1)
      this.#reject(packet, refusal, packet.uncertain)
      // Its number may be taken: what stands behind it keeps its own, and a conflict there says that it is not.
      if (packet.uncertain) this.#holes.add(packet.seq + 1)
      else this.#renumber(packet.seq, place)
    }
  }

  /** Makes a packet of the next drafts; `false` when none wait. */
  #pack(): boolean {
    const waiting = this.#queue.length
    const share = this.durability === 'fsync' ? waiting : Math.ceil(waiting / (WINDOW - this.#inFlight))
    const entries = takeFrom(this.#queue, this.#limits, share, (entry, refusal) => this.#settle(entry, refusal))
    if (entries.length === 0) return false
    this.#pipeline.push({ seq: this.#nextSeq, entries, tries: 0, sentAt: 0, uncertain: false, error: undefined })
    this.#nextSeq += entries.length
    return true
  }

  async #send(packet: Packet<R>): Promise<void> {
    this.#inFlight++
    for (const entry of packet.entries) entry.sent = true
    if (packet.tries++ === 0 && !packet.uncertain) packet.sentAt = Date.now()
    try {
      const { keeping } = this.#options
      if (keeping !== undefined) {
        await keeping.sending(packet, this.#producer)
        // Everything may have been failed meanwhile.
        if (!this.#pipeline.includes(packet)) throw new RepriseError('unavailable', 'it is not to be sent any more')
      }
      const drafts = draftsOf(packet)
      const receipts = await this.#post.send(drafts, { producer: this.#producer, seq: packet.seq }, packet.uncertain)
      this.#inFlight--
      this.#kept(packet, receipts)
    } catch (error) {
      this.#inFlight--
      packet.error = RepriseError.fromWire(error)
      this.#failed = true
    }
    if (this.#failed && this.#inFlight === 0) this.#mend()
    else if (!this.#failed) this.#schedule()
  }

  #kept(packet: Packet<R>, receipts: readonly R[]): void {
    const place = this.#pipeline.indexOf(packet)
    // Not there when everything was failed meanwhile.
    if (place < 0) return
    this.#pipeline.splice(place, 1)
    this.#sent--
    this.#failures = 0
    for (const [i, entry] of packet.entries.entries())
      this.#settle(entry, receipts[i] ?? new RepriseError('internal', 'the hub did not answer for every draft'))
  }

  /** Nothing is in flight: decides about the first packet that failed, and sends what is behind it again. */
  #mend(): void {
    this.#failed = false
    this.#sent = 0
    const first = this.#pipeline.find((packet) => packet.error !== undefined)
    const error = first?.error
    for (const packet of this.#pipeline) {
      // `too_many` and `storage_full` are refusals; after the other retryable ones nobody knows.
      if (packet.error?.retryable && packet.error.code !== 'too_many' && packet.error.code !== 'storage_full') {
        packet.uncertain = true
      }
      packet.error = undefined
    }
    if (first === undefined || error === undefined) {
      // What failed was given up meanwhile.
    } else if (error.retryable) {
      // The row stops at what was refused for certain: nothing behind it was taken.
      if (!first.uncertain) markRefused(this.#pipeline, error)
      if (first.uncertain && first.tries >= MAX_WHOLE_TRIES) this.#split(first, Math.ceil(first.entries.length / 2))
      this.#retryLater(error)
    } else if (error.code === 'conflict' && this.#holes.has(first.seq)) {
      this.#renew()
    } else if (first.uncertain) {
      this.#abandon(error)
    } else if (error.code === 'conflict' && first.seq > 1) {
      // The hub has forgotten this producer (a long sleep, another data folder). It took nothing: begin anew.
      this.#renew()
    } else if ((error.code === 'too_large' || error.code === 'bad_request') && first.entries.length > 1) {
      // One of them is at fault; the others should not pay for it.
      this.#split(first, 1)
    } else {
      this.#pipeline.shift()
      this.#reject(first, error, false)
      this.#renumber(first.seq)
    }
    this.#flush()
  }

  /** The outcome of the first packet cannot be learned any more, nor of those whose replies were lost with its reply. */
  #abandon(error: RepriseError): void {
    const lost = this.#pipeline.filter((packet) => packet.uncertain)
    this.#pipeline = this.#pipeline.filter((packet) => !packet.uncertain)
    this.#renew()
    for (const packet of lost) this.#reject(packet, error, true)
  }

  #retryLater(error: RepriseError): void {
    // Without a connection the next one is what to wait for.
    if (!this.#post.connected) return
    const delayMs = fullJitter(this.#failures++, RETRY, error.retryAfterMs)
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      this.#flush()
    }, delayMs)
  }

  #split(packet: Packet<R>, size: number): void {
    this.#pipeline.splice(this.#pipeline.indexOf(packet), 1, ...partsOf(packet, size))
  }

  /** A new producer: the row begins at 1 with the first packet that is left. */
  #renew(): void {
    this.#producer = randomName()
    this.#holes.clear()
    this.#renumber(1)
  }

  /** None of these numbers has been taken, so they are free for the packets that are left. */
  #renumber(seq: number, from = 0): void {
    this.#nextSeq = seq
    for (const packet of this.#pipeline.slice(from)) {
      packet.seq = this.#nextSeq
      packet.uncertain = false
      this.#nextSeq += packet.entries.length
    }
  }

  #reject(packet: Packet<R>, error: RepriseError, unknown: boolean): void {
    const told = unknown ? unknownOutcome(error) : error
    for (const entry of packet.entries) this.#settle(entry, told)
  }

  #limit(entry: Entry<R>, timeoutMs: number): void {
    entry.expiresAt = entry.at + timeoutMs
    const leftMs = entry.expiresAt - Date.now()
    const expire = () => {
      takeOff(this.#queue, entry)
      this.#settle(entry, lateReply(entry, timeoutMs), !entry.sent)
    }
    if (leftMs < 0) expire()
    else entry.cancel = after(leftMs, expire)
  }

  #settle(entry: Entry<R>, result: R | RepriseError, answered = true): void {
    if (answered) this.#options.keeping?.settled(entry)
    if (entry.over) return
    entry.over = true
    entry.cancel?.()
    if (result instanceof RepriseError) entry.reject(result)
    else entry.resolve(result)
    this.#held.remove(entry.bytes)
  }
}
