/** The embedded engine, put together: folder, lock, schema, and the parts of the contract. */

import { resolve } from 'node:path'
import { messageOf, RepriseError } from '../../../shared/errors.ts'
import type { Notification, QueueNotification, Store, StoreContext } from '../contract/store.ts'
import { Damage } from '../damage.ts'
import { newEpoch } from '../token.ts'
import { MAX_IDS } from './dedup/ids.ts'
import { DataFile } from './engine/dataFile.ts'
import { Environment, SCHEMA_KEY, SCHEMA_VERSION, type Write } from './engine/environment.ts'
import { checkFiles, makeFolder, prepareFiles } from './engine/folder.ts'
import { Listeners } from './engine/listeners.ts'
import { lockFolder } from './engine/lock.ts'
import { freeBytesOf, Space } from './engine/space.ts'
import { STORE_KEY, TABLES, type Table } from './engine/tables.ts'
import { Writer } from './engine/writer.ts'
import { createMaintenance } from './maintenance.ts'
import { mendQueue } from './queues/mend.ts'
import { createQueues } from './queues/queues.ts'
import { restore } from './recovery/restore.ts'
import { mendFile } from './recovery/salvage.ts'
import { createRewriting } from './rewriting.ts'
import { createSettings } from './settings.ts'
import { createCursors } from './topics/cursors.ts'
import { createTopics } from './topics/topics.ts'

export interface LmdbContext extends StoreContext {
  /** Free bytes of the disk below which nothing is stored that makes the store grow. Default 16 MiB. */
  readonly reserveBytes?: number
  /** Free bytes of the disk; a test's own. */
  readonly freeBytes?: () => Promise<number>
  /** Ids remembered for one subject of one topic. Default 1,000,000. */
  readonly maxIds?: number
}

export const RESERVE_BYTES = 16 * 1024 * 1024

export async function openLmdb(path: string, context: LmdbContext = {}): Promise<Store> {
  const folder = resolve(path)
  const warn = context.warn ?? (() => {})
  await orCannotUse(folder, async () => {
    await makeFolder(folder)
    await checkFiles(folder)
  })
  const lock = await lockFolder(folder)
  const space = new Space(context.freeBytes ?? (() => freeBytesOf(folder)), context.reserveBytes ?? RESERVE_BYTES)
  const listeners = new Listeners<Notification>(warn)
  const queueWatches = new Listeners<QueueNotification>(warn)
  const damage = new Damage(warn)
  const open = (): Promise<Environment> => openEnvironment(folder, damage)
  let begun: Writer | undefined
  let file: DataFile | undefined
  try {
    let wreck: string | undefined
    await orCannotUse(folder, async () => {
      await prepareFiles(folder, warn)
      wreck = await mendFile(folder)
    })
    if (wreck !== undefined) damage.tell(wreck)
    file = new DataFile(folder)
    const now = context.now ?? Date.now
    const { lost = () => {}, committed = () => {} } = context
    const told = { listeners, queueWatches, warn, lost, committed }
    begun = new Writer(await open(), { open, now, space, file, ...told, mend: mendQueue })
    if (wreck !== undefined) await begun.write(restore)
  } catch (error) {
    if (begun === undefined) file?.close()
    else await begun.close()
    await lock.release()
    throw error
  }
  const writer = begun
  let closing: Promise<void> | undefined
  const close = async (): Promise<void> => {
    await writer.close()
    listeners.clear()
    queueWatches.clear()
    await lock.release()
  }
  return {
    durability: 'fsync',
    topics: createTopics(writer, listeners, context.maxIds ?? MAX_IDS),
    cursors: createCursors(writer),
    queues: createQueues(writer, queueWatches, context.maxIds ?? MAX_IDS),
    settings: createSettings(writer),
    damage: () => damage.told,
    ready: () => writer.readWithTime((_, now) => now),
    maintain: createMaintenance(writer),
    rewrite: createRewriting(writer),
    close: () => {
      closing ??= close()
      return closing
    },
  }
}

async function orCannotUse(folder: string, work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } catch (error) {
    throw cannotUse(folder, error)
  }
}

function cannotUse(folder: string, cause: unknown): RepriseError {
  const reason = messageOf(cause)
  return new RepriseError('unavailable', `the data folder ${folder} cannot be used: ${reason}`, { cause })
}

async function openEnvironment(folder: string, damage: Damage): Promise<Environment> {
  let environment: Environment
  try {
    environment = await Environment.open(folder, damage)
  } catch (error) {
    throw cannotUse(folder, error)
  }
  try {
    const version = environment.schemaVersion()
    if (version !== undefined && version > SCHEMA_VERSION) {
      const text = `the data folder ${folder} has schema version ${version}, this hub knows ${SCHEMA_VERSION}: use a newer hub`
      throw new RepriseError('unsupported', text)
    }
    environment.openTables()
    const isNew = !environment.has(TABLES.store, STORE_KEY) && environment.isEmpty(TABLES.topics, TABLES.queues)
    if (isNew) await environment.commit(firstWrites())
    else if (version !== SCHEMA_VERSION) await environment.commit([schemaWrite()])
    return environment
  } catch (error) {
    await environment.close()
    throw error instanceof RepriseError ? error : cannotUse(folder, error)
  }
}

/** What makes an empty environment a store. Its first epoch belongs to no opening: the first birth begins another. */
function firstWrites(): Write[] {
  const { store } = TABLES
  const record = { epochs: [newEpoch()], opening: '', lastTopicNumber: 0, lastSession: 0 }
  return [{ table: store as Table<unknown>, key: STORE_KEY, bytes: store.encode(record) }, schemaWrite()]
}

function schemaWrite(): Write {
  const { schema } = TABLES
  return { table: schema as Table<unknown>, key: SCHEMA_KEY, bytes: schema.encode(SCHEMA_VERSION) }
}
