/** The contract's topics over LMDB: which call plans what, and which only reads. */

import type { Lineage } from '../../../../shared/positions.ts'
import type { Bounds, Notification, Page, TopicInfo, Topics } from '../../contract/store.ts'
import { within } from '../../readBound.ts'
import type { Environment } from '../engine/environment.ts'
import { droppedOf, unbornBounds } from '../engine/epochs.ts'
import { nameKey, numberKey } from '../engine/keys.ts'
import type { Listeners } from '../engine/listeners.ts'
import { STORE_KEY, TABLES, type TopicRecord } from '../engine/tables.ts'
import type { Writer } from '../engine/writer.ts'
import { append } from './append.ts'
import { Log } from './reader.ts'
import { hold, holdsOf } from './retentionPins.ts'

export function createTopics(writer: Writer, listeners: Listeners<Notification>, maxIds: number): Topics {
  return {
    append: (topic, given) => writer.write((transaction) => append(transaction, topic, given, maxIds)),

    read: (topic, after, bound) =>
      writer.read((environment): Page => {
        const record = environment.get(TABLES.topics, nameKey(topic))
        if (record === undefined) return { ...unborn(environment, topic), events: [] }
        const events = new Log(environment, record).read(after, within(bound))
        return { ...boundsOf(environment, topic, record), events }
      }),

    seek: (topic, time) =>
      writer.read((environment) => {
        const record = environment.get(TABLES.topics, nameKey(topic))
        return record === undefined ? 0 : new Log(environment, record).firstThat(({ at }) => at >= time) - 1
      }),

    hold: (topic, name, offset) => writer.write((transaction) => hold(transaction, topic, name, offset)),

    list: (query) =>
      writer.read((environment) => {
        if ('names' in query) {
          return query.names.flatMap((topic) => {
            const record = environment.get(TABLES.topics, nameKey(topic))
            return record === undefined ? [] : [infoOf(environment, topic, record)]
          })
        }
        const start = Buffer.concat([nameKey(query.after ?? ''), Buffer.of(0)])
        const topics: TopicInfo[] = []
        for (const { key, value } of environment.records(TABLES.topics, { start, end: Buffer.of(0xff) })) {
          if (topics.length >= query.limit) break
          topics.push(infoOf(environment, key.toString(), value))
        }
        return topics
      }),

    drop: (topic) =>
      writer.write((transaction) => {
        const work = transaction.topic(topic)
        if (work.record === undefined) return false
        work.drop()
        return true
      }),

    watch: async (topic, listener) => {
      writer.refuseClosed()
      return listeners.add(topic, listener)
    },
  }
}

function unborn(environment: Environment, topic: string): Bounds {
  const store = environment.get(TABLES.store, STORE_KEY)
  if (store === undefined) throw new Error('the store has lost its own record')
  return unbornBounds(store, environment.get(TABLES.dropped, nameKey(topic)))
}

/** The bounds of a topic as it is stored, or of an unborn one. */
export function storedBounds(environment: Environment, topic: string): Bounds {
  const record = environment.get(TABLES.topics, nameKey(topic))
  return record === undefined ? unborn(environment, topic) : boundsOf(environment, topic, record)
}

function boundsOf(environment: Environment, topic: string, { number, epoch, first, head }: TopicRecord): Bounds {
  const lineage: Lineage = environment.get(TABLES.lineages, numberKey(number)) ?? []
  return { epoch, lineage, first, head, ...droppedOf(environment.get(TABLES.dropped, nameKey(topic))) }
}

function infoOf(environment: Environment, topic: string, record: TopicRecord): TopicInfo {
  const { first, head, total, base } = record
  const holds = holdsOf(environment, topic)
  return {
    topic,
    ...boundsOf(environment, topic, record),
    events: head + 1 - first,
    bytes: total - base,
    ...(holds.length > 0 && { holds }),
  }
}
