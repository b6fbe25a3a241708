/** The tables of the embedded store: what each record holds and how it is written. Says nothing about when. */

import { crc32 } from 'node:zlib'
import type { DroppedLog, LineageEntry } from '../../../../shared/positions.ts'
import type {
  AnswerRecord,
  CarriedRecord,
  ChildRecord,
  ConsumerRecord,
  GroupRecord,
  QueueRecord,
  ScheduleRecord,
  Told,
} from '../queues/storage/records.ts'

export interface Table<T> {
  readonly name: string
  encode(value: T): Buffer
  decode(bytes: Buffer): T
}

function json<T>(name: string): Table<T> {
  return {
    name,
    encode: (value) => Buffer.from(JSON.stringify(value)),
    decode: (bytes) => JSON.parse(bytes.toString()) as T,
  }
}

function raw(name: string): Table<Buffer> {
  return { name, encode: (value) => value, decode: (bytes) => bytes }
}

/** Behind a record: its checksum, and a byte that no text ends with. */
const SUM_BYTES = 5
const SUM_MARK = 0xc5

/**
 * The same with a checksum; `decode` throws where it does not fit. What earlier versions wrote has none: its last byte is
 * another, and where records are rows of numbers of `unit` bytes, its length is.
 */
function summed<T>(table: Table<T>, unit?: number): Table<T> {
  const { name } = table
  const hasSum = (bytes: Buffer): boolean =>
    unit === undefined ? bytes[bytes.length - 1] === SUM_MARK : bytes.length % unit === SUM_BYTES
  return {
    name,
    encode(value) {
      const bytes = table.encode(value)
      const record = Buffer.allocUnsafe(bytes.length + SUM_BYTES)
      record.set(bytes)
      record.writeUInt32LE(crc32(bytes), bytes.length)
      record[bytes.length + 4] = SUM_MARK
      return record
    },
    decode(record) {
      if (unit !== undefined && record.length % unit === 0) return table.decode(record)
      if (unit === undefined && !hasSum(record)) return table.decode(record)
      const end = record.length - SUM_BYTES
      const bytes = record.subarray(0, end)
      if (end < 0 || !hasSum(record) || crc32(bytes) !== record.readUInt32LE(end)) throw new Error(`damaged: ${name}`)
      return table.decode(bytes)
    },
  }
}

/** The store's own state. */
export interface StoreRecord {
  /** Oldest first; all start after 0. */
  readonly epochs: readonly string[]
  /** The opening of the store in which the last of them began. */
  readonly opening: string
  readonly lastTopicNumber: number
  readonly lastSession: number
}

export const STORE_KEY = Buffer.from('store')

/** One birth of a topic. */
export interface TopicRecord {
  readonly number: number
  readonly epoch: string
  /** The opening of the store in which it was appended to last. */
  readonly opening: string
  readonly first: number
  readonly head: number
  /** Time of the event `first`. */
  readonly firstAt: number
  readonly lastAt: number
  /** Bytes of all bodies ever appended, and of those before `first`. */
  readonly total: number
  readonly base: number
  /** No block of this birth begins before this offset, except those that are left to the garbage collector. */
  readonly tail: number
}

/** What is known of the logs of a topic that were dropped. */
export interface DroppedRecord {
  /** Oldest first. */
  readonly logs: readonly DroppedLog[]
  /** The last of the store's epochs that the newest of them was born under: later logs begin with those after it. */
  readonly upTo: string
}

/** Ids that a subject gave to a topic, numbered in the order of their coming. */
export interface IdsRecord {
  readonly next: number
  /** Ids below are forgotten. */
  readonly floor: number
  readonly dueAt: number
}

export interface ProducerRecord {
  /** Its first number. */
  readonly start: number
  readonly next: number
  /** The first of its numbers that may have a name; absent where none had one. */
  readonly named?: number
  readonly usedAt: number
  readonly dueAt: number
}

export interface CursorRecord {
  readonly epoch: string
  readonly offset: number
  readonly session: number
  readonly usedAt: number
  readonly dueAt: number
}

/** What an expired cursor leaves. */
export interface NoteRecord {
  readonly dueAt: number
}

/** Blocks below `below` of a topic's number are dead; when it or a queue is dropped, everything of its number is. */
export interface GarbageRecord {
  readonly below: number
  readonly dropped: boolean
}

export interface IdRecord {
  readonly offset: number
  readonly at: number
  /** Its number among the ids of its subject. */
  readonly number: number
}

const ids: Table<IdRecord> = {
  name: 'ids',
  encode({ offset, at, number }) {
    const bytes = Buffer.allocUnsafe(18)
    bytes.writeUIntBE(offset, 0, 6)
    bytes.writeUIntBE(at, 6, 6)
    bytes.writeUIntBE(number, 12, 6)
    return bytes
  },
  decode: (bytes) => ({
    offset: bytes.readUIntBE(0, 6),
    at: bytes.readUIntBE(6, 6),
    number: bytes.readUIntBE(12, 6),
  }),
}

/** Epochs with the same start are written as one group: a topic born late inherits many that start after 0. */
const lineages: Table<readonly LineageEntry[]> = {
  name: 'lineages',
  encode(lineage) {
    let text = ''
    let last = -1
    for (const { epoch, startsAfter } of lineage) {
      text += startsAfter === last ? ` ${epoch}` : `${last < 0 ? '' : '\n'}${startsAfter} ${epoch}`
      last = startsAfter
    }
    return Buffer.from(text)
  },
  decode: (bytes) =>
    bytes
      .toString()
      .split('\n')
      .flatMap((group) => {
        const [startsAfter, ...epochs] = group.split(' ')
        return epochs.map((epoch) => ({ epoch, startsAfter: Number(startsAfter) }))
      }),
}

/** Written as their text, read as what it says. */
const finished: Table<readonly unknown[] | string> = {
  name: 'finished',
  encode: (value) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)),
  decode: (bytes) => JSON.parse(bytes.toString()) as readonly unknown[],
}

export const TABLES = {
  store: summed(json<StoreRecord>('store')),
  schema: json<number>('schema'),
  topics: summed(json<TopicRecord>('topics')),
  lineages: summed(lineages),
  blocks: raw('blocks'),
  idOwners: summed(json<IdsRecord>('id-owners')),
  ids: summed(ids, 18),
  idLog: summed(raw('id-log'), 22),
  producers: summed(json<ProducerRecord>('producers')),
  producerLog: summed(raw('producer-log'), 6),
  producerNames: summed(json<string>('producer-names')),
  cursors: summed(json<CursorRecord>('cursors')),
  notes: summed(json<NoteRecord>('notes')),
  settings: summed(json<unknown>('settings')),
  due: raw('due'),
  garbage: summed(json<GarbageRecord>('garbage')),
  dropped: summed(json<DroppedRecord>('dropped')),
  holds: summed(json<Readonly<Record<string, number>>>('holds')),
  queues: summed(json<QueueRecord>('queues')),
  jobs: summed(json<readonly unknown[]>('jobs')),
  jobBodies: raw('job-bodies'),
  jobIds: summed(json<number>('job-ids')),
  pairs: summed(raw('pairs'), 16),
  consumers: summed(json<ConsumerRecord>('holders')),
  groups: summed(json<GroupRecord>('groups')),
  finished: summed(finished),
  finishedParts: summed(json<Told>('finished-parts')),
  life: summed(raw('life')),
  children: summed(json<ChildRecord>('children')),
  carried: summed(json<CarriedRecord>('carried')),
  progress: summed(raw('progress')),
  settled: summed(raw('settled'), 12),
  answers: summed(json<AnswerRecord>('answers')),
  timers: raw('turns'),
  schedules: summed(json<ScheduleRecord>('schedules')),
  scheduleBodies: raw('schedule-bodies'),
  scheduleTimes: raw('schedule-times'),
} as const
