/** Where a subscription is, for whoever looks at it: kept as it moves, worked out when it is asked for. */

import type { Progress } from '../../../shared/console/protocol.ts'
import type { Position } from '../../../shared/positions.ts'

export class Place {
  #state: 'idle' | 'catching_up' | 'behind' = 'idle'
  #position: Position | undefined
  #head: Position | undefined

  /** It reads from here on, `head` is the log's as far as that is known. */
  begins(position: Position, head: Position): void {
    this.#state = 'catching_up'
    this.moved(position, head)
  }

  moved(position: Position, head: Position): void {
    this.#position = position
    this.#head = head
  }

  /** It was live and is out of the feed. */
  fellBehind(position: Position): void {
    this.#state = 'behind'
    this.#position = position
  }

  ends(): void {
    this.#state = 'idle'
  }

  /** `head`: of its topic's feed, which has what comes meanwhile. */
  seen(isLive: boolean, head: Position | undefined): Progress {
    if (isLive && head !== undefined) return { state: 'live', position: head, lag: 0 }
    if (this.#state === 'idle' || this.#position === undefined) return { state: 'idle', lag: 0 }
    const last = furthest(this.#head, head)
    const lag = Math.max(0, (last?.offset ?? 0) - this.#position.offset)
    return { state: this.#state, position: this.#position, lag }
  }
}

/** The feed goes on while a reader waits for its client. A reader may also have seen more than the feed was told. */
function furthest(read: Position | undefined, fed: Position | undefined): Position | undefined {
  if (read === undefined || fed === undefined) return fed ?? read
  return read.epoch === fed.epoch && read.offset > fed.offset ? read : fed
}
