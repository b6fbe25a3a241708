/** Requests that wait on this node for their answers. The answer is in the store; what tells of it is only a hint. */

import { RepriseError } from '../../../shared/errors.ts'
import type { Answer, Queues } from '../../store/contract/store.ts'
import { contentOf } from '../body.ts'
import type { StoreClock } from '../clock.ts'
import { draining, isPassing } from '../refusal.ts'

/** Answers are looked for again after this time, as hints can be lost. */
const LOOK_MS = 2_000
/** So many at a time, those first that were not looked for the longest: thousands may wait for an hour. */
const LOOKS = 50

/** Who asks. */
export interface Asker {
  /** Fires when it is gone: nobody waits for the answer any more. */
  readonly gone: AbortSignal
  /** Called before it is sent; the result when it only waits. Throws `too_many`. */
  willWait(): () => void
}

/** What became of a job. */
export interface Ended {
  readonly state: 'done' | 'dead' | 'removed'
  readonly result?: unknown
  readonly error?: string
}

export function unknownJob(queue: string, id: string): RepriseError {
  return new RepriseError('not_found', `there is no job ${id} in ${queue}: it never was, or is not kept any more`)
}

interface Board {
  /** Who waits for which request of the queue. */
  readonly waiting: Map<string, Set<() => void>>
  readonly started: Promise<() => void>
  users: number
}

export class Requests {
  readonly #queues: Queues
  readonly #clock: StoreClock
  /** Fires when the hub begins to drain. */
  readonly #draining: AbortSignal
  readonly #boards = new Map<string, Board>()
  /** All that wait; whoever was looked for last is at the end. */
  readonly #line = new Set<() => void>()
  #look: NodeJS.Timeout | undefined

  constructor(queues: Queues, clock: StoreClock, draining: AbortSignal) {
    this.#queues = queues
    this.#clock = clock
    this.#draining = draining
  }

  /**
   * Sends by `send`, which answers the request's id, and waits for the reply's data. `timeout`: none came until its
   * `replyBy`; `failed`: it was dead-lettered or removed; `unavailable`: the asker is gone, or the hub drains.
   */
  async ask(queue: string, send: () => Promise<string>, asker: Asker): Promise<unknown> {
    const waits = asker.willWait()
    // Watched before it is sent, so that no answer is missed.
    return await this.#at(queue, async (board) => {
      const id = await send()
      waits()
      return await this.#answer(queue, board, id, asker.gone)
    })
  }

  /**
   * What became of a job, at once where it has ended: `look` says it, and `undefined` where there is no such job. `timeout`:
   * it had not ended by then.
   */
  async ended(
    queue: string,
    id: string,
    timeoutMs: number,
    look: () => Promise<Ended | undefined>,
    asker: Asker,
  ): Promise<Ended> {
    const until = Math.ceil(this.#clock.now + timeoutMs)
    const deadline = performance.now() + timeoutMs
    const waits = asker.willWait()
    return await this.#at(queue, async (board) => {
      for (;;) {
        const told = this.#told(board, id, asker.gone)
        try {
          if (await this.#isGone(queue, id, until)) {
            const ended = await look()
            if (ended !== undefined) return ended
            throw unknownJob(queue, id)
          }
          const leftMs = deadline - performance.now()
          if (leftMs <= 0) throw new RepriseError('timeout', `the job ${id} has not ended in time`)
          waits()
          await told.until(leftMs)
        } finally {
          told.forget()
        }
      }
    })
  }

  async #isGone(queue: string, id: string, until: number): Promise<boolean> {
    try {
      return !(await this.#queues.awaitEnd(queue, id, until))
    } catch (error) {
      // The store is away for a moment: the wait goes on.
      if (isPassing(error)) return false
      throw error
    }
  }

  async #answer(queue: string, board: Board, id: string, gone: AbortSignal): Promise<unknown> {
    for (;;) {
      const told = this.#told(board, id, gone)
      try {
        const answer = await this.#queues.answer(queue, id).catch((error: unknown) => {
          if (isPassing(error)) return 'away' as const
          throw error
        })
        if (answer !== 'away' && answer?.state !== 'waiting') return read(answer)
        await told.until(answer === 'away' ? LOOK_MS : answer.replyBy - this.#clock.now)
      } finally {
        told.forget()
      }
    }
  }

  /** What is told of the job until `forget`. Throws `unavailable` when nobody is to wait any more. */
  #told(board: Board, id: string, gone: AbortSignal) {
    if (gone.aborted) throw new RepriseError('unavailable', 'who asked is gone')
    const ends = [gone, this.#draining]
    let ring: () => void = () => {}
    const rung = new Promise<void>((resolve) => {
      ring = resolve
    })
    const others = board.waiting.get(id) ?? new Set()
    board.waiting.set(id, others.add(ring))
    this.#enterLine(ring)
    for (const end of ends) end.addEventListener('abort', ring)
    return {
      forget: () => {
        for (const end of ends) end.removeEventListener('abort', ring)
        this.#leaveLine(ring)
        others.delete(ring)
        if (others.size === 0 && board.waiting.get(id) === others) board.waiting.delete(id)
      },
      until: async (ms: number) => {
        if (ends.some(({ aborted }) => aborted)) ring()
        const timer = setTimeout(ring, Math.max(1, ms))
        await rung
        clearTimeout(timer)
        if (this.#draining.aborted) throw draining()
      },
    }
  }

  #enterLine(ring: () => void): void {
    this.#line.add(ring)
    this.#look ??= setInterval(() => {
      let looks = 0
      for (const one of this.#line) {
        one()
        looks += 1
        if (looks === LOOKS) break
      }
    }, LOOK_MS).unref()
  }

  #leaveLine(ring: () => void): void {
    this.#line.delete(ring)
    if (this.#line.size > 0) return
    clearInterval(this.#look)
    this.#look = undefined
  }

  /** At the board of the queue, when it is told of what happens there. */
  async #at<T>(queue: string, work: (board: Board) => Promise<T>): Promise<T> {
    const board = this.#board(queue)
    board.users += 1
    try {
      await board.started
      return await work(board)
    } finally {
      board.users -= 1
      if (board.users === 0) this.#close(queue, board)
    }
  }

  #board(queue: string): Board {
    const known = this.#boards.get(queue)
    if (known !== undefined) return known
    const waiting: Board['waiting'] = new Map()
    const ringAll = () => {
      for (const rings of waiting.values()) for (const ring of rings) ring()
    }
    const started = this.#queues.watch(queue, (notification) => {
      if (notification.kind === 'lost') ringAll()
      else if (notification.kind === 'answered') for (const ring of waiting.get(notification.id) ?? []) ring()
    })
    // Each caller meets the failure.
    started.catch(() => {})
    const board = { waiting, started, users: 0 }
    this.#boards.set(queue, board)
    return board
  }

  #close(queue: string, board: Board): void {
    if (this.#boards.get(queue) === board) this.#boards.delete(queue)
    board.started.then(
      (unwatch) => unwatch(),
      () => {},
    )
  }
}

function read(answer: Exclude<Answer, { readonly state: 'waiting' }> | undefined): unknown {
  if (answer === undefined) throw new RepriseError('timeout', 'nobody answered the request in time')
  if (answer.state === 'done') return answer.reply === undefined ? null : contentOf(answer.reply).data
  const why = answer.error === undefined ? '' : `: ${answer.error}`
  const what = answer.reason === 'removed' ? 'was removed' : `was dead-lettered (${answer.reason})`
  throw new RepriseError('failed', `the requested job ${what}${why}`)
}
