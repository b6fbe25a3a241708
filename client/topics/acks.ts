/**
 * Moves the hub's cursor: cumulative, and one acknowledgement in flight. What comes alone is acknowledged within 50 ms. While
 * much is handled, the pauses between two grow up to a second. What the program asks for, the end of a catch-up, and leaving
 * the page do not wait.
 */

import type { RepriseError } from '../../shared/errors.ts'
import type { Position } from '../../shared/positions.ts'
import { LONGEST_MS } from '../connection/timer.ts'

const SHORTEST_PAUSE_MS = 50
const LONGEST_PAUSE_MS = 1_000
/** Positions that come closer together than this, on average, make the pauses grow. */
const DENSE_MS = 100
/** Each makes the next pause at least so much longer: whoever has just caught up is one of many, and events keep coming. */
const PAUSE_EACH_MS = 10
/** After a refusal that may pass. */
const RETRY_MS = 1_000

interface Waiter {
  readonly position: Position
  resolve(cursor: Position): void
  reject(error: RepriseError): void
}

export interface AckOwner {
  connected(): boolean
  send(position: Position): Promise<Position>
  /** The hub has no cursor for this client any more; what waits is sent again after `joined`. */
  forgotten(): void
  /** The hub told that this subscription may not acknowledge any more. */
  refused(error: RepriseError): void
}

export class Acks {
  readonly #owner: AckOwner
  #target: Position | undefined
  /** What the hub has answered for last. */
  #settled: Position | undefined
  /** What the hub has taken last. */
  #kept: Position | undefined
  #inFlight = false
  #timer: ReturnType<typeof setTimeout> | undefined
  #pauseMs = SHORTEST_PAUSE_MS
  #sentAt = 0
  /** Since then. */
  #moves = 0
  #waiters: Waiter[] = []
  /** Those whose acknowledgement is in flight. */
  #asking: Waiter[] = []
  #idle: (() => void)[] = []
  #over = false

  constructor(owner: AckOwner) {
    this.#owner = owner
    globalThis.addEventListener?.('pagehide', this.#leave)
  }

  /** A page that is left hears no answer. What is in flight may lie before what was handled since. */
  readonly #leave = (): void => {
    if (this.#target === undefined || this.#target === this.#settled || !this.#owner.connected()) return
    this.#owner.send(this.#target).catch(() => {})
  }

  /** Acknowledges up to here, soon. */
  move(position: Position): void {
    if (behind(position, this.#target)) return
    this.#target = position
    this.#moves++
    this.#schedule()
  }

  /** Acknowledges up to here and waits for the hub's answer. */
  ack(position: Position): Promise<Position> {
    return new Promise((resolve, reject) => {
      // It goes at the end of this turn, together with what else is asked for in it.
      if (this.#waiters.push({ position, resolve, reject }) === 1) this.#stopTimer()
      if (!behind(position, this.#target)) this.#target = position
      // Nothing further than what the hub has answered for: asking again is the honest way to learn the cursor.
      else if (this.#target === this.#settled) this.#settled = undefined
      this.#schedule()
    })
  }

  /** After a new connection: what was in flight may be lost. */
  joined(): void {
    this.#schedule()
  }

  /**
   * Acknowledges at once. Resolves when all that is handled now is acknowledged, or nothing can be, as there is no
   * connection. What is handled meanwhile waits as ever: events that come faster than answers would have no end.
   */
  flush(): Promise<void> {
    return new Promise((resolve) => {
      this.#idle.push(resolve)
      this.#send()
      if (!this.#inFlight) this.#rest()
    })
  }

  close(error: RepriseError): void {
    this.#over = true
    this.#stopTimer()
    globalThis.removeEventListener?.('pagehide', this.#leave)
    this.#target = this.#settled
    for (const waiter of [...this.#asking.splice(0), ...this.#waiters.splice(0)]) waiter.reject(error)
    this.#rest()
  }

  #schedule(afterMs?: number): void {
    if (this.#inFlight || this.#timer !== undefined || this.#over) return
    const delayMs = afterMs ?? (this.#waiters.length + this.#idle.length > 0 ? 0 : this.#restOfPause)
    this.#timer = setTimeout(() => this.#send(), Math.min(LONGEST_MS, delayMs))
  }

  get #restOfPause(): number {
    return Math.max(SHORTEST_PAUSE_MS, this.#pauseMs - Math.max(0, Date.now() - this.#sentAt))
  }

  #stopTimer(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  #send(): void {
    this.#stopTimer()
    const target = this.#target
    if (this.#inFlight || target === undefined || target === this.#settled || !this.#owner.connected()) return
    this.#inFlight = true
    const now = Date.now()
    const isDense = this.#moves * DENSE_MS > now - this.#sentAt
    const pauseMs = Math.max(this.#pauseMs * (isDense ? 2 : 0.5), this.#moves * PAUSE_EACH_MS, SHORTEST_PAUSE_MS)
    this.#pauseMs = Math.min(pauseMs, LONGEST_PAUSE_MS)
    this.#sentAt = now
    this.#moves = 0
    this.#asking = this.#waiters.splice(0)
    const idle = this.#idle.splice(0)
    this.#owner.send(target).then(
      (cursor) => {
        const asked = this.#asking.splice(0)
        this.#kept = target
        this.#answered(target)
        for (const resolve of idle) resolve()
        for (const waiter of asked) waiter.resolve(cursor)
      },
      (error: RepriseError) => {
        const asked = this.#asking.splice(0)
        for (const resolve of idle) resolve()
        const forgotten = error.code === 'not_found'
        if (error.retryable || forgotten) {
          this.#waiters.unshift(...asked)
          this.#inFlight = false
          if (forgotten) this.#owner.forgotten()
          else if (this.#owner.connected()) this.#schedule(error.retryAfterMs ?? RETRY_MS)
          this.#rest()
          return
        }
        this.#answered(target)
        this.#forget(target)
        for (const waiter of asked) waiter.reject(error)
        // A stale position: later ones may fit again. Everything else that is final concerns the subscription.
        if (error.code !== 'stale_epoch' && error.code !== 'bad_request') this.#owner.refused(error)
      },
    )
  }

  #answered(target: Position): void {
    this.#inFlight = false
    // Whoever came while it was in flight, with nothing further, waits for an answer of its own.
    this.#settled = this.#target === target && this.#waiters.length > 0 ? undefined : target
    if (this.#target === this.#settled) this.#rest()
    else this.#schedule()
  }

  /** It was refused: what lies before it is to be acknowledged all the same. */
  #forget(target: Position): void {
    if (this.#target !== target) return
    this.#target = this.#kept
    this.#settled = this.#waiters.length > 0 ? undefined : this.#kept
    for (const { position } of this.#waiters) if (!behind(position, this.#target)) this.#target = position
  }

  #rest(): void {
    for (const resolve of this.#idle.splice(0)) resolve()
  }
}

/** Whether acknowledging `target` acknowledges `position` too. */
function behind(position: Position, target: Position | undefined): boolean {
  return target !== undefined && position.epoch === target.epoch && position.offset <= target.offset
}
