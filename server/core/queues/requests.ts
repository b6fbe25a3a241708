/** Requests that wait on this node for their answers. The answer is in the store; what tells of it is only a hint. */

import { RepriseError } from '../../../shared/errors.ts'
import type { Answer, Queues } from '../../store/contract.ts'
import { contentOf } from '../body.ts'
import type { StoreClock } from '../clock.ts'

/** Answers are looked for again after this time, as hints can be lost. */
const LOOK_MS = 2_000

interface Board {
  /** Who waits for which request of the queue. */
  readonly waiting: Map<string, Set<() => void>>
  readonly started: Promise<() => void>
  users: number
  look: NodeJS.Timeout
}

export class Requests {
  readonly #queues: Queues
  readonly #clock: StoreClock
  readonly #boards = new Map<string, Board>()

  constructor(queues: Queues, clock: StoreClock) {
    this.#queues = queues
    this.#clock = clock
  }

  /**
   * Sends by `send`, which answers the request's id, and waits for the reply's data. `timeout`: none came until its
   * `replyBy`; `failed`: it was dead-lettered or removed; `unavailable`: `gone` has fired.
   */
  async ask(queue: string, send: () => Promise<string>, gone: AbortSignal): Promise<unknown> {
    const board = this.#board(queue)
    board.users += 1
    try {
      // Watched before it is sent, so that no answer is missed.
      await board.started
      const id = await send()
      return await this.#answer(queue, board, id, gone)
    } finally {
      board.users -= 1
      if (board.users === 0) this.#close(queue, board)
    }
  }

  async #answer(queue: string, board: Board, id: string, gone: AbortSignal): Promise<unknown> {
    for (;;) {
      const told = this.#told(board, id, gone)
      const answer = await this.#queues.answer(queue, id).catch((error: unknown) => {
        if (error instanceof RepriseError && error.retryable) return 'away' as const
        throw error
      })
      if (answer !== 'away' && answer?.state !== 'waiting') {
        told.forget()
        return read(answer)
      }
      const leftMs = answer === 'away' ? LOOK_MS : answer.replyBy - this.#clock.now
      await told.until(Math.max(leftMs, 1))
      if (gone.aborted) throw new RepriseError('unavailable', 'the hub is draining', { retryAfterMs: 1_000 })
    }
  }

  #told(board: Board, id: string, gone: AbortSignal) {
    let ring: () => void = () => {}
    const rung = new Promise<void>((resolve) => {
      ring = resolve
    })
    const others = board.waiting.get(id) ?? new Set()
    board.waiting.set(id, others.add(ring))
    gone.addEventListener('abort', ring)
    const forget = () => {
      gone.removeEventListener('abort', ring)
      others.delete(ring)
      if (others.size === 0 && board.waiting.get(id) === others) board.waiting.delete(id)
    }
    return {
      forget,
      until: async (ms: number) => {
        if (gone.aborted) ring()
        const timer = setTimeout(ring, ms)
        await rung
        clearTimeout(timer)
        forget()
      },
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
    const board = { waiting, started, users: 0, look: setInterval(ringAll, LOOK_MS) }
    board.look.unref()
    this.#boards.set(queue, board)
    return board
  }

  #close(queue: string, board: Board): void {
    clearInterval(board.look)
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
