/**
 * Moves what an engine keeps of the lives of queues, as a node does that is stopped now and then: compares it with the model,
 * and keeps what is to be carried until an operation carries it.
 */

import { expect } from 'vitest'
import type {
  Errand,
  LifeRecord,
  LifeStep,
  ParentPlace,
  Store,
  StoredLife,
} from '../../../../server/store/contract/store.ts'
import { seededRandom } from '../../../support/seed.ts'
import type { QueueModel } from '../queueModel.ts'
import type { ModelPlace } from '../queueModelJobs.ts'
import type { ModelErrand } from '../queueModelTimers.ts'

/** Taken from its queue; `model`: the same as the model has left it. */
export interface Taken {
  readonly number: number
  readonly errand: Errand
  readonly model: ModelErrand
}

/** What is known of a queue's row. */
interface Row {
  name: string
  /** Of the last errand. */
  number: number
  generation: string
  /** Of the next record. */
  seq: number
  readonly taken: Taken[]
  /** How many of them were carried. */
  carried: number
}

export class Mover {
  readonly #model: QueueModel
  readonly #rows = new Map<string, Row>()
  readonly #random = seededRandom(1)
  /** How an engine names the place of a child. */
  readonly #places = new Map<ModelPlace, ParentPlace>()

  constructor(model: QueueModel) {
    this.#model = model
  }

  #row(queue: string): Row {
    const known = this.#rows.get(queue)
    const row = known ?? { name: '', number: 0, generation: '', seq: 1, taken: [], carried: 0 }
    this.#rows.set(queue, row)
    return row
  }

  /** What to carry from a queue: what is first of what was not carried yet, and some that was. */
  next(queue: string, count: number, again: number): { readonly row: string; readonly taken: readonly Taken[] } {
    const row = this.#row(queue)
    const [from, to] = [Math.max(0, row.carried - again), Math.min(row.taken.length, row.carried + count)]
    row.carried = to
    return { row: row.name, taken: row.taken.slice(from, to) }
  }

  /** Takes all that waits in a queue; it is the model's, and each once. */
  async move(store: Store, name: string): Promise<void> {
    const [records, errands] = await this.#take(store, name)
    const queue = this.#model.queues.get(name)
    // Of each job in order; among jobs the order is the engine's.
    expect(sorted(by(records, ({ id }) => id))).toEqual(sorted(queue?.life ?? []))
    queue?.life.clear()
    this.#compare(this.#row(name), errands, queue?.errands.splice(0) ?? [])
  }

  async #take(store: Store, name: string): Promise<[LifeRecord[], Numbered[]]> {
    const random = this.#random
    const row = this.#row(name)
    const [records, errands]: [LifeRecord[], Numbered[]] = [[], []]
    let step: LifeStep = { limit: 1_000 }
    for (;;) {
      if (random.chance(0.2)) step = { ...step, limit: random.integer(1, 3) }
      const life = await store.queues.life(name, step)
      // The same step again, or one by somebody who knows nothing, changes nothing.
      if (random.chance(0.1)) {
        const again = random.chance(0.5) ? step : { limit: step.limit }
        expect(await store.queues.life(name, again)).toEqual(life)
      }
      if (life === undefined) return [records, errands]
      begins(row, life, step)
      const count = life.errands?.list.length ?? life.records.length
      if (count === 0) return [records, errands]
      const some = random.chance(0.1) ? random.integer(1, count) : count
      step = { limit: 1_000, generation: life.generation }
      if (life.errands === undefined) {
        records.push(...life.records.slice(0, some))
        row.seq += some
        step = { ...step, moved: row.seq - 1 }
      } else {
        const { first, list } = life.errands
        errands.push(...list.slice(0, some).map((errand, i) => ({ number: first + i, errand })))
        row.number = first + some - 1
        step = { ...step, carried: row.number }
      }
      if (random.chance(0.1)) step = { ...step, isUnknown: true }
    }
  }

  #compare(row: Row, theirs: readonly Numbered[], mine: readonly ModelErrand[]): void {
    expect(theirs.length).toBe(mine.length)
    let at = 0
    while (at < mine.length) {
      const step = mine.slice(at).filter((errand) => errand.step === mine[at]?.step)
      const part = theirs.slice(at, at + step.length)
      const own = by(step, nameOf)
      const found = by(part, ({ errand }) => nameOf(errand))
      expect([...found.keys()].sort()).toEqual([...own.keys()].sort())
      const models = new Map<Numbered, ModelErrand>()
      for (const [name, list] of found) {
        for (const [i, one] of list.entries()) {
          const model = own.get(name)?.[i]
          if (model === undefined) throw new Error(`${JSON.stringify(one)} is left once more`)
          expect(one.errand).toEqual(this.#expected(one.errand, model))
          models.set(one, model)
        }
      }
      for (const one of part) {
        const model = models.get(one)
        if (model !== undefined) row.taken.push({ ...one, model })
      }
      at += step.length
    }
  }

  #expected(theirs: Errand, { step: _, parent: place, ...errand }: ModelErrand) {
    if (errand.errand === 'child') this.#places.set(place, theirs.parent)
    expect(theirs.parent.id).toBe(place.id)
    return { ...errand, parent: this.#places.get(place) }
  }
}

interface Numbered {
  readonly number: number
  readonly errand: Errand
}

/** Those of one name are in order. */
function nameOf(errand: Errand | ModelErrand): string {
  const name = errand.errand === 'child' ? errand.parent.id : errand.child.id
  return `${errand.errand} ${errand.to} ${name}`
}

function begins(row: Row, { generation, seq, errands }: StoredLife, { isUnknown }: LifeStep): void {
  if (isUnknown === true) expect(generation).not.toBe(row.generation)
  else if (row.generation !== '') expect(generation).toBe(row.generation)
  if (generation !== row.generation) row.seq = 1
  row.generation = generation
  expect(seq).toBe(row.seq)
  if (errands === undefined) return
  if (row.name !== '') expect(errands.row).toBe(row.name)
  row.name = errands.row
  expect(errands.first).toBeGreaterThan(row.number)
}

function by<T>(all: readonly T[], nameOf: (one: T) => string): Map<string, T[]> {
  const lists = new Map<string, T[]>()
  for (const one of all) lists.set(nameOf(one), [...(lists.get(nameOf(one)) ?? []), one])
  return lists
}

function sorted<T>(lists: Iterable<readonly [string, T]>): (readonly [string, T])[] {
  return [...lists].sort(([a], [b]) => (a < b ? -1 : 1))
}
