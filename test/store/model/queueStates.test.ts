/** The contract's table of what becomes of a job, each cell of it tried with the model. */

import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import type { QueuePolicy, Settlement, StoredChildren } from '../../../server/store/contract/store.ts'
import { START } from '../conformance/fixture.ts'
import { holder, LEASE, named, POLICY, ROOM } from '../conformance/queueDesk.ts'
import { QueueModel } from './queueModel.ts'
import { openOf } from './queueModelJobs.ts'
import { baseOf } from './queueModelTimers.ts'

const TABLE = tableOf(readFileSync(new URL('../../../server/store/contract/queue-states.md', import.meta.url), 'utf8'))

/** Shorter than a lease: held jobs do not expire. */
const TTL_MS = LEASE - 10_000
const CAP_MS = 2 * LEASE
const LAST: QueuePolicy = { ...POLICY, maxAttempts: 1 }

/** The job `x` in a queue of the model. */
class Case {
  readonly model = new QueueModel(START)
  #leases = 0
  #sessions = 0
  #lease = 'none'

  get state(): string {
    const queue = this.model.queues.get('q')
    const letter = queue?.dead.jobs.get('x')
    if (letter !== undefined) return letter.state === 'held' ? 'dead held' : 'dead'
    const job = queue?.main.jobs.get('x')
    if (queue === undefined || job === undefined) return 'gone'
    if (job.state === 'held' || job.state === 'waiting') return job.state
    if (job.state === 'delayed') return job.place === 0 ? 'scheduled' : job.lease === undefined ? 'retrying' : 'lapsed'
    return job.suspect ? 'suspect' : openOf(queue.main).includes(job) ? 'ready' : 'blocked'
  }

  /** The queue where it is. */
  get name(): string {
    return this.state.startsWith('dead') ? 'q/dead' : 'q'
  }

  send(id: string, options: Parameters<typeof named>[1] = {}): this {
    this.model.enqueue(baseOf(this.name), { subject: 'ann', drafts: [named(id, options)], limit: ROOM }, [id])
    return this
  }

  /** `x` with the child `c`. */
  sendParent(onDead: 'fail' | 'skip' = 'fail', options: Parameters<typeof named>[1] = {}): this {
    const children = { drafts: [{ ...named('c'), id: undefined }], onDead, bytes: 0 } as unknown as StoredChildren
    const drafts = [named('x', { ttlMs: TTL_MS, ...options, children })]
    this.model.enqueue('q', { subject: 'ann', drafts, limit: ROOM }, ['x'], ['c'])
    return this
  }

  /** Sent anew, so. */
  again(options: Parameters<typeof named>[1], onDead: 'fail' | 'skip' = 'fail'): this {
    for (const id of ['x', 'c']) this.model.remove('q', id)
    return this.sendParent(onDead, options)
  }

  /** Its child is claimed and settled so. */
  endChild(as: 'done' | 'dead'): void {
    this.claim('v')
    const lease = this.model.queues.get('q')?.main.jobs.get('c')?.lease?.token ?? ''
    this.model.settle('q', [{ id: 'c', lease, as }], POLICY)
  }

  claim(client: string, max = 1): this {
    const { model, name } = this
    const session = ++this.#sessions
    model.attach(name, holder(client), { leaseMs: LEASE, policy: POLICY }, session)
    const lease = { leaseMs: LEASE, capMs: CAP_MS, policy: POLICY }
    const theirs = Array.from({ length: max }, () => ({ lease: `lease ${++this.#leases}` }))
    const claim = { consumer: holder(client), session, max, bytes: 1e9, ...lease }
    const { jobs } = model.claim(name, claim, theirs as never)
    this.#lease = jobs.find(({ id }) => id === 'x')?.lease ?? this.#lease
    return this
  }

  settle(as: Settlement['as'], policy = POLICY, leaseMs = LEASE): this {
    const settlement = { id: 'x', lease: this.#lease, as, ...(as === 'extend' && { leaseMs }) } as Settlement
    this.model.settle(this.name, [settlement], policy)
    return this
  }

  pass(ms: number, policy = POLICY): this {
    this.model.now += ms
    this.model.turn('q', policy)
    return this
  }

  /** Its consumer gets another job. */
  crowd(): this {
    // Among the dead letters one that comes there at once.
    return this.send('other', this.name === 'q/dead' ? { dead: { reason: 'rejected' as const } } : {}).claim('w')
  }
}

const STATES: Readonly<Record<string, () => Case>> = {
  waiting: () => new Case().sendParent(),
  scheduled: () => new Case().send('x', { ttlMs: TTL_MS, due: { delayMs: 1_000 } }),
  ready: () => new Case().send('x', { ttlMs: TTL_MS }),
  blocked: () => new Case().send('first', { key: 'k' }).send('x', { ttlMs: TTL_MS, key: 'k' }),
  suspect: () => new Case().send('x', { ttlMs: TTL_MS }).send('other').claim('w', 2).pass(LEASE),
  held: () => new Case().send('x', { ttlMs: TTL_MS }).claim('w'),
  lapsed: () => new Case().send('x', { ttlMs: TTL_MS }).claim('w').pass(LEASE),
  retrying: () => new Case().send('x', { ttlMs: TTL_MS }).claim('w').settle('retry'),
  dead: () => new Case().send('x', { ttlMs: TTL_MS }).claim('w').settle('dead'),
  'dead held': () => new Case().send('x', { ttlMs: TTL_MS }).claim('w').settle('dead').claim('w'),
}

const EVENTS: Readonly<Record<string, (given: Case) => void>> = {
  'its time comes': (given) => given.pass(1_000),
  'its last child is done': (given) => given.endChild('done'),
  'its last child is done, its own time is to come': (given) =>
    given.again({ due: { delayMs: 1_000 } }).endChild('done'),
  'a child is dead, and it fails with it': (given) => given.endChild('dead'),
  'its last child is dead, and it goes on without it': (given) => given.again({}, 'skip').endChild('dead'),
  'the job before it leaves': ({ model }) => model.remove('q', 'first'),
  'another consumer claims': (given) => given.claim('v'),
  'settled `done`': (given) => given.settle('done'),
  'settled `retry`': (given) => given.settle('retry'),
  'settled `retry`, attempts at the limit': (given) => given.settle('retry', LAST),
  'settled `release`': (given) => given.settle('release'),
  'settled `release`, again by this consumer': (given) => given.settle('release').claim('w').settle('release'),
  'settled `dead`': (given) => given.settle('dead'),
  'settled `extend`': (given) => given.settle('extend'),
  'lease lapses, its consumer alone with it': (given) => given.pass(LEASE),
  'lease lapses, attempts at the limit': (given) => given.pass(LEASE, LAST),
  'lease lapses, its consumer holds others': (given) => given.crowd().pass(LEASE),
  'lease lapses at its cap, its consumer holds others': (given) =>
    given.crowd().settle('extend', POLICY, CAP_MS).pass(CAP_MS),
  'its consumer comes back without it': (given) => {
    given.model.attach(given.name, holder('w'), { leaseMs: LEASE, holding: [], policy: POLICY }, 1_000)
  },
  'its consumer leaves and releases': (given) => {
    given.model.detach(given.name, holder('w'), 1_000, 'release', POLICY)
  },
  expires: (given) => given.pass(TTL_MS + (given.state === 'held' ? 0 : 1_000)),
  'run now': (given) => given.model.runNow(given.name, ['x']),
  removed: (given) => given.model.remove(given.name, 'x'),
  redriven: (given) => given.model.redrive('q', ['x'], TTL_MS),
  'kept for `deadMs`': (given) => given.pass(500, { ...POLICY, deadMs: 500 }),
}

describe('the table of the states of a job', () => {
  it('has every state and every event that is tried, and no other', () => {
    expect([...TABLE.values()].map((row) => [...row.keys()])).toEqual([...TABLE.keys()].map(() => Object.keys(STATES)))
    expect([...TABLE.keys()]).toEqual(Object.keys(EVENTS))
  })

  it.each(Object.keys(STATES))('begins with the state %s where that is made', (state) => {
    expect(STATES[state]?.().state).toBe(state)
  })

  it.each([...TABLE])('says what the model does when a job: %s', (event, row) => {
    const told: Record<string, string> = {}
    const done: Record<string, string> = {}
    for (const [state, next] of row) {
      const given = STATES[state]?.()
      if (next === '' || given === undefined) continue
      EVENTS[event]?.(given)
      told[state] = next === '–' ? state : next
      done[state] = given.state
    }
    expect(done).toEqual(told)
  })
})

/** Of the table that begins with `event`: each row by its event, in it each cell by its state. */
function tableOf(text: string): Map<string, Map<string, string>> {
  const lines = text.slice(text.indexOf('| event |')).trim().split('\n')
  const [head = [], , ...rows] = lines.map((line) => {
    return line
      .slice(1, -1)
      .split('|')
      .map((cell) => cell.trim())
  })
  const states = head.slice(1)
  return new Map(
    rows.map(([event = '', ...cells]) => [event, new Map(states.map((state, i) => [state, cells[i] ?? '']))]),
  )
}
