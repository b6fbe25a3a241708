/**
 * Follows a topic by long polls, filtered by the hub, and holds the latest events. Where more come than anybody reads it
 * goes on near the end and says how many were passed over.
 */

import { signal } from '@preact/signals'
import { messageOf } from '../../../shared/errors.ts'
import type { Position } from '../../../shared/positions.ts'
import type { Session } from '../hub/session.ts'

export interface TopicInfo {
  readonly topic: string
  readonly epoch: string
  readonly first: number
  readonly last: number
  readonly events: number
  readonly bytes: number
  readonly subscribers: number
  readonly cursors: number
}

export interface LogEvent {
  readonly offset: number
  readonly at: number
  readonly id?: string
  readonly key?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly data?: unknown
  readonly base64?: string
}

export interface Gap {
  readonly from: number | null
  readonly to: number | null
  readonly count: number | null
  readonly reason: string
}

export interface EventPage {
  readonly epoch: string
  readonly first: number
  readonly last: number
  readonly events: readonly LogEvent[]
  readonly gaps?: readonly Gap[]
  readonly next?: number
}

const KEPT = 200
const PAGE = 100
/** Between two polls: so often what is shown changes. */
const REST_MS = 300
const RETRY_MS = 2_000
const WAIT_MS = 20_000

export interface Tailed {
  /** Whether the hub has answered. */
  readonly isRead: boolean
  readonly events: readonly LogEvent[]
  readonly passed: number
  readonly problem: string
}

export class Tail {
  readonly state = signal<Tailed>({ isRead: false, events: [], passed: 0, problem: '' })
  readonly #session: Session
  readonly #path: string
  readonly #filter: string
  /** The hub lets those wait who may subscribe; others ask again and again. */
  readonly #waits: boolean
  readonly #leave = new AbortController()

  /** `path`: of the events. `filter`: further parameters of the query, each with its `&`. */
  constructor(session: Session, path: string, filter: string, waits: boolean) {
    this.#session = session
    this.#waits = waits
    this.#path = path
    this.#filter = filter
    void this.#run()
  }

  stop(): void {
    this.#leave.abort()
  }

  async #run(): Promise<void> {
    const { signal } = this.#leave
    let after: Position | undefined
    while (!signal.aborted) {
      try {
        const page = await (after === undefined ? this.#latest() : this.#next(after))
        if (signal.aborted) return
        const first = page.events[0]?.offset ?? page.last
        // Who jumps to the end misses what lies between.
        const passed = after === undefined || this.#filter !== '' ? 0 : Math.max(0, first - after.offset - 1)
        let offset: number = after === undefined ? page.last : (page.next ?? page.events.at(-1)?.offset ?? page.last)
        if (this.#filter === '' && page.last - offset > PAGE) offset = page.last - PAGE
        after = { epoch: page.epoch, offset }
        this.#show(page, passed)
        await rest(this.#waits ? REST_MS : RETRY_MS)
      } catch (error) {
        if (signal.aborted) return
        this.state.value = { ...this.state.value, problem: messageOf(error) }
        await rest(RETRY_MS)
      }
    }
  }

  #latest(): Promise<EventPage> {
    return this.#get(`before=${Number.MAX_SAFE_INTEGER}&limit=${PAGE}`)
  }

  #next({ epoch, offset }: Position): Promise<EventPage> {
    return this.#get(`after=${epoch}:${offset}&limit=${PAGE}${this.#waits ? `&waitMs=${WAIT_MS}` : ''}`)
  }

  #get(query: string): Promise<EventPage> {
    return this.#session.http.get(`${this.#path}?${query}${this.#filter}`, this.#leave.signal)
  }

  #show({ events: fresh, gaps }: EventPage, passed: number): void {
    // A topic that was dropped, or lost its end, gives the same offsets to other events.
    const isAnew = gaps?.some(({ reason }) => reason === 'reset') === true
    const { events, passed: before } = isAnew ? { events: [], passed: 0 } : this.state.value
    const newest = events[0]?.offset ?? 0
    const added = fresh.filter(({ offset }) => offset > newest).reverse()
    this.state.value = {
      isRead: true,
      events: [...added, ...events].slice(0, KEPT),
      passed: before + passed,
      problem: '',
    }
  }
}

function rest(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
