/** What the store's tests need of an engine, and how they make it of LMDB. */

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Body, Retention, Store, StoredEvent } from '../../../server/store/contract/store.ts'
import type { OpenContext } from '../../../server/store/open.ts'
import { openStore } from '../../../server/store/open.ts'
import { Keyring } from '../../../server/store/sealing/keyring.ts'
import { sealedStore } from '../../../server/store/sealing/sealedStore.ts'

/** A clock that moves when it is told to. */
export interface Clock {
  now: number
}

export interface Engine {
  readonly clock: Clock
  /** Calls of one turn keep their order within a topic alone. */
  readonly ordersByTopic?: boolean
  /** Opens the store; after `close` of the one before, the same data again. */
  open(context?: OpenContext): Promise<Store>
  /** Resolves when all that was told so far has been heard. */
  heard?(): Promise<void>
  /** Closes what is open and removes the data. */
  destroy(): Promise<void>
}

export interface LmdbEngine extends Engine {
  readonly folder: string
}

export const START = 1_700_000_000_000

export async function lmdbEngine(place = tmpdir()): Promise<LmdbEngine> {
  const parent = await mkdtemp(join(place, 'reprise-store-'))
  const folder = join(parent, 'data.v2')
  const clock: Clock = { now: START }
  const opened: Store[] = []
  return {
    folder,
    clock,
    open: async (context = {}) => {
      const store = await openStore(folder, { now: () => clock.now, ...context })
      opened.push(store)
      return store
    },
    destroy: async () => {
      for (const store of opened) await store.close()
      await rm(parent, { recursive: true, force: true })
    },
  }
}

/** The engine with payloads that are encrypted on their way in and out. */
export async function sealed(making: Promise<Engine>): Promise<Engine> {
  const engine = await making
  const ring = new Keyring({ current: 'k', keys: new Map([['k', Buffer.alloc(32, 7)]]) })
  return { ...engine, open: async (context) => sealedStore(await engine.open(context), ring) }
}

export const KEEP: Retention = {
  events: Number.POSITIVE_INFINITY,
  bytes: Number.POSITIVE_INFINITY,
  ageMs: Number.POSITIVE_INFINITY,
}

export const ALL = { events: 1_000_000, bytes: Number.POSITIVE_INFINITY }

export function text(data: unknown): Body {
  return { json: JSON.stringify({ data }) }
}

/** Drafts with this data. */
export function drafts(...data: unknown[]): { body: Body }[] {
  return data.map((value) => ({ body: text(value) }))
}

export function publish(store: Store, topic: string, ...data: unknown[]) {
  return store.topics.append(topic, { subject: 'ann', drafts: drafts(...data), retain: KEEP })
}

/** Data of the kept events behind an offset; `'damaged'` for damaged ones. */
export async function dataOf(store: Store, topic: string, after = 0): Promise<unknown[]> {
  const { events } = await store.topics.read(topic, after, ALL)
  return events.map(dataIn)
}

/** Events as they read, whatever form an engine has them in. */
export function plain(events: readonly StoredEvent[]): StoredEvent[] {
  return events.map((event) => {
    if ('damaged' in event) return event
    const { json, utf8, binaries } = event.body
    if (utf8 !== undefined) {
      const text = Buffer.alloc(utf8.length)
      utf8.copyTo(text, 0)
      if (text.toString() !== json) throw new Error(`${text} is not ${json}`)
    }
    return { ...event, body: binaries === undefined ? { json } : { json, binaries } }
  })
}

export function dataIn(event: StoredEvent): unknown {
  return 'damaged' in event ? 'damaged' : (JSON.parse(event.body.json) as { data: unknown }).data
}
