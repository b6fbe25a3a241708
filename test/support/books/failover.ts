/**
 * What many saw of one topic while its servers were replaced: every event that a reader was shown or a publisher was
 * told, by its epoch and offset, compared with each other and with the log as it is in the end.
 */

import { setTimeout as sleep } from 'node:timers/promises'
import { io, type Socket } from 'socket.io-client'
import { expect } from 'vitest'
import type { Store } from '../../../server/store/contract/store.ts'
import { openRedis } from '../../../server/store/redis/store.ts'
import type { WireError } from '../../../shared/errors.ts'
import { endOfEpoch, type Lineage } from '../../../shared/positions.ts'
import type { EventsPacket, Gap, Published, Reply } from '../../../shared/protocol.ts'
import { QUICK } from '../clients/publisher.ts'
import { Witness } from '../clients/witness.ts'
import { atEnd } from '../ending.ts'
import { startHub } from '../hub/hub.ts'
import type { RedisServer } from '../redis/redis.ts'
import { until } from '../until.ts'

/** All data are different. */
let drafts = 0

export class Claims {
  /** Contradictions between any two, in sentences. */
  readonly faults: string[] = []
  readonly all = new Map<string, { readonly epoch: string; readonly offset: number; readonly data: unknown }>()

  add(who: string, epoch: string, offset: number, data: unknown): void {
    const place = `${epoch}:${offset}`
    const known = this.all.get(place)
    if (known === undefined) this.all.set(place, { epoch, offset, data })
    else if (known.data !== data) this.faults.push(`${place} is ${known.data}, and ${data} says ${who}`)
  }
}

export interface Loss {
  /** The last event before the gap. */
  readonly epoch: string
  readonly offset: number
  readonly gap: Gap
}

export interface Reader {
  readonly witness: Witness
  readonly losses: Loss[]
}

/** A witness by its own position, whose every event is a claim. */
export function startReader(url: string, topic: string, name: string, claims: Claims): Reader {
  const witness = new Witness(url, topic, name)
  const losses: Loss[] = []
  let last = { epoch: '', offset: 0 }
  witness.socket.on('events', ({ epoch, events }: EventsPacket) => {
    for (const { offset, data } of events) {
      claims.add(name, epoch, offset, data)
      last = { epoch, offset }
    }
  })
  witness.socket.on('gap', (gap: Gap) => {
    losses.push({ ...last, gap })
    if (gap.position !== undefined) last = gap.position
  })
  return { witness, losses }
}

export interface Acknowledged {
  readonly epoch: string
  readonly offset: number
  readonly durability: string
}

/** Publishes without a pause and without a number: what has no answer stays unknown and is not sent again. */
export class Feeder {
  readonly socket: Socket
  readonly acknowledged = new Map<string, Acknowledged>()
  readonly errors: WireError[] = []
  /** When the last publish was acknowledged. */
  lastAt = 0
  #stopped = false
  readonly #running: Promise<void>

  constructor(url: string, topic: string, name: string, claims: Claims, pauseMs = 3) {
    this.socket = io(`${url}/topics/${topic}`, { ...QUICK, transports: ['websocket'], auth: { from: 'none' } })
    atEnd(() => {
      this.#stopped = true
      this.socket.disconnect()
    })
    const row = async (): Promise<void> => {
      while (!this.#stopped) {
        const batch = Array.from({ length: 3 }, () => `${name} ${drafts++}`)
        const reply = await this.#publish(batch)
        if (reply?.ok === false) {
          this.errors.push(reply.error)
          await sleep(50)
        } else if (reply !== undefined) {
          const { epoch, offsets, durability } = reply.value
          this.lastAt = performance.now()
          for (const [i, data] of batch.entries()) {
            const offset = offsets[i] ?? 0
            this.acknowledged.set(data, { epoch, offset, durability })
            claims.add(name, epoch, offset, data)
          }
        }
        await sleep(pauseMs)
      }
    }
    this.#running = Promise.all([row(), row(), row()]).then(() => {})
  }

  async #publish(batch: readonly string[]): Promise<Reply<Published> | undefined> {
    const events = batch.map((data) => ({ data }))
    return await this.socket
      .timeout(8_000)
      .emitWithAck('publish', events, null)
      .catch(() => undefined)
  }

  /** Resolves when something was acknowledged that was sent after this call, and everything is well again. */
  async goesOn(deadlineMs = 20_000): Promise<void> {
    const since = performance.now()
    const seen = () => ({ acknowledged: this.acknowledged.size, errors: this.errors.slice(-3) })
    await until(() => this.lastAt > since + 20, { what: 'publishes to be acknowledged again', deadlineMs, seen })
  }

  async stop(): Promise<void> {
    this.#stopped = true
    await this.#running
    this.socket.disconnect()
  }

  /** Does not wait for answers: where no more can come. */
  abandon(): void {
    this.#stopped = true
    this.socket.disconnect()
  }
}

export interface Log {
  readonly lineage: Lineage
  readonly head: number
  /** Data by offset. */
  readonly events: ReadonlyMap<number, unknown>
}

/** What the topic keeps, read through a store of the test's own. */
export async function readLog(url: string, topic: string): Promise<Log> {
  const store: Store = await openRedis(url)
  try {
    const events = new Map<number, unknown>()
    for (let after = 0; ; ) {
      const page = await store.topics.read(topic, after, { events: 1_000, bytes: 1e9 })
      for (const event of page.events) {
        expect(event.offset).toBe(after + 1)
        events.set(event.offset, 'damaged' in event ? 'damaged' : JSON.parse(event.body.json).data)
        after = event.offset
      }
      if (page.events.length === 0) return { lineage: page.lineage, head: page.head, events }
    }
  } finally {
    await store.close()
  }
}

export interface Judged {
  /** Events that were acknowledged or shown and are not in the log. */
  readonly lost: number
  /** Those of them that were acknowledged. */
  readonly unkept: readonly Acknowledged[]
  readonly log: Log
}

/**
 * Holds what was seen against the log: no two values for one place, every reader has the whole log and nothing else, told
 * of exactly what it had seen and is lost, and of nothing more.
 */
export async function judge(
  url: string,
  topic: string,
  claims: Claims,
  readers: readonly Reader[],
  feeders: readonly Feeder[],
): Promise<Judged> {
  const log = await readLog(url, topic)
  const { lineage, head, events } = log
  for (const { witness } of readers) await witness.reaches(head)
  expect(claims.faults).toEqual([])
  let lost = 0
  const isKept = (epoch: string, offset: number) => offset <= (endOfEpoch(lineage, head, epoch) ?? 0)
  for (const { epoch, offset, data } of claims.all.values()) {
    if (isKept(epoch, offset)) expect(events.get(offset), `${epoch}:${offset}`).toBe(data)
    else lost += 1
  }
  const expected = [...events.values()]
  for (const { witness, losses } of readers) {
    expect(witness.faults, witness.name).toEqual([])
    expect(witness.errors, witness.name).toEqual([])
    expect(
      [...witness.events.values()].sort((a, b) => a.offset - b.offset).map(({ data }) => data),
      witness.name,
    ).toEqual(expected)
    for (const { epoch, offset, gap } of losses) {
      const told = `${witness.name} of ${JSON.stringify(losses)} in ${JSON.stringify({ lineage, head })}`
      expect(gap, told).toMatchObject(rangeOf(log, epoch, offset, gap))
    }
  }
  const unkept = feeders.flatMap(({ acknowledged }) =>
    [...acknowledged.values()].filter(({ epoch, offset }) => !isKept(epoch, offset)),
  )
  return { lost, unkept, log }
}

/** What a gap behind an event has to say, as far as the log tells. */
function rangeOf({ lineage, head }: Log, epoch: string, offset: number, gap: Gap): Partial<Gap> {
  // It was told at a master that was replaced in its turn: what that one lacked, the next one may have.
  if (endOfEpoch(lineage, head, gap.epoch) === undefined)
    return { reason: 'reset', to: gap.to === null ? null : offset }
  const end = endOfEpoch(lineage, head, epoch)
  // Of an epoch that went down with its master nobody knows where it began.
  if (end === undefined) return { reason: 'reset', from: null, to: null, count: null }
  return { reason: 'reset', from: end + 1, to: offset, count: offset - end }
}

/** The replicas lose their master, and get it back only by `rejoin`; all others are served on. */
export async function cutOff(master: RedisServer): Promise<void> {
  await master.cli('acl', 'setuser', 'default', '-psync', '-sync')
  await master.cli('client', 'kill', 'type', 'replica')
}

export async function rejoin(master: RedisServer): Promise<void> {
  await master.cli('acl', 'setuser', 'default', '+@all')
}

export async function ready(url: string): Promise<boolean> {
  return (await fetch(`${url}/readyz`)).ok
}

export interface Load {
  readonly urls: readonly string[]
  readonly claims: Claims
  readonly readers: Reader[]
  readonly feeders: Feeder[]
}

/** A hub for each store, a reader and a feeder on each. */
export async function startLoad(stores: readonly string[], topic: string, claims = new Claims()): Promise<Load> {
  const urls = (await Promise.all(stores.map((store) => startHub({ store })))).map(({ url }) => url)
  const readers = urls.map((url, i) => startReader(url, topic, `reader ${i}`, claims))
  const feeders = urls.map((url, i) => new Feeder(url, topic, `feeder ${i}`, claims))
  for (const { witness } of readers) await witness.reaches(30)
  return { urls, claims, readers, feeders }
}
