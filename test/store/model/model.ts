/**
 * The contract as a small program in memory. Epochs are random in an engine, so the model names them itself and learns
 * the engine's name for each the first time it sees one.
 */

import { sizeBody } from '../../../server/store/codec.ts'
import type { Body, Bounds, Owner, Retention } from '../../../server/store/contract/store.ts'
import { RepriseError } from '../../../shared/errors.ts'
import {
  comparePlaces,
  type DroppedLog,
  type LineageEntry,
  lagOf,
  type Position,
  placeIn,
} from '../../../shared/positions.ts'

const MINUTE = 60_000
const DAY = 86_400_000

interface ModelEvent {
  readonly offset: number
  readonly at: number
  readonly body: Body
}

interface ModelTopic {
  readonly lineage: LineageEntry[]
  opening: number
  events: ModelEvent[]
  first: number
  head: number
  lastAt: number
  readonly ids: Map<string, { id: string; offset: number; at: number }[]>
  readonly producers: Map<string, { start: number; usedAt: number; offsets: number[] }>
}

interface ModelCursor {
  position: Position
  session: number
  usedAt: number
}

export interface ModelDraft {
  readonly body: Body
  readonly id?: string
}

export class Model {
  readonly topics = new Map<string, ModelTopic>()
  readonly cursors = new Map<string, Map<string, ModelCursor>>()
  readonly maxIds: number
  /** When a cursor's note is over. */
  readonly #notes = new Map<string, number>()
  /** By topic: the logs that were dropped, and how many epochs the store had by then. */
  readonly #dropped = new Map<string, { logs: DroppedLog[]; epochs: number }>()
  #epochs: string[] = ['#0']
  #epochOpening = -1
  #named = 0
  #sessions = 0
  opening = 0
  now: number

  constructor(now: number, maxIds: number) {
    this.now = now
    this.maxIds = maxIds
  }

  #newEpoch(): string {
    this.#named++
    return `#${this.#named}`
  }

  reopen(): void {
    this.opening++
  }

  bounds(name: string): Bounds {
    const topic = this.topics.get(name)
    const lineage = topic?.lineage ?? this.#unborn(name)
    const dropped = this.#dropped.get(name)?.logs
    return {
      ...(dropped !== undefined && { dropped }),
      epoch: lineage.at(-1)?.epoch ?? '',
      lineage: [...lineage],
      first: topic?.first ?? 1,
      head: topic?.head ?? 0,
    }
  }

  #unborn(name: string): LineageEntry[] {
    const own = this.#epochs.slice(this.#dropped.get(name)?.epochs ?? 0)
    return own.map((epoch) => ({ epoch, startsAfter: 0 }))
  }

  append(
    name: string,
    subject: string,
    drafts: readonly ModelDraft[],
    retain: Retention,
    producer?: { name: string; seq: number },
  ): { epoch: string; offsets: number[]; duplicates: number } {
    let topic = this.topics.get(name)
    const row = producer && this.#producer(topic, `${subject}/${producer.name}`)
    const offsets: number[] = []
    if (producer) {
      if (row === undefined && producer.seq > 1) throw new RepriseError('conflict', 'unknown')
      const next = row === undefined ? producer.seq : row.start + row.offsets.length
      if (producer.seq > next) throw new RepriseError('conflict', 'skipped')
      for (let seq = producer.seq; seq < Math.min(next, producer.seq + drafts.length); seq++) {
        const offset = row?.offsets[seq - row.start]
        if (offset === undefined || seq < next - 1_024) throw new RepriseError('conflict', 'not kept')
        offsets.push(offset)
      }
    }
    const repeated = offsets.length
    let duplicates = repeated
    for (const { body, id } of drafts.slice(repeated)) {
      const known = id === undefined ? undefined : this.#known(topic, subject, id)
      if (known !== undefined) {
        duplicates++
        offsets.push(known)
        continue
      }
      topic = this.#begin(name)
      topic.head++
      topic.lastAt = Math.max(topic.lastAt, this.now)
      topic.events.push({ offset: topic.head, at: topic.lastAt, body })
      offsets.push(topic.head)
      if (id !== undefined) this.#remember(topic, subject, id, topic.head)
    }
    if (topic !== undefined && producer) {
      const key = `${subject}/${producer.name}`
      const kept = row ?? { start: producer.seq, usedAt: 0, offsets: [] }
      kept.offsets.push(...offsets.slice(repeated))
      kept.usedAt = this.now
      topic.producers.set(key, kept)
    }
    // The limit is applied after the call: what it gave itself counts in it.
    const given = topic?.ids.get(subject)
    if (given !== undefined) topic?.ids.set(subject, given.slice(-this.maxIds))
    if (topic !== undefined) this.#trim(topic, retain, duplicates < offsets.length)
    return { epoch: this.bounds(name).epoch, offsets, duplicates }
  }

  #producer(topic: ModelTopic | undefined, key: string) {
    const row = topic?.producers.get(key)
    return row !== undefined && this.now - row.usedAt < 7 * DAY ? row : undefined
  }

  /** Ids of a subject are a list, oldest first; only the last `maxIds` count. */
  #known(topic: ModelTopic | undefined, subject: string, id: string): number | undefined {
    const given = topic?.ids.get(subject) ?? []
    const found = given.findLast((entry) => entry.id === id)
    return found !== undefined && this.now - found.at < 5 * MINUTE ? found.offset : undefined
  }

  #remember(topic: ModelTopic, subject: string, id: string, offset: number): void {
    const given = topic.ids.get(subject) ?? []
    const entry = { id, offset, at: this.now }
    topic.ids.set(subject, [...given, entry])
  }

  #begin(name: string): ModelTopic {
    const known = this.topics.get(name)
    if (known === undefined) {
      if (this.#epochOpening !== this.opening) {
        this.#epochs.push(this.#newEpoch())
        this.#epochOpening = this.opening
      }
      const topic: ModelTopic = {
        lineage: this.#unborn(name),
        opening: this.opening,
        events: [],
        first: 1,
        head: 0,
        lastAt: 0,
        ids: new Map(),
        producers: new Map(),
      }
      this.topics.set(name, topic)
      return topic
    }
    if (known.opening !== this.opening) {
      known.lineage.push({ epoch: this.#newEpoch(), startsAfter: known.head })
      known.opening = this.opening
    }
    return known
  }

  trim(name: string, retain: Retention): Bounds {
    const topic = this.topics.get(name)
    if (topic !== undefined) this.#trim(topic, retain, false)
    return this.bounds(name)
  }

  #trim(topic: ModelTopic, retain: Retention, keepLast: boolean): void {
    const bytes = (): number => topic.events.reduce((sum, { body }) => sum + sizeBody(body).bytes, 0)
    while (topic.events.length > 0) {
      const [oldest] = topic.events
      const tooMany = topic.events.length > retain.events
      const tooLarge = bytes() > retain.bytes && !(keepLast && topic.events.length === 1)
      const tooOld = (oldest?.at ?? 0) < this.now - retain.ageMs
      if (!tooMany && !tooLarge && !tooOld) break
      topic.events.shift()
      topic.first++
    }
  }

  read(name: string, after: number, bound: { events: number; bytes: number }): ModelEvent[] {
    const events: ModelEvent[] = []
    let bytes = 0
    for (const event of this.topics.get(name)?.events ?? []) {
      if (event.offset <= after) continue
      bytes += sizeBody(event.body).bytes
      if (events.length > 0 && (events.length >= bound.events || bytes > bound.bytes)) break
      events.push(event)
    }
    return events
  }

  seek(name: string, time: number): number {
    const topic = this.topics.get(name)
    if (topic === undefined) return 0
    return topic.events.findLast(({ at }) => at < time)?.offset ?? topic.first - 1
  }

  info(name: string) {
    const topic = this.topics.get(name)
    if (topic === undefined) return undefined
    const bytes = topic.events.reduce((sum, { body }) => sum + sizeBody(body).bytes, 0)
    return { topic: name, ...this.bounds(name), events: topic.events.length, bytes }
  }

  drop(name: string): boolean {
    const topic = this.topics.get(name)
    if (topic === undefined) return false
    const had = topic.lineage.map(({ epoch }) => epoch)
    const epochs = this.#epochs.findLastIndex((epoch) => had.includes(epoch)) + 1
    const { lineage, head } = topic
    const logs = [...(this.#dropped.get(name)?.logs ?? []), { lineage, head }]
    this.#dropped.set(name, { logs, epochs })
    if (had.includes(this.#epochs.at(-1) ?? '')) {
      this.#epochs.push(this.#newEpoch())
      this.#epochOpening = this.opening
    }
    this.topics.delete(name)
    return true
  }

  #cursor(name: string, owner: Owner): ModelCursor | undefined {
    const cursor = this.cursors.get(name)?.get(ownerKey(owner))
    return cursor !== undefined && this.now - cursor.usedAt < 30 * DAY ? cursor : undefined
  }

  /** Cursors over their time become notes; done at once, as an engine must not let it be seen when it does. */
  expire(): void {
    for (const [name, cursors] of this.cursors) {
      for (const [key, { usedAt }] of cursors) {
        if (this.now - usedAt < 30 * DAY) continue
        cursors.delete(key)
        this.#notes.set(`${name}/${key}`, usedAt + 395 * DAY)
      }
    }
  }

  open(name: string, owner: Owner, start: 'start' | 'end' | Position, placed = false) {
    const bounds = this.bounds(name)
    const known = this.#cursor(name, owner)
    const { epoch, first, head } = bounds
    const wanted = typeof start === 'object' ? start : { epoch, offset: start === 'end' ? head : first - 1 }
    const position = known === undefined || placed ? wanted : known.position
    const key = ownerKey(owner)
    const note = this.#notes.get(`${name}/${key}`)
    this.#notes.delete(`${name}/${key}`)
    this.#sessions++
    const cursors = this.cursors.get(name) ?? new Map<string, ModelCursor>()
    cursors.set(key, { position, session: this.#sessions, usedAt: this.now })
    this.cursors.set(name, cursors)
    const expired = known === undefined && note !== undefined && this.now < note
    return { ...bounds, position, created: known === undefined, expired, session: this.#sessions }
  }

  check(name: string, position: Position): void {
    const place = placeIn(this.bounds(name), position)
    if (place === undefined) throw new RepriseError('stale_epoch', 'stale')
    if (position.offset > place.end) throw new RepriseError('bad_request', 'beyond')
  }

  commit(name: string, owner: Owner, session: number, position: Position): Position {
    const cursor = this.#cursor(name, owner)
    if (cursor === undefined) throw new RepriseError('not_found', 'unknown')
    if (session < cursor.session) throw new RepriseError('taken_over', 'old')
    this.check(name, position)
    const bounds = this.bounds(name)
    const place = placeIn(bounds, position)
    const known = placeIn(bounds, cursor.position)
    if (place !== undefined && (known === undefined || comparePlaces(place, known) > 0)) cursor.position = position
    cursor.usedAt = this.now
    return cursor.position
  }

  list(name: string, behind = 0) {
    const bounds = this.bounds(name)
    const listed = [...(this.cursors.get(name) ?? new Map<string, ModelCursor>())]
      .filter(([, { usedAt }]) => this.now - usedAt < 30 * DAY)
      .map(([key, { position, usedAt }]) => {
        return { ...(JSON.parse(key) as Owner), position, usedAt, lag: lagOf(bounds, position) }
      })
    const order = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b))
    return listed
      .filter(({ lag }) => lag >= behind)
      .sort((a, b) => order(a.subject, b.subject) || order(a.client, b.client))
  }

  forget(name: string, owner: Owner): boolean {
    if (this.#cursor(name, owner) === undefined) return false
    return this.cursors.get(name)?.delete(ownerKey(owner)) ?? false
  }
}

function ownerKey({ subject, client }: Owner): string {
  return JSON.stringify({ subject, client })
}
