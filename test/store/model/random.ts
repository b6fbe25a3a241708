/**
 * Random operation sequences, each step done to an engine and to the model, and all that can be observed compared.
 * `REPRISE_SEED=n` replays a run, `REPRISE_SOAK=1` makes it long.
 */

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { acksLast, type CursorCall } from '../../../server/store/acksLast.ts'
import type { Body, Notification, Store, StoredEvent } from '../../../server/store/contract/store.ts'
import { RepriseError } from '../../../shared/errors.ts'
import type { LineageEntry, Position } from '../../../shared/positions.ts'
import { infoOf, maintain } from '../conformance/calls.ts'
import { ALL, type Engine, plain, START, text } from '../conformance/fixture.ts'
import { Model } from './model.ts'
import { type Operation, operation } from './operations.ts'

const MAX_IDS = 7
const SOAK = process.env.REPRISE_SOAK === '1'

/** The engine's names of the model's epochs, learnt as they appear. */
class Names {
  readonly #engine = new Map<string, string>()
  readonly #model = new Map<string, string>()

  learn(ours: string, theirs: string): void {
    if (!this.#engine.has(ours) && !this.#model.has(theirs)) {
      this.#engine.set(ours, theirs)
      this.#model.set(theirs, ours)
    }
    expect(this.#engine.get(ours)).toBe(theirs)
  }

  learnLineage(ours: readonly LineageEntry[], theirs: readonly LineageEntry[]): void {
    expect(theirs.map(({ startsAfter }) => startsAfter)).toEqual(ours.map(({ startsAfter }) => startsAfter))
    ours.forEach(({ epoch }, i) => {
      this.learn(epoch, theirs[i]?.epoch ?? '')
    })
  }

  theirs({ epoch, offset }: Position): Position {
    return { epoch: this.#engine.get(epoch) ?? epoch, offset }
  }
}

type Expected<T> = { readonly value: T } | { readonly error: RepriseError }

interface Turn {
  readonly about: CursorCall
  readonly run: () => void
}

function aboutOf(operation: Operation): CursorCall {
  if (!('owner' in operation)) return {}
  const cursor = JSON.stringify([operation.topic, operation.owner])
  if (operation.kind !== 'commit') return { cursor }
  const { offset, epoch, old } = operation
  return { cursor, ack: { key: JSON.stringify([cursor, epoch, old]), offset } }
}

class Run {
  readonly #engine: Engine
  readonly #model = new Model(START, MAX_IDS)
  readonly #names = new Names()
  /** The earliest time that anything can have been stored at. */
  #earliest = START
  readonly #told = new Map<string, StoredEvent[]>()
  /** The engine's session numbers by the model's. */
  readonly #sessions = new Map<number, number>()
  #store: Store
  #count = 0
  /** What the model has to do of calls that are being made together. */
  #turns: Turn[] | undefined
  /** The call that is being made. */
  #about: CursorCall = {}

  constructor(engine: Engine, store: Store) {
    this.#engine = engine
    this.#store = store
  }

  async begin(): Promise<void> {
    await this.#watch()
    await this.#compare()
  }

  async #watch(): Promise<void> {
    for (const name of ['a', 'b', 'c']) {
      await this.#store.topics.watch(name, (notification) => this.#hear(name, notification))
    }
  }

  #hear(name: string, notification: Notification): void {
    if (notification.kind === 'appended')
      this.#told.set(name, [...(this.#told.get(name) ?? []), ...notification.events])
  }

  /** Does a step to the model at once, to the engine later, and compares the outcomes. */
  async step(operation: Operation): Promise<void> {
    if (operation.kind === 'together') {
      const { operations } = operation
      const rows = this.#engine.ordersByTopic ? byTopic(operations) : [operations]
      for (const row of rows) {
        const prepared = row.map((each) => ({ each, start: this.#prepare(each) }))
        this.#turns = []
        const answers = prepared.map(({ each, start }) => {
          this.#about = aboutOf(each)
          return start()
        })
        const { others, acks } = acksLast(this.#turns, ({ about }) => about)
        this.#turns = undefined
        for (const { run } of [...others, ...acks.flat()]) run()
        await Promise.all(answers)
        // A topic that was dropped changes the epoch that all others would begin with.
        await this.#compare()
      }
    } else if (operation.kind === 'clock') {
      // What has expired would come back where it was not forgotten yet: a clock goes back only before that.
      if (operation.ms < 0 && this.#model.now >= this.#earliest + 299_999) return
      this.#engine.clock.now += operation.ms
      this.#model.now += operation.ms
      this.#earliest = Math.min(this.#earliest, this.#model.now)
      this.#model.expire()
    } else if (operation.kind === 'reopen') {
      await this.#store.close()
      this.#store = await this.#engine.open({ maxIds: MAX_IDS })
      this.#model.reopen()
      await this.#watch()
    } else if (operation.kind === 'sweep') {
      while ((await maintain(this.#store)).more);
    } else {
      await this.#prepare(operation)()
    }
    await this.#compare()
  }

  /** Settles what the step is given, in names and numbers that both know before it; the result does it. */
  #prepare(operation: Operation): () => Promise<void> {
    const store = this.#store
    const model = this.#model
    switch (operation.kind) {
      case 'append': {
        const drafts = operation.sizes.map(({ size, id }) => {
          this.#count++
          return { body: body(this.#count, size), ...(id !== undefined && { id }) }
        })
        const producer = operation.producer && this.#numbered(operation, operation.producer)
        const { topic, subject, retain } = operation
        return () =>
          this.#same(
            () => model.append(topic, subject, drafts, retain, producer),
            () => store.topics.append(topic, { subject, drafts, retain, ...(producer && { producer }) }),
            (ours, theirs) => {
              this.#names.learn(ours.epoch, theirs.epoch)
              expect([theirs.offsets, theirs.duplicates]).toEqual([ours.offsets, ours.duplicates])
            },
          )
      }
      case 'read': {
        const { topic, after, events, bytes } = operation
        // Reads do not wait for writes of the same turn: alone they are exact, beside others only in themselves.
        return () =>
          store.topics.read(topic, after, { events, bytes }).then((page) => {
            expect(page.events.map(({ offset }) => offset)).toEqual(
              page.events.map((_, i) => Math.max(after + 1, page.first) + i),
            )
          })
      }
      case 'seek':
        return () => store.topics.seek(operation.topic, model.now - operation.back).then(() => {})
      case 'trim':
        return () =>
          this.#same(
            () => model.trim(operation.topic, operation.retain),
            () => store.topics.append(operation.topic, { subject: 'ann', drafts: [], retain: operation.retain }),
            // Its epoch may be that of an append beside it, with which it has gone as one call.
            (_ours, theirs) => expect(theirs.offsets).toEqual([]),
          )
      case 'drop':
        return () =>
          this.#same(
            () => model.drop(operation.topic),
            () => store.topics.drop(operation.topic),
            (ours, theirs) => expect(theirs).toBe(ours),
          )
      case 'open':
      case 'place':
        return this.#open(operation)
      case 'commit': {
        const { topic, owner } = operation
        const position = this.#position(topic, operation)
        const cursor = model.cursors.get(topic)?.get(JSON.stringify(owner))
        const ours = (cursor?.session ?? 0) - (operation.old ? 1 : 0)
        const theirSession = this.#sessions.get(ours) ?? 0
        const theirPosition = this.#names.theirs(position)
        return () =>
          this.#same(
            () => model.commit(topic, owner, ours, position),
            () => store.cursors.commit(topic, owner, theirSession, theirPosition),
            (moved, theirs) => expect(theirs).toEqual(this.#names.theirs(moved)),
          )
      }
      case 'forget':
        return () =>
          this.#same(
            () => model.forget(operation.topic, operation.owner),
            () => store.cursors.forget(operation.topic, operation.owner),
            (ours, theirs) => expect(theirs).toBe(ours),
          )
      default:
        throw new Error(`no single operation: ${operation.kind}`)
    }
  }

  #open(operation: Operation & { kind: 'open' | 'place' }): () => Promise<void> {
    const { topic, owner, start } = operation
    const model = this.#model
    const cursors = this.#store.cursors
    if (operation.kind === 'place' && typeof start === 'number') {
      const position = this.#position(topic, { offset: start, epoch: operation.epoch })
      return () =>
        this.#same(
          () => {
            model.check(topic, position)
            return model.open(topic, owner, position, true)
          },
          () => cursors.open(topic, owner, { place: this.#names.theirs(position) }),
          (ours, theirs) => this.#sameOpening(ours, theirs),
        )
    }
    const from = typeof start === 'number' ? this.#position(topic, { offset: start, epoch: operation.epoch }) : start
    return () =>
      this.#same(
        () => model.open(topic, owner, from),
        () => cursors.open(topic, owner, typeof from === 'object' ? this.#names.theirs(from) : from),
        (ours, theirs) => this.#sameOpening(ours, theirs),
      )
  }

  #sameOpening(ours: ReturnType<Model['open']>, theirs: Awaited<ReturnType<Store['cursors']['open']>>): void {
    this.#names.learnLineage(ours.lineage, theirs.lineage)
    const { first, head, created, expired } = ours
    expect(theirs).toMatchObject({ first, head, created, expired, position: this.#names.theirs(ours.position) })
    for (const session of this.#sessions.values()) expect(theirs.session).not.toBe(session)
    this.#sessions.set(ours.session, theirs.session)
  }

  /** The number that this producer has next, or some way off it. */
  #numbered(operation: Operation & { kind: 'append' }, producer: { name: string; ahead: number }) {
    const row = this.#model.topics.get(operation.topic)?.producers.get(`${operation.subject}/${producer.name}`)
    const next = row === undefined ? 1 : row.start + row.offsets.length
    return { name: producer.name, seq: Math.max(0, next + producer.ahead) }
  }

  /** A position in an epoch of the topic, counted from the last one, or in one that never was. */
  #position(topic: string, { offset, epoch }: { offset: number; epoch: number }): Position {
    const { lineage, dropped = [] } = this.#model.bounds(topic)
    const all = [...dropped.flatMap((log) => log.lineage), ...lineage]
    return { epoch: epoch < 0 ? 'never' : (all.at(-1 - epoch)?.epoch ?? 'never'), offset }
  }

  async #same<T, U>(ours: () => T, theirs: () => Promise<U>, compare: (ours: T, theirs: U) => void): Promise<void> {
    const answer = theirs().then(
      (value) => ({ value }),
      (error: unknown) => ({ error }),
    )
    const expected = await this.#inTurn(ours)
    const got = await answer
    if ('error' in expected) expect(got).toMatchObject({ error: { code: expected.error.code } })
    else if ('error' in got) throw got.error
    else compare(expected.value, got.value)
  }

  /** At once; of calls that are made together, when all are made, acknowledgements last: see acksLast.ts. */
  #inTurn<T>(ours: () => T): Promise<Expected<T>> {
    return new Promise((resolve, reject) => {
      const run = (): void => {
        try {
          resolve({ value: ours() })
        } catch (error) {
          if (error instanceof RepriseError) resolve({ error })
          else reject(error)
        }
      }
      if (this.#turns === undefined) run()
      else this.#turns.push({ about: this.#about, run })
    })
  }

  /** Everything that can be observed is the same. */
  async #compare(): Promise<void> {
    const { topics, cursors } = this.#store
    for (const name of ['a', 'b', 'c']) {
      const ours = this.#model.bounds(name)
      const page = await topics.read(name, 0, ALL)
      this.#names.learnLineage(ours.lineage, page.lineage)
      expect([page.first, page.head]).toEqual([ours.first, ours.head])
      expect(page.dropped?.map(({ head }) => head)).toEqual(ours.dropped?.map(({ head }) => head))
      ours.dropped?.forEach(({ lineage }, i) => {
        this.#names.learnLineage(lineage, page.dropped?.[i]?.lineage ?? [])
      })
      expect(plain(page.events)).toEqual(this.#model.read(name, 0, ALL))
      const half = Math.floor((ours.first + ours.head) / 2)
      for (const bound of [
        { events: 3, bytes: 1e9 },
        { events: 100, bytes: 500 },
      ]) {
        const part = await topics.read(name, half, bound)
        expect(plain(part.events)).toEqual(this.#model.read(name, half, bound))
      }
      const time = page.events.at(page.events.length >> 1)
      if (time !== undefined && 'at' in time) {
        for (const at of [time.at, time.at + 1, 0]) expect(await topics.seek(name, at)).toBe(this.#model.seek(name, at))
      }
      const info = this.#model.info(name)
      const theirs = await infoOf(topics, name)
      expect(theirs?.bytes).toBe(info?.bytes)
      expect(theirs?.events).toBe(info?.events)
      for (const behind of [0, 2]) {
        const listed = await cursors.list(name, { limit: 100, ...(behind > 0 && { behind }) })
        const expected = this.#model.list(name, behind)
        expect(listed.map(({ session: _, ...rest }) => rest)).toEqual(
          expected.map((cursor) => ({ ...cursor, position: this.#names.theirs(cursor.position) })),
        )
      }
    }
    const names = (await topics.list({ limit: 10 })).map(({ topic }) => topic)
    expect(names).toEqual([...this.#model.topics.keys()].sort())
    this.#compareTold()
  }

  /** What was told since the last comparison ends with what is kept of it. */
  #compareTold(): void {
    for (const [name, told] of this.#told) {
      const kept = new Map(this.#model.read(name, 0, ALL).map((event) => [event.offset, event]))
      const last = new Map(told.map((event) => [event.offset, event]))
      for (const [offset, event] of kept) if (last.has(offset)) expect(last.get(offset)).toEqual(event)
    }
    this.#told.clear()
  }
}

function byTopic(operations: readonly Operation[]): Operation[][] {
  const rows = new Map<string, Operation[]>()
  for (const operation of operations) {
    const topic = 'topic' in operation ? operation.topic : ''
    rows.set(topic, [...(rows.get(topic) ?? []), operation])
  }
  return [...rows.values()]
}

function body(count: number, size: number): Body {
  if (count % 9 !== 0) return text(`${count} ${'x'.repeat(size)}`)
  return {
    json: `{"data":{"${count}":null}}`,
    binaries: [{ path: [`${count}`], bytes: new Uint8Array(size).fill(count) }],
  }
}

export function describeRandom(name: string, makeEngine: () => Promise<Engine>): void {
  test(`the ${name} store does what the model does`, { timeout: SOAK ? 3_600_000 : 60_000 }, async () => {
    const seed = process.env.REPRISE_SEED === undefined ? Date.now() & 0x7fffffff : Number(process.env.REPRISE_SEED)
    console.log(`random operations on ${name}: REPRISE_SEED=${seed}`)
    const property = fc.asyncProperty(
      fc.array(operation, { minLength: 20, maxLength: SOAK ? 400 : 60 }),
      async (operations) => {
        const engine = await makeEngine()
        try {
          const run = new Run(engine, await engine.open({ maxIds: MAX_IDS }))
          await run.begin()
          for (const each of operations) await run.step(each)
        } finally {
          await engine.destroy()
        }
      },
    )
    await fc.assert(
      property,
      SOAK ? { seed, numRuns: 2_000, interruptAfterTimeLimit: 3_000_000 } : { seed, numRuns: 4, endOnFailure: true },
    )
  })
}
