/** Compares all that can be seen of queues in an engine with the model, and that the watches were told enough. */

import { expect } from 'vitest'
import type { FinishedState, JobState, Owner, QueueNotification, Store } from '../../../server/store/contract/store.ts'
import { infoOf, jobOf } from '../conformance/calls.ts'
import type { Mover } from './errands/mover.ts'
import type { QueueModel } from './queueModel.ts'
import { infoOfHalf, infoOfJob, jobsIn, lineOf, nextDueAt, workAt } from './queueModelJobs.ts'
import { isDead } from './queueModelTimers.ts'
import type { QueueOperation } from './queueOperations.ts'

const NAMES = ['p', 'q'] as const
const HALVES = ['p', 'p/dead', 'q', 'q/dead'] as const
const STATES: readonly JobState[] = ['ready', 'delayed', 'held', 'waiting']
/** As operations draw them. */
const KEYS = ['k', 'l'] as const
const NOTHING = Number.POSITIVE_INFINITY

export class Observer {
  readonly #model: QueueModel
  readonly #store: Store
  readonly #mover: Mover
  readonly #heard = new Map<string, QueueNotification[]>()
  /** From when on the watches of a queue know that there is something to claim, by half. */
  readonly #knownAt = new Map<string, number>()
  readonly #gone: { readonly queue: string; readonly id: string }[] = []

  constructor(model: QueueModel, store: Store, mover: Mover) {
    this.#model = model
    this.#store = store
    this.#mover = mover
  }

  async watch(): Promise<void> {
    for (const name of NAMES) {
      this.#heard.set(name, [])
      await this.#store.queues.watch(name, (notification) => this.#heard.get(name)?.push(notification))
    }
    // Who comes anew claims first, and hears from then on what it has to know.
    for (const name of HALVES) this.#knownAt.set(name, 0)
  }

  /** A step of the model; a refused one tells nobody anything. */
  async during(operation: QueueOperation, isRefused: boolean, step: () => Promise<void>): Promise<void> {
    const before = this.#ids()
    this.#model.step++
    await step()
    const after = this.#ids()
    for (const [queue, ids] of before) {
      for (const id of ids) if (!after.get(queue)?.has(id)) this.#gone.push({ queue, id })
    }
    if (isRefused) return
    if (operation.kind === 'claim' || operation.kind === 'pause') {
      const half = this.#model.half(operation.queue)
      // A claim says itself when there is more, leases that lapse included. Who was told of a pause claims at its end.
      const at = half === undefined || half.paused || operation.kind === 'pause' ? 0 : nextDueAt(half)
      this.#knownAt.set(operation.queue, half === undefined ? 0 : Math.min(workAt(half, this.#model.now), at))
    }
  }

  #ids(): Map<string, Set<string>> {
    return new Map(HALVES.map((name) => [name, new Set(this.#model.half(name)?.jobs.keys() ?? [])]))
  }

  /** Dead letters that came at one time get the order that the engine gave them. */
  async settleTies(): Promise<void> {
    const { ties } = this.#model
    this.#model.ties = []
    for (const name of NAMES) {
      const dead = this.#model.half(`${name}/dead`)
      const mine = ties
        .map((tie) => tie.filter((job) => dead?.jobs.get(job.id) === job))
        .filter((tie) => tie.length > 1)
      if (mine.length === 0) continue
      const query = { state: 'ready', limit: 1_000 } as const
      const listed = (await this.#store.queues.jobs(`${name}/dead`, query)).map(({ id }) => id)
      for (const tie of mine) {
        const places = tie.map(({ place }) => place).sort((a, b) => a - b)
        const inOrder = [...tie].sort((a, b) => listed.indexOf(a.id) - listed.indexOf(b.id))
        for (const [i, job] of inOrder.entries()) job.place = places[i] ?? job.place
      }
    }
  }

  /** The watches have heard of everything that they have to be told. */
  async compareTold(): Promise<void> {
    const { told } = this.#model
    this.#model.told = []
    for (const { queue, what } of told) {
      const heard = this.#heard.get(queue) ?? []
      const isHeard = heard.some((each) => {
        if (each.kind === 'lapsed' && what.kind === 'lapsed') {
          return sameOwner(each.consumer, what.holder) && each.ids.includes(what.id)
        }
        if (each.kind === 'session' && what.kind === 'session') return sameOwner(each.consumer, what.holder)
        if (each.kind === 'answered' && what.kind === 'answered') return each.id === what.id
        return each.kind === what.kind
      })
      if (!isHeard) throw new Error(`nobody was told of ${JSON.stringify(what)}: ${JSON.stringify(heard)}`)
    }
    for (const name of HALVES) {
      const base = isDead(name) ? name.slice(0, 1) : name
      const works = (this.#heard.get(base) ?? []).flatMap((each) => (each.kind === 'work' ? [each.at] : []))
      const knownAt = Math.min(this.#knownAt.get(name) ?? NOTHING, ...works)
      // What is there now is there still when the clock went back.
      this.#knownAt.set(name, knownAt <= this.#model.now ? 0 : knownAt)
      const half = this.#model.half(name)
      if (half === undefined || half.paused) continue
      const at = workAt(half, this.#model.now)
      if (Math.max(knownAt, this.#model.now) > at) {
        throw new Error(`nobody was told that ${name} has work from ${at} on: they know of ${knownAt}`)
      }
    }
    for (const heard of this.#heard.values()) heard.length = 0
  }

  /** Everything that can be observed is the same. */
  async compare(names: readonly string[]): Promise<void> {
    const model = this.#model
    const { queues } = this.#store
    const halves = names.flatMap((name) => [name, `${name}/dead`])
    await Promise.all(halves.map((name) => this.#compareHalf(name)))
    const listed = await queues.list({ limit: 10 })
    expect(listed.map(({ queue }) => queue)).toEqual([...model.queues.keys()].sort())
    for (const name of names) {
      expect(await infoOf(queues, name)).toEqual(listed.find(({ queue }) => queue === name))
      const queue = model.queues.get(name)
      await this.#mover.move(this.#store, name)
      for (const [id, { replyBy, answer }] of [...(queue?.answers ?? [])].slice(-8)) {
        // Where the answer is over, a request with the same id may wait anew.
        if (replyBy <= model.now && queue?.main.jobs.has(id)) continue
        expect([id, await queues.answer(name, id)]).toEqual([id, replyBy > model.now ? answer : undefined])
      }
      for (const { id, replyBy } of [...(queue?.main.jobs.values() ?? [])].slice(-8)) {
        if ((queue?.answers.get(id)?.replyBy ?? 0) > model.now) continue
        const expected = replyBy !== undefined && replyBy > model.now ? { state: 'waiting', replyBy } : undefined
        expect([id, await queues.answer(name, id)]).toEqual([id, expected])
      }
    }
    for (const name of names) await this.#compareFinished(name)
    for (const { queue, id } of this.#gone.splice(0)) {
      const isThere = model.half(queue)?.jobs.has(id) ?? false
      expect([queue, id, (await jobOf(queues, queue, id)) !== undefined]).toEqual([queue, id, isThere])
    }
  }

  async #compareFinished(name: string): Promise<void> {
    const { queues } = this.#store
    const list = (state: FinishedState, after?: string) =>
      queues.finished(name, { state, limit: 100, ...(after !== undefined && { after }) })
    const theirs = { done: await list('done'), removed: await list('removed') }
    const { finished } = this.#model.queues.get(name) ?? {}
    if (finished === undefined) expect(theirs).toEqual({ done: [], removed: [] })
    else finished.compare(theirs, this.#model.now)
    for (const state of ['done', 'removed'] as const) {
      const all = theirs[state]
      const middle = all[all.length >> 1]
      if (middle === undefined) continue
      expect(await queues.finished(name, { ids: ['none', middle.id] })).toEqual([middle])
      expect(await list(state, middle.id)).toEqual(all.slice((all.length >> 1) + 1))
    }
  }

  async #compareHalf(name: string): Promise<void> {
    const { queues } = this.#store
    const half = this.#model.half(name)
    const info = await infoOf(queues, name)
    if (half === undefined) {
      expect([info, await queues.jobs(name, { state: 'ready', limit: 9 })]).toEqual([undefined, []])
      return
    }
    const base = name.slice(0, 1)
    const dead = isDead(name) ? 0 : (this.#model.half(`${base}/dead`)?.jobs.size ?? 0)
    const bound = [...(isDead(name) ? [] : (this.#model.queues.get(base)?.bindings ?? []))]
    const bindings = bound.sort().map(([topic, position]) => ({ topic, position }))
    const tripped = isDead(name) ? undefined : this.#model.queues.get(base)?.tripped
    const own = infoOfHalf(half, dead, this.#model.now)
    expect(info).toEqual({ queue: name, ...own, ...(tripped && { tripped }), bindings })
    const counts = info?.counts ?? infoOfHalf(half, dead, 0).counts
    const { sent, ready, delayed, held, waiting, done, dead: died, removed } = counts
    expect(ready + delayed + held + waiting + done + died + removed).toBe(sent)

    for (const state of STATES) {
      const ours = jobsIn(half, state).map((job) => infoOfJob(half, job))
      const theirs = await queues.jobs(name, { state, limit: 1_000 })
      expect(theirs.map(({ id }) => id)).toEqual(ours.map(({ id }) => id))
      expect(theirs).toEqual(ours)
      const middle = ours[ours.length >> 1]
      if (middle === undefined) continue
      expect(await jobOf(queues, name, middle.id)).toEqual(middle)
      const part = await queues.jobs(name, { state, after: middle.id, limit: 2 })
      const from = (ours.length >> 1) + 1
      expect(part.map(({ id }) => id)).toEqual(ours.slice(from, from + 2).map(({ id }) => id))
    }
    for (const line of KEYS) {
      const ours = lineOf(half, line).map(({ id }) => id)
      const listed = async (after?: string) =>
        (await queues.jobs(name, { line, limit: 1_000, ...(after !== undefined && { after }) })).map(({ id }) => id)
      expect([line, await listed()]).toEqual([line, ours])
      const middle = ours[ours.length >> 1]
      if (middle !== undefined) expect([line, await listed(middle)]).toEqual([line, ours.slice((ours.length >> 1) + 1)])
    }
  }
}

function sameOwner(a: Owner, b: Owner): boolean {
  return a.subject === b.subject && a.client === b.client
}
