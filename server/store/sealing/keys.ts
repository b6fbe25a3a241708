/**
 * What the store knows of the keys that its payloads are under: a document for each, with a value that shows whether a key
 * given later is the same, and whether payloads may be under it. Owns that no hub starts that could not read them all.
 */

import { RepriseError } from '../../../shared/errors.ts'
import type { PayloadPlace, Settings, Store } from '../contract/store.ts'
import type { Keyring } from './keyring.ts'

const PREFIX = 'encryption:key:'
const PASS = 'encryption:pass'
const TARGET = 'encryption:target'
/** Stands for no key: payloads that are stored as they are. */
export const PLAIN = ''
const PAGE = 500

export interface KeyRecord {
  readonly check: string
  /** Payloads may be under it. */
  readonly used: boolean
}

/** A pass over all payloads as it is kept: what `reprise doctor` shows. */
export interface Pass {
  /** The name of the key that all is put under; empty: under none. */
  readonly to: string
  /** A node's, new with each start; empty where it was left in order. */
  readonly by: string
  readonly beganAt: number
  /** When it was last at work, or had seen everything. */
  readonly at: number
  readonly done: boolean
  /** About how many payloads there were at its beginning, how many it has seen, and how many it has stored anew. */
  readonly total: number
  readonly seen: number
  readonly changed: number
  /** Where it is: behind `behind`, in `in` at `from`. */
  readonly behind?: PayloadPlace
  readonly in?: PayloadPlace
  readonly from?: string
}

export async function passIn(settings: Settings): Promise<Pass | undefined> {
  return passOf(await settings.all())
}

export function passOf(documents: ReadonlyMap<string, unknown>): Pass | undefined {
  return documents.get(PASS) as Pass | undefined
}

export async function putPass(settings: Settings, pass: Pass): Promise<void> {
  await settings.put(PASS, pass)
}

/** The key of the hub that started last: of several nodes with different ones, all is put under that. */
export async function targetIn(settings: Settings): Promise<string | undefined> {
  return (await settings.all()).get(TARGET) as string | undefined
}

/** By name; `PLAIN` among them. */
export async function knownKeys(settings: Settings): Promise<Map<string, KeyRecord>> {
  return knownKeysIn(await settings.all())
}

export function knownKeysIn(documents: ReadonlyMap<string, unknown>): Map<string, KeyRecord> {
  const known = new Map<string, KeyRecord>()
  for (const [key, document] of documents) {
    if (key.startsWith(PREFIX)) known.set(key.slice(PREFIX.length), document as KeyRecord)
  }
  return known
}

export async function putKey(settings: Settings, name: string, record: KeyRecord): Promise<void> {
  await settings.put(PREFIX + name, record)
}

/** Throws `bad_request` where payloads could not be read, with a sentence that says what to give. */
export async function admitKeys(store: Store, ring: Keyring | undefined): Promise<void> {
  const { settings } = store
  const known = await knownKeys(settings)
  for (const [name, { used }] of known) {
    if (name !== PLAIN && used && ring?.has(name) !== true) {
      const pass = await passIn(settings)
      const left = pass?.done === false && pass.total > pass.seen ? pass.total - pass.seen : await payloadsIn(store)
      throw wrong(
        `keys.${name}: is missing, and up to ${left} of the store's events and jobs are encrypted with it: ` +
          'give it until "reprise doctor" says that nothing is left under it',
      )
    }
  }
  for (const name of ring?.names ?? []) await admit(settings, name, ring as Keyring, known.get(name))
  if (ring === undefined && known.size === 0) return
  const writes = ring?.current ?? PLAIN
  const record = (await knownKeys(settings)).get(writes)
  if (record?.used !== true) await putKey(settings, writes, { check: record?.check ?? '', used: true })
  if ((await targetIn(settings)) !== writes) await settings.put(TARGET, writes)
}

async function admit(settings: Settings, name: string, ring: Keyring, known: KeyRecord | undefined): Promise<void> {
  if (known !== undefined && ring.isSame(name, known.check)) return
  const record = { check: ring.check(name), used: false }
  // Nothing is under it: the name may be given to another key.
  if (known?.used === false) return await putKey(settings, name, record)
  // Of two hubs that begin with different keys one comes first.
  if (known === undefined && (await settings.add(PREFIX + name, record))) return
  const now = (await knownKeys(settings)).get(name)
  if (now !== undefined && ring.isSame(name, now.check)) return
  throw wrong(`keys.${name}: is another key than the one that the store's payloads are encrypted with as ${name}`)
}

/** Events and jobs that are kept, dead letters among them. */
export async function payloadsIn(store: Store): Promise<number> {
  let count = 0
  for await (const [, payloads] of placesIn(store)) count += payloads
  return count
}

/** Topics, then queues, each with how many payloads it keeps, behind the one named. */
export async function* placesIn(store: Store, behind?: PayloadPlace): AsyncGenerator<readonly [PayloadPlace, number]> {
  const afterQueue = behind !== undefined && 'queue' in behind ? behind.queue : undefined
  if (afterQueue === undefined) {
    let after = behind !== undefined && 'topic' in behind ? behind.topic : undefined
    for (;;) {
      const page = await store.topics.list({ after, limit: PAGE })
      for (const { topic, events } of page) yield [{ topic }, events]
      after = page.at(-1)?.topic
      if (page.length < PAGE) break
    }
  }
  let after = afterQueue
  for (;;) {
    const page = await store.queues.list({ after, limit: PAGE })
    for (const { queue, counts } of page)
      yield [{ queue }, counts.ready + counts.delayed + counts.held + counts.waiting + counts.dead]
    after = page.at(-1)?.queue
    if (page.length < PAGE) break
  }
}

function wrong(what: string): RepriseError {
  return new RepriseError('bad_request', `encryption.${what}`)
}
