/**
 * Random sequences of operations on queues, each step done to an engine and to the model, and all that can be observed
 * compared. `REPRISE_SEED=n` replays a run, `REPRISE_SOAK=1` makes it long.
 */

import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Store } from '../../../server/store/contract/store.ts'
import { RepriseError } from '../../../shared/errors.ts'
import { runSeed } from '../../support/seed.ts'
import { soak } from '../../support/tools.ts'
import { type Engine, START } from '../conformance/fixture.ts'
import { Mover } from './errands/mover.ts'
import { QueueModel } from './queueModel.ts'
import { ownerName, TOUCH_MS, turnAt } from './queueModelJobs.ts'
import { baseOf, isDead } from './queueModelTimers.ts'
import { Observer } from './queueObserver.ts'
import { type QueueOperation, queueOperation } from './queueOperations.ts'
import { compareRefusals, DEAD_MS, holder, Preparer } from './queueSteps.ts'

/** The short form is as much work on every machine; its time only bounds the search for a smaller failure. */
const BUDGET_MS = soak ? Number(process.env.REPRISE_SOAK_MS ?? 600_000) : 60_000
const ROWS = soak ? 1_000_000 : 3
const STEPS = soak ? { minLength: 10, maxLength: 200 } : { minLength: 15, maxLength: 25 }
/** Jobs of a queue and its dead letters: one turn does them all. */
const MOST_JOBS = 90

class Run {
  readonly #engine: Engine
  readonly #model = new QueueModel(START)
  readonly #mover = new Mover(this.#model)
  #store: Store
  readonly #preparer: Preparer
  #observer: Observer
  #steps = 0

  constructor(engine: Engine, store: Store) {
    this.#engine = engine
    this.#store = store
    this.#preparer = new Preparer(this.#model, store, this.#mover)
    this.#observer = new Observer(this.#model, store, this.#mover)
  }

  async begin(): Promise<void> {
    await this.#observer.watch()
    await this.#observer.compare(['p', 'q'])
  }

  async step(operation: QueueOperation): Promise<void> {
    const model = this.#model
    if (operation.kind === 'clock') {
      // What has expired would come back where it was not forgotten yet: a clock goes back only before that.
      if (operation.ms < 0 && model.now >= START + TOUCH_MS - 1_000) return
      // Which group an engine finds out of its rate first, when the time is over again, is its own.
      if (operation.ms < 0 && [...this.#preparer.modes.values()].includes('rated')) return
      this.#engine.clock.now += operation.ms
      model.now += operation.ms
    } else if (operation.kind === 'breaker') {
      this.#preparer.hasBreaker = operation.on
    } else if (operation.kind === 'life') {
      if (operation.on) this.#preparer.silent.delete(operation.queue)
      else this.#preparer.silent.add(operation.queue)
    } else if (operation.kind === 'mode') {
      this.#preparer.modes.set(operation.queue, operation.mode)
    } else if (operation.kind === 'reopen') {
      await this.#store.close()
      this.#store = await this.#engine.open()
      this.#preparer.reopened(this.#store)
      this.#observer = new Observer(model, this.#store, this.#mover)
      await this.#observer.watch()
    } else if (operation.kind === 'maintain') {
      await this.#maintain()
    } else if (operation.kind === 'together') {
      // What a turn brings into the dead letters at one time has no order that could be foreseen: it comes before.
      for (const queue of ['q', 'p']) await this.#do([{ kind: 'turn', queue, policy: 0 }])
      for (const one of operation.operations) await this.#comes(one)
      await this.#do(operation.operations)
    } else {
      if ('queue' in operation && isDead(operation.queue)) {
        await this.#do([{ kind: 'turn', queue: operation.queue, policy: 0 }])
      }
      await this.#comes(operation)
      await this.#do([operation])
      if (operation.kind === 'claim' && operation.settles.length > 0) {
        const { queue, settles: settlements, policy } = operation
        await this.#do([{ kind: 'settle', queue, settlements, policy, next: undefined }])
      }
    }
    await this.#observer.compare(this.#changes(operation))
  }

  /** Who is about to claim attaches before, mostly. */
  async #comes(operation: QueueOperation): Promise<void> {
    const claim = operation.kind === 'claim' ? operation : operation.kind === 'settle' ? operation.next : undefined
    if (claim?.comes !== true || !('queue' in operation)) return
    const { client, policy } = claim
    const { queue } = operation
    if (this.#isAttached(queue, client)) return
    await this.#do([{ kind: 'attach', queue, client, leaseMs: 30_000, holding: undefined, policy }])
  }

  async #maintain(): Promise<void> {
    const model = this.#model
    const queues = [...model.queues.values()]
    // Whether a holder was alone with a job is forgotten with the holder.
    const late = queues
      .flatMap(({ main, dead }) => [...main.jobs.values(), ...dead.jobs.values()])
      .filter(({ state, lease }) => state !== 'held' || (lease?.expiresAt ?? 0) <= model.now)
    if (late.some(({ lease }) => (lease?.capAt ?? 0) > model.now)) return
    const due = queues.filter(({ main, dead }) => Math.min(turnAt(main, DEAD_MS), turnAt(dead, DEAD_MS)) <= model.now)
    const fired = new Set<string>()
    const policyFor = (queue: string) => {
      fired.add(queue)
      return this.#preparer.policyOf(queue, 0)
    }
    while ((await this.#store.maintain(policyFor)).more);
    await this.#engine.heard?.()
    // An engine may fire those of one whose expired jobs turn out to be held.
    expect([...fired]).toEqual(expect.arrayContaining(due.map(({ name }) => name)))
    model.step++
    for (const name of fired) model.turn(name, this.#preparer.policyOf(name, 0))
    await this.#observer.settleTies()
    await this.#observer.compareTold()
  }

  /** Queues that the step may have changed; now and then all are looked at. */
  #changes(operation: QueueOperation): string[] {
    this.#steps++
    const operations = operation.kind === 'together' ? operation.operations : [operation]
    const names = operations.flatMap((each) => ('queue' in each ? [baseOf(each.queue)] : ['p', 'q']))
    return this.#steps % 8 === 0 ? ['p', 'q'] : [...new Set(names)]
  }

  #isAttached(queue: string, client: string): boolean {
    const known = this.#model.half(queue)?.holders.get(ownerName(holder(client)))
    return known?.attached === true && this.#model.now - known.touchedAt <= TOUCH_MS
  }

  /** Begins all in one turn of the engine, and does them to the model one after the other. */
  async #do(operations: readonly QueueOperation[]): Promise<void> {
    const many = operations.length > 1
    const prepared = operations
      .filter((operation) => this.#isFit(operation, many))
      .map((operation) => ({ operation, ...this.#preparer.prepare(operation) }))
    const answers = await Promise.all(
      prepared.map(({ engine }) =>
        engine().then(
          (value) => ({ value }),
          (error: unknown) => ({ error }),
        ),
      ),
    )
    await this.#engine.heard?.()
    for (const [i, { model, operation }] of prepared.entries()) {
      const answer = answers[i]
      if (answer === undefined) continue
      try {
        await this.#observer.during(operation, 'error' in answer, () => same(answer, model))
      } catch (error) {
        throw new Error(`${JSON.stringify(operation)} was answered with ${JSON.stringify(answer)}`, { cause: error })
      }
    }
    await this.#observer.settleTies()
    await this.#observer.compareTold()
  }

  #isFit(operation: QueueOperation, isTogether: boolean): boolean {
    if (operation.kind === 'enqueue' || operation.kind === 'schedule' || operation.kind === 'carry') {
      const queue = this.#model.queues.get(operation.queue)
      const jobs = (queue?.main.jobs.size ?? 0) + (queue?.dead.jobs.size ?? 0)
      return jobs + 12 * (isTogether ? 4 : 1) < MOST_JOBS
    }
    if (!isTogether) return true
    // Which jobs a purge takes first, and in which order those of one time come to the dead letters, is the engine's.
    if (operation.kind === 'purge') return operation.limit === 100
    return !(operation.kind === 'claim' && isDead(operation.queue))
  }
}

async function same(
  answer: { value: unknown } | { error: unknown },
  model: (value: unknown) => void | Promise<void>,
): Promise<void> {
  if ('value' in answer) {
    await model(answer.value)
    return
  }
  if (!(answer.error instanceof RepriseError)) throw answer.error
  const { code } = answer.error
  const refused = await Promise.resolve()
    .then(() => model(undefined))
    .then(
      () => undefined,
      (error: unknown) => error,
    )
  if (refused === undefined) throw answer.error
  if (!(refused instanceof RepriseError)) throw refused
  compareRefusals(code, refused)
}

export function describeQueueRandom(name: string, makeEngine: () => Promise<Engine>): void {
  test(`queues in the ${name} store do what the model does`, { timeout: BUDGET_MS * 3 + 60_000 }, async () => {
    const seed = runSeed(`random operations on queues in ${name}`)
    let steps = 0
    const property = fc.asyncProperty(fc.array(queueOperation, { ...STEPS, size: 'max' }), async (operations) => {
      const engine = await makeEngine()
      try {
        const run = new Run(engine, await engine.open())
        await run.begin()
        for (const [i, each] of operations.entries()) {
          steps++
          await run.step(each).catch((cause: unknown) => {
            const last = operations.slice(Math.max(0, i - 11), i + 1).map((one) => JSON.stringify(one))
            throw new Error(`at the end of ${i + 1} steps\n${last.join('\n')}`, { cause })
          })
        }
      } finally {
        await engine.destroy()
      }
    })
    const options = { seed, numRuns: ROWS, interruptAfterTimeLimit: BUDGET_MS }
    const { failed, counterexample, errorInstance, numRuns } = await fc.check(property, options)
    if (!failed || counterexample === null) {
      expect(steps).toBeGreaterThan(0)
      console.info(`${numRuns} rows, ${steps} steps`)
      return
    }
    throw new Error(`REPRISE_SEED=${seed} fails after ${steps} steps`, { cause: errorInstance })
  })
}
