/** The jobs of the scene: what they are, how many this tab has sent, and how the hub counts them. */

import type { Hub, Queue } from '../../../client/index.ts'
import { messageOf } from '../../../shared/errors.ts'
import { keep, readKept } from '../kept.ts'
import type { Visit } from '../visit.ts'

export interface Job {
  readonly job: number
  readonly item: string
  /** It fails as long as the bug is there. */
  readonly poison?: true
}

/** What the hub says of the queue. */
export interface Counts {
  readonly sent: number
  readonly ready: number
  readonly delayed: number
  readonly held: number
  readonly done: number
  readonly dead: number
  readonly removed: number
}

export interface DeadLetter {
  readonly id: string
  readonly attempts: number
  readonly data?: unknown
  readonly dead?: { readonly reason?: string; readonly error?: string }
}

interface Kept {
  /** The number of the last job. */
  readonly numbered: number
  /** Jobs that a reply named. */
  readonly sent: number
  /** Of these, the ones that fail. */
  readonly poison: number
  readonly isFixed: boolean
  /** Whether a job of a crashed worker was seen with another one. */
  readonly hasReturned: boolean
  /** Dead letters that were brought back. */
  readonly redriven: number
}

const NOTHING: Kept = { numbered: 0, sent: 0, poison: 0, isFixed: false, hasReturned: false, redriven: 0 }
const ITEMS = ['resize a photo', 'write an invoice', 'send a letter', 'index a page', 'make a report', 'warm a cache']
const LOOK_MS = 400
/** What a visitor can make wait, and can kill. */
const MOST_WAITING = 60
const MOST_DEAD = 20
const LETTERS = 20

export class Jobs {
  readonly queue: string
  readonly mayRedrive: boolean
  readonly #visit: Visit
  readonly #hub: Hub
  readonly #queue: Queue
  readonly #changed: () => void
  readonly #timer: ReturnType<typeof setInterval>
  #kept: Kept
  #counts: Counts | undefined
  #letters: readonly DeadLetter[] = []
  #looking = false
  #problem = ''

  constructor(visit: Visit, changed: () => void) {
    this.queue = `${visit.base}.work.${visit.tab}`
    this.mayRedrive = visit.may('admin', this.queue)
    this.#visit = visit
    this.#changed = changed
    this.#hub = visit.connect()
    this.#queue = this.#hub.queue(this.queue)
    this.#kept = readKept(this.queue, isKept) ?? NOTHING
    this.#timer = setInterval(() => void this.#look(), LOOK_MS)
    void this.#look()
  }

  get counts(): Counts {
    return this.#counts ?? { sent: 0, ready: 0, delayed: 0, held: 0, done: 0, dead: 0, removed: 0 }
  }

  /** Jobs that replies named. */
  get sent(): number {
    return this.#kept.sent
  }

  get poison(): number {
    return this.#kept.poison
  }

  get letters(): readonly DeadLetter[] {
    return this.#letters
  }

  get redriven(): number {
    return this.#kept.redriven
  }

  get problem(): string {
    return this.#problem
  }

  get isFixed(): boolean {
    return this.#kept.isFixed
  }

  get hasRoom(): boolean {
    const { ready, delayed, held, dead } = this.counts
    return ready + delayed + held < MOST_WAITING && dead < MOST_DEAD
  }

  get hasReturned(): boolean {
    return this.#kept.hasReturned
  }

  /** A job of a crashed worker is with another one. */
  returned(): void {
    this.#keep({ hasReturned: true })
  }

  fix(isFixed: boolean): void {
    this.#keep({ isFixed })
  }

  send(count: number, isPoison = false): void {
    if (!this.hasRoom) return
    for (let i = 0; i < count; i++) {
      const job = this.#kept.numbered + 1
      this.#keep({ numbered: job })
      const item = isPoison ? 'write to nobody' : (ITEMS[job % ITEMS.length] ?? 'rest')
      void this.#ask(async () => {
        await this.#queue.send({ job, item, ...(isPoison ? { poison: true } : {}) } satisfies Job)
        const { sent, poison } = this.#kept
        this.#keep({ sent: sent + 1, poison: poison + (isPoison ? 1 : 0) })
      })
    }
    this.#changed()
  }

  async redrive(): Promise<void> {
    const { moved } = (await this.#ask(() => this.#post<{ moved: number }>('redrive'))) ?? { moved: 0 }
    this.#keep({ redriven: this.#kept.redriven + moved })
    await this.#look()
  }

  close(): void {
    clearInterval(this.#timer)
    void this.#hub.close({ drainMs: 0 })
  }

  /** Nobody asks for a queue that is not there yet, or from a tab that nobody sees. */
  async #look(): Promise<void> {
    const { http, may } = this.#visit
    if (this.#looking || document.hidden || this.#kept.sent === 0 || !may('read', this.queue)) return
    this.#looking = true
    try {
      const { counts } = await http.get<{ counts: Counts }>(`/queues/${this.queue}`)
      this.#counts = counts
      const path = `/queues/${this.queue}/dead/jobs?state=dead&limit=${LETTERS}`
      this.#letters = counts.dead === 0 ? [] : (await http.get<{ jobs: DeadLetter[] }>(path)).jobs
    } catch {
      // The numbers stay as they were until the hub answers.
    }
    this.#looking = false
    this.#changed()
  }

  #post<T>(act: string): Promise<T> {
    return this.#visit.http.ask<T>('POST', `/queues/${this.queue}/${act}`, {})
  }

  async #ask<T>(question: () => Promise<T>): Promise<T | undefined> {
    try {
      const answer = await question()
      this.#problem = ''
      return answer
    } catch (error) {
      this.#problem = messageOf(error)
      return undefined
    } finally {
      this.#changed()
    }
  }

  #keep(changes: Partial<Kept>): void {
    this.#kept = { ...this.#kept, ...changes }
    keep(this.queue, this.#kept)
    this.#changed()
  }
}

function isKept(value: unknown): value is Kept {
  const kept = (value ?? {}) as Partial<Record<keyof Kept, unknown>>
  return Object.entries(NOTHING).every(([name, none]) => typeof kept[name as keyof Kept] === typeof none)
}
