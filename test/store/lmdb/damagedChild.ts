/**
 * A process that damages copies of a data file, one after the other, and opens each: what it says of one is a line. A
 * copy that ends the process is found by the test. Arguments: a folder, a file with the changes as JSON.
 */

import { copyFile, mkdir, open, readFile, rm, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { open as openLmdb } from 'lmdb'
import type { Store } from '../../../server/store/contract/store.ts'
import { openStore } from '../../../server/store/open.ts'
import { infoOf, maintain } from '../conformance/calls.ts'
import { ALL, publish, START } from '../conformance/fixture.ts'
import { deskOf, named } from '../conformance/queueDesk.ts'

/** `bytes` (hex) at `at`, or the file ends there; or a record of a table, by its place in it, is taken away or spoilt. */
export interface Change {
  readonly at: number
  readonly bytes?: string
  readonly table?: string
  readonly how?: 'removed' | 'spoilt'
}

const RAW = { encoding: 'binary', keyEncoding: 'binary' } as const

/** `undefined`: there is no such record. */
async function changeRecord(folder: string, { table = '', at, how }: Change): Promise<void> {
  const root = openLmdb<Buffer, Buffer>({ path: folder, noSubdir: false, overlappingSync: false, maxDbs: 48, ...RAW })
  const records = root.openDB<Buffer, Buffer>({ name: table, ...RAW })
  const keys = Array.from(records.getKeys({}), (key) => Buffer.from(key))
  const key = keys[at % Math.max(1, keys.length)]
  const value = key && records.get(key)
  if (key !== undefined && value !== undefined) {
    const bytes = Buffer.from(value)
    bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 0x5a
    await (how === 'removed' ? records.remove(key) : records.put(key, bytes))
  }
  await root.close()
}

export interface Outcome {
  readonly change: number
  /** Why it was not opened. */
  readonly refused?: string
  readonly told: readonly string[]
  /** Jobs handed out, dead letters, and what went wrong. */
  readonly jobs: readonly string[]
  readonly letters: readonly string[]
  readonly events: number
  readonly wrong: readonly string[]
}

const LATER = START + 3_600_000
const [source = '', changes = ''] = process.argv.slice(2)

async function main(): Promise<void> {
  const all = JSON.parse(await readFile(changes, 'utf8')) as Change[]
  for (const [change, given] of all.entries()) {
    const { at, bytes, table } = given
    const folder = `${source}-damaged`
    await rm(folder, { recursive: true, force: true })
    await mkdir(folder)
    const path = join(folder, 'data.mdb')
    await copyFile(join(source, 'data.mdb'), path)
    if (table !== undefined) await changeRecord(folder, given)
    else if (bytes === undefined) await truncate(path, at)
    else {
      const file = await open(path, 'r+')
      await file.write(Buffer.from(bytes, 'hex'), 0, bytes.length / 2, at)
      await file.close()
    }
    const before = await readFile(path)
    process.stdout.write(`${JSON.stringify({ begins: change })}\n`)
    const told: string[] = []
    const warn = (message: string): void => void told.push(message)
    try {
      const store = await openStore(folder, { now: () => LATER, warn })
      const outcome = await work(store)
      await store.close()
      process.stdout.write(`${JSON.stringify({ change, told, ...outcome })}\n`)
    } catch (error) {
      const isKept = (await readFile(path)).equals(before)
      const { message } = error as Error
      const wrong = isKept ? [] : ['a file that was refused has changed']
      process.stdout.write(
        `${JSON.stringify({ change, refused: message, told, jobs: [], letters: [], events: 0, wrong })}\n`,
      )
    }
  }
}

async function work(store: Store): Promise<Omit<Outcome, 'change' | 'told'>> {
  const wrong: string[] = []
  const attempt = async <T>(what: string, call: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await call()
    } catch (error) {
      const { code, message, cause } = error as Error & { code?: string }
      wrong.push(`${what}: ${code ?? ''} ${message} ${cause instanceof Error ? cause.stack : ''}`)
      return undefined
    }
  }
  const { events } = (await attempt('read', () => store.topics.read('t', 0, ALL))) ?? { events: [] }
  await attempt('publish', () => publish(store, 't', 'next'))
  const jobs: string[] = []
  for (const name of ['q', 'p']) {
    const desk = deskOf(store, name)
    await attempt('send', () => desk.send([named(`new-${name}`)]))
    for (let round = 0; round < 100; round++) {
      const claimed = await attempt('claim', () => desk.claim('new', { max: 100 }))
      if (claimed === undefined || claimed.jobs.length === 0) {
        if ((claimed?.nextAt ?? Number.POSITIVE_INFINITY) > LATER) break
        continue
      }
      jobs.push(...claimed.jobs.flatMap(({ id, body }) => (body === undefined ? [] : [id])))
      const done = claimed.jobs.map(({ id, lease, body }) => {
        return { id, lease, as: body === undefined ? ('dead' as const) : ('done' as const) }
      })
      const settled = await attempt('settle', () => store.queues.settle(name, done, desk.policy))
      if (settled?.settled.some((one) => one !== 'ok')) wrong.push(`settled: ${settled.settled.join(' ')}`)
    }
  }
  await attempt('maintain', () => maintain(store))
  const letters: string[] = []
  for (const name of ['q', 'p']) {
    const dead = await attempt('letters', () => store.queues.jobs(`${name}/dead`, { state: 'ready', limit: 1_000 }))
    letters.push(...(dead ?? []).map(({ id }) => id))
    const info = await attempt('info', () => infoOf(store.queues, name))
    const { ready = 0, delayed = 0, held = 0, waiting = 0 } = info?.counts ?? {}
    const left = ready + delayed + held + waiting
    if (left > 0) wrong.push(`${name} still has ${ready} ready, ${delayed} delayed, ${held} held, ${waiting} waiting`)
  }
  return { jobs, letters, events: events.length, wrong }
}

await main()
