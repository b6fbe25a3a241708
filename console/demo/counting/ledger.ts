/**
 * The bookkeeping of the page: what the publish replies named against what each subscriber got. Offsets only; it knows
 * nothing of connections and of the screen.
 */

import type { Gap, Position } from '../../../client/index.ts'
import { intersection, RangeSet, rangeSet } from './ranges.ts'

/** All of events that publish replies named and that are behind the subscriber's start. */
export interface Counts {
  readonly published: number
  /** Came at least once. */
  readonly here: number
  /** Were published while the subscriber was away. */
  readonly missed: number
  /** Missed ones that came. */
  readonly replayed: number
  /** Never came, although a later one did, or although the subscriber is live again. */
  readonly lost: number
  /** Lost ones that a gap told of. */
  readonly told: number
  /** Came again. */
  readonly twice: number
  /** Came after a later one. */
  readonly disordered: number
  /** Came although they were published before the page was there; in no other count. */
  readonly earlier: number
}

export type Mark = 'live' | 'replayed' | 'awaited' | 'lost'

export class Ledger {
  /** Offsets that publish replies named. */
  readonly receipts = new RangeSet()
  readonly tracks: Track[] = []
  /** The same by epoch: when counting starts again, those of the new epoch stay. */
  readonly #byEpoch = new Map<string, RangeSet>()
  /** Epochs before the last new start: what still names them is late. */
  readonly #over = new Set<string>()
  #epoch: string | undefined

  track(): Track {
    const track = new Track(this)
    this.tracks.push(track)
    return track
  }

  published({ epoch, offset }: Position): void {
    if (this.#over.has(epoch)) return
    // An offset that was named before belongs to another log of the same name.
    if (this.receipts.has(offset)) this.begin(epoch)
    this.receipts.add(offset)
    const own = this.#byEpoch.get(epoch) ?? new RangeSet()
    own.add(offset)
    this.#byEpoch.set(epoch, own)
  }

  /** The log lost its continuity, and its offsets may name other events: counting starts again, once an epoch. */
  begin(epoch: string): void {
    if (this.#epoch === epoch || this.#over.has(epoch)) return
    if (this.#epoch !== undefined) this.#over.add(this.#epoch)
    this.#epoch = epoch
    this.receipts.clear()
    for (const [other, offsets] of this.#byEpoch) {
      if (other === epoch) for (const { from, to } of offsets.ranges) this.receipts.add(from, to)
      else {
        this.#over.add(other)
        this.#byEpoch.delete(other)
      }
    }
    for (const track of this.tracks) track.begin()
  }
}

/** What one subscriber got. */
export class Track {
  readonly #ledger: Ledger
  readonly #seen = new RangeSet()
  readonly #away = new RangeSet()
  readonly #gaps = new RangeSet()
  /** The event the subscription starts after; `undefined` before the hub named it. */
  #start: number | undefined
  /** How many events from before the page was there come first. */
  #first = 0
  /** The highest offset that came, or that the subscription has nothing to do with. */
  #last = 0
  /** The highest offset that came. What was published before the page was there comes too, below the start. */
  #arrived = 0
  /** The last event before the subscriber went away, while it is. */
  #leftAt: number | undefined
  /** Up to here everything has had time to come. */
  #dueUpTo = 0
  /** What the replies had named when `settle` was last called. */
  #named = 0
  /** How many events the subscriber is catching up with since it came back. */
  #behind = 0
  #twice = 0
  #disordered = 0

  constructor(ledger: Ledger) {
    this.#ledger = ledger
  }

  get started(): boolean {
    return this.#start !== undefined
  }

  /** Events up to `offset` are none of this subscription's business, nor are the `behind` ones that it begins with. */
  startAfter(offset: number, behind = 0): void {
    if (this.#start !== undefined) return
    this.#start = offset + behind
    this.#last = Math.max(this.#last, this.#start)
    this.#first = behind
  }

  has(offset: number): boolean {
    return this.#seen.has(offset)
  }

  /** An event came. */
  arrived(offset: number): 'live' | 'replayed' {
    if (this.#seen.has(offset)) this.#twice++
    else if (offset < this.#arrived) this.#disordered++
    // What comes while it is away had reached the page before.
    if (this.#leftAt !== undefined) this.#leftAt = Math.max(this.#leftAt, offset)
    this.#seen.add(offset)
    this.#arrived = Math.max(this.#arrived, offset)
    this.#last = Math.max(this.#last, offset)
    return this.#away.has(offset) || offset <= (this.#start ?? 0) ? 'replayed' : 'live'
  }

  left(): void {
    if (this.#start === undefined) return
    this.#leftAt ??= this.#last
    this.#named = 0
    this.#first = 0
  }

  /** The hub knows the subscriber again and names how many events it is behind. */
  returned(behind: number): void {
    if (this.#leftAt === undefined) return
    this.#away.add(this.#leftAt + 1, Math.max(this.#leftAt + behind, this.#ledger.receipts.max))
    this.#leftAt = undefined
    this.#behind = behind
  }

  /** Called now and then while the subscriber is live: what was named by the last time is due by now. */
  settle(): void {
    this.#dueUpTo = Math.max(this.#dueUpTo, this.#named)
    this.#named = this.#ledger.receipts.max
    this.#behind = 0
  }

  gap({ epoch, from, to, reason, position }: Gap): void {
    if (reason === 'reset') {
      this.#ledger.begin(epoch)
      // Another subscriber may have been told first, and this one's books were closed in the old log's numbers.
      this.restart(position.offset)
      this.#away.add(position.offset + 1, position.offset + this.#behind)
    } else if (from !== null && to !== null) {
      this.#gaps.add(from, to)
      // Those that it begins with stand behind what is gone.
      if (this.#arrived === 0 && this.#first > 0) this.#start = Math.max(this.#start ?? 0, to + this.#first)
      this.#last = Math.max(this.#last, to)
    }
  }

  /** The log began anew: the next event has the number behind `offset`. */
  restart(offset: number): void {
    this.begin()
    this.#first = 0
    this.#start = offset
    this.#last = offset
  }

  /** What has not come up to here never does. */
  nothingComesUpTo(offset: number): void {
    this.#dueUpTo = Math.max(this.#dueUpTo, offset)
  }

  begin(): void {
    for (const set of [this.#seen, this.#away, this.#gaps]) set.clear()
    if (this.#start !== undefined) this.#start = this.#last
    if (this.#leftAt !== undefined) this.#leftAt = this.#last
    this.#dueUpTo = 0
    this.#named = 0
    this.#arrived = 0
    this.#twice = 0
    this.#disordered = 0
  }

  counts(): Counts {
    const start = this.#start ?? Number.POSITIVE_INFINITY
    const published = intersection(this.#ledger.receipts, rangeSet([start + 1, Number.POSITIVE_INFINITY]))
    const missed = intersection(published, this.#awayNow())
    const due = intersection(published, rangeSet([1, this.#due()]))
    const lost = due.size - intersection(due, this.#seen).size
    const gone = intersection(published, this.#gaps)
    return {
      published: published.size,
      here: intersection(published, this.#seen).size,
      missed: missed.size,
      replayed: intersection(missed, this.#seen).size,
      lost,
      told: gone.size - intersection(gone, this.#seen).size,
      twice: this.#twice,
      disordered: this.#disordered,
      earlier: intersection(this.#seen, rangeSet([1, this.#start ?? 0])).size,
    }
  }

  /** How an event stands, for the picture of the latest ones. */
  mark(offset: number): Mark | undefined {
    if (offset <= (this.#start ?? 0)) return undefined
    if (this.#seen.has(offset)) return this.#away.has(offset) ? 'replayed' : 'live'
    if (this.#gaps.has(offset)) return 'lost'
    if (!this.#ledger.receipts.has(offset)) return undefined
    return offset <= this.#due() ? 'lost' : 'awaited'
  }

  /** The highest offset that came. */
  get last(): number {
    return this.#last
  }

  #due(): number {
    return Math.max(this.#last, this.#dueUpTo)
  }

  #awayNow(): RangeSet {
    if (this.#leftAt === undefined) return this.#away
    const away = rangeSet([this.#leftAt + 1, Number.POSITIVE_INFINITY])
    for (const { from, to } of this.#away.ranges) away.add(from, to)
    return away
  }
}
