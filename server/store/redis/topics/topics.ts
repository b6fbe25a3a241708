/** The contract's topics over Redis: what changes goes through a batcher, what reads does not wait for it. */

import type { Bounds, Page, ReadBound, StoredEvent, TopicInfo, Topics } from '../../contract/store.ts'
import { within } from '../../readBound.ts'
import type { Argument } from '../connection/connection.ts'
import type { Durable } from '../connection/durability.ts'
import type { Router } from '../connection/router.ts'
import type { Subscriptions } from '../connection/subscriptions.ts'
import { listNamed } from '../listing.ts'
import { numberText } from '../scripting/codec.ts'
import type { Keys } from '../scripting/keys.ts'
import { askScript, TOPIC } from '../scripting/loader.ts'
import { readNotification } from '../scripting/notifications.ts'
import type { TopicBatcher } from '../scripting/topicBatcher.ts'
import { append, drop, droppedOf, hold, boundsOf as readBounds, repair } from '../scripting/topicCodec.ts'
import { type Block, blocksOf, readRecords } from './blocks.ts'
import { storeEpochs, unbornBounds } from './epochs.ts'

export interface TopicsContext {
  readonly router: Router
  readonly keys: Keys
  readonly batcher: TopicBatcher
  readonly subscriptions: Subscriptions
  readonly durable: Durable
  refuseClosed(): void
}

/** What `read.lua` answers of a born topic. */
interface Born {
  readonly bounds: Bounds
  readonly bytes: number
  readonly rest: readonly Buffer[]
}

export function createTopics(context: TopicsContext): Topics {
  const { keys, batcher, subscriptions, durable } = context
  return {
    append: async (topic, given) => {
      const { value, replicas } = await batcher.run(topic, append(given))
      return { ...value, durability: durable.reached(replicas) }
    },

    read: async (topic, after, bound): Promise<Page> => {
      for (;;) {
        const born = bornOf(await ask(context, topic, ['read', ...boundOf(after, bound)]))
        if (born !== undefined)
          return { ...born.bounds, events: eventsOf(born.bounds, blocksOf(born.rest), after, bound) }
        const bounds = await unborn(context, topic)
        if (bounds !== undefined) return { ...bounds, events: [] }
      }
    },

    seek: async (topic, time) => Number((await ask(context, topic, ['seek', String(time)]))?.[0] ?? 0),

    list: async (query) => {
      context.refuseClosed()
      return await listNamed(context.router, keys.topics, query, (name) => infoOf(context, name))
    },

    hold: async (topic, name, offset) => (await batcher.run(topic, hold(name, offset))).value,

    drop: async (topic) => (await batcher.run(topic, drop())).value,

    watch: async (topic, listener) => {
      context.refuseClosed()
      return subscriptions.add(keys.channel(topic), readNotification, {
        heard: listener,
        lost: () => listener({ kind: 'lost' }),
      })
    },
  }
}

function boundOf(after: number, { events, bytes }: ReadBound): string[] {
  return [String(after), String(Math.max(1, events)), numberText(bytes)]
}

/** Whole blocks of a topic, from the one that has the next event on. `undefined` for an unborn one. */
export async function readBlocks(context: TopicsContext, topic: string, after: number, bound: ReadBound) {
  const born = bornOf(await ask(context, topic, ['read', ...boundOf(after, bound)]))
  return born && { head: born.bounds.head, blocks: blocksOf(born.rest) }
}

/** A topic's bounds, whether it is born or not. */
export async function boundsOf(context: TopicsContext, topic: string): Promise<Bounds> {
  for (;;) {
    const bounds = (await infoOf(context, topic)) ?? (await unborn(context, topic))
    if (bounds !== undefined) return bounds
  }
}

/**
 * Of a topic that is not there: the store's epochs since it was dropped last. Looked at again once they are known:
 * `undefined` when it was born meanwhile, as it may have been born under less.
 */
async function unborn({ router, keys }: TopicsContext, topic: string): Promise<Bounds | undefined> {
  const key = keys.topic(topic)
  const state = async (): Promise<string[]> => {
    const [reply] = await router.ask(key, ['HMGET', key, 'epoch', 'dead', 'dropped'])
    return (reply as (Buffer | null)[]).map((value) => value?.toString() ?? '')
  }
  const [, before = ''] = await state()
  const dead = before || '0'
  const bounds = unbornBounds(await storeEpochs(router, keys.store, { after: dead }), dead)
  const [epoch, still, dropped = ''] = await state()
  return epoch === '' && still === before ? { ...bounds, ...droppedOf(dropped) } : undefined
}

/** What the script that reads answers of a born topic; `undefined` for an unborn one. */
async function ask(context: TopicsContext, topic: string, args: readonly Argument[]): Promise<Buffer[] | undefined> {
  const { router, keys, batcher } = context
  context.refuseClosed()
  for (;;) {
    const reply = await askScript(router, TOPIC.read, keys.topic(topic), ['', ...args])
    const [word, ...rest] = reply as Buffer[]
    if (word?.toString() === 'born') return rest
    if (word?.toString() === 'unborn') return undefined
    await batcher.run(topic, repair())
  }
}

function bornOf(reply: Buffer[] | undefined): Born | undefined {
  if (reply === undefined) return undefined
  return { bounds: readBounds(reply.slice(0, 5).map(String)), bytes: Number(reply[5]), rest: reply.slice(6) }
}

/** Offsets that are missing in the stream were taken out of it by other hands: they are told as damaged. */
function eventsOf({ first, head }: Bounds, blocks: readonly Block[], after: number, bound: ReadBound): StoredEvent[] {
  const events: StoredEvent[] = []
  const take = within(bound)
  let offset = Math.max(after + 1, first)
  let going = true
  const accept = (bytes: number): boolean => {
    going = take(bytes)
    return going
  }
  const skipTo = (end: number): void => {
    for (; offset < end && accept(0); offset++) events.push({ offset, damaged: true })
  }
  for (const block of blocks) {
    skipTo(block.first)
    if (!going) break
    for (const event of readRecords(block, offset - block.first, accept)) {
      events.push(event)
      offset++
    }
    if (!going) break
  }
  // Nothing behind the last one found, and kept all the same.
  if (blocks.length === 0) skipTo(head + 1)
  return events
}

/** Of a flat list: a name and its offset, in turn. */
function holdsOf(entries: readonly Buffer[]): { name: string; offset: number }[] {
  const holds = entries.flatMap((name, i) => (i % 2 === 0 ? [{ name, offset: Number(entries[i + 1]) }] : []))
  return holds
    .sort((a, b) => Buffer.compare(a.name, b.name))
    .map(({ name, offset }) => ({ name: name.toString(), offset }))
}

async function infoOf(context: TopicsContext, topic: string): Promise<TopicInfo | undefined> {
  const born = bornOf(await ask(context, topic, ['info']))
  if (born === undefined) return undefined
  const { first, head } = born.bounds
  const holds = holdsOf(born.rest)
  const kept = { topic, ...born.bounds, events: head + 1 - first, bytes: born.bytes }
  return holds.length > 0 ? { ...kept, holds } : kept
}
