/**
 * Moves what happens to the jobs of queues from where the store keeps it into the topics `$queue.<name>`, each once and in
 * order: the topic knows the numbers of what it has, and the store forgets what was moved only afterwards. Any node may do it.
 * What stands between for other queues is carried there.
 */

import { hasCode, messageOf } from '../../../../shared/errors.ts'
import { lifeTopic } from '../../../../shared/names.ts'
import type { LifeEvent } from '../../../../shared/queues.ts'
import type { Body, LifeRecord, LifeStep, Retention } from '../../../store/contract/store.ts'
import { bodiesOf, contentOf } from '../../body.ts'
import { isPassing } from '../../refusal.ts'
import { itsTurn, PAGE_WEIGHT } from '../../turns.ts'
import { carry, type ErrandsContext } from './errands.ts'

/** Below what a topic remembers of a producer's numbers. */
const AT_ONCE = 500
/** So many failures in a row are told. */
const TOLD_FAILURES = 3
const NO_LIMITS = { payload: Number.POSITIVE_INFINITY, batch: 1, packet: Number.POSITIVE_INFINITY }

export interface LifeContext extends ErrandsContext {
  /** Of a topic. */
  readonly retainOf: (topic: string) => Retention
}

export class Life {
  readonly #context: LifeContext
  /** Queues at work; `true` where there is more since. */
  readonly #queues = new Map<string, { more: boolean; readonly done: Promise<void> }>()
  /** Queues whose life cannot be moved, by how often that failed in a row. */
  readonly #failures = new Map<string, number>()
  #isOver = false

  constructor(context: LifeContext) {
    this.#context = context
  }

  /** Something happened to jobs of this queue. */
  told(queue: string): void {
    const known = this.#queues.get(queue)
    if (known !== undefined) known.more = true
    else if (!this.#isOver) this.#queues.set(queue, { more: false, done: this.#run(queue) })
  }

  /** What is not moved then stays in the store. */
  async close(): Promise<void> {
    this.#isOver = true
    await Promise.all([...this.#queues.values()].map(({ done }) => done))
  }

  async #run(queue: string): Promise<void> {
    // Told within the same turn, it is moved together.
    await new Promise(setImmediate)
    try {
      do {
        const work = this.#queues.get(queue)
        if (work !== undefined) work.more = false
        await this.#move(queue)
        this.#moved(queue)
      } while (this.#queues.get(queue)?.more === true && !this.#isOver)
    } catch (error) {
      // Who fires the timers of the queue tells of it again.
      this.#failed(queue, error)
    } finally {
      this.#queues.delete(queue)
    }
  }

  #failed(queue: string, error: unknown): void {
    const { telemetry } = this.#context
    const failures = (this.#failures.get(queue) ?? 0) + 1
    this.#failures.set(queue, failures)
    if (!isPassing(error) && failures === 1) telemetry.failed(`telling the life of queue ${queue}`, error)
    if (failures === TOLD_FAILURES) telemetry.happened({ kind: 'lifeStuck', queue, reason: messageOf(error) })
  }

  #moved(queue: string): void {
    const failures = this.#failures.get(queue) ?? 0
    this.#failures.delete(queue)
    if (failures >= TOLD_FAILURES) this.#context.telemetry.happened({ kind: 'lifeMoved', queue })
  }

  async #move(queue: string): Promise<void> {
    const { store, telemetry, retainOf } = this.#context
    const topic = lifeTopic(queue)
    let step: LifeStep = { limit: AT_ONCE }
    let refused = ''
    while (!this.#isOver || step.moved !== undefined || step.carried !== undefined) {
      const life = await store.queues.life(queue, step)
      if (life === undefined || this.#isOver) return
      if (life.errands !== undefined) {
        const { first, list } = life.errands
        await carry(this.#context, queue, life.errands)
        step = { limit: AT_ONCE, generation: life.generation, carried: first + list.length - 1 }
        continue
      }
      if (life.records.length === 0) return
      const { generation, seq, records } = life
      await itsTurn(PAGE_WEIGHT)
      const drafts = records.map((record) => ({ body: eventOf(record) }))
      const began = performance.now()
      try {
        const producer = { name: generation, seq }
        const { duplicates } = await store.topics.append(topic, {
          subject: '',
          drafts,
          retain: retainOf(topic),
          producer,
        })
        telemetry.meter.published(topic, drafts.length - duplicates, performance.now() - began)
        step = { limit: AT_ONCE, generation, moved: seq + records.length - 1 }
      } catch (error) {
        if (!hasCode(error, 'conflict')) throw error
        // Another node may have been faster. Where it was not, the topic has forgotten the row of numbers.
        const isAgain = refused === `${generation} ${seq}`
        refused = `${generation} ${seq}`
        step = isAgain ? { limit: AT_ONCE, generation, isUnknown: true } : { limit: AT_ONCE }
      }
    }
  }
}

function eventOf({ body, ...told }: LifeRecord): Body {
  const name = told.kind === 'progress' ? 'value' : 'result'
  const data: LifeEvent = body === undefined ? told : { ...told, [name]: contentOf(body).data }
  const [event] = bodiesOf([{ data, key: told.id }], NO_LIMITS)
  if (event === undefined) throw new Error('one draft makes one body')
  return event
}
