/** Data files with bytes that are wrong: never the end of the process, never silence, and all that is whole goes on. */

import { spawn } from 'node:child_process'
import { readFile, stat, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { open as openLmdb } from 'lmdb'
import { expect, test } from 'vitest'
import { mendFile } from '../../../server/store/lmdb/recovery/salvage.ts'
import { openStore } from '../../../server/store/open.ts'
import { runSeed, seededRandom } from '../../support/seed.ts'
import { tempFolder } from '../../support/temp.ts'
import { soak } from '../../support/tools.ts'
import { publish, START } from '../conformance/fixture.ts'
import { deskOf, named, TTL } from '../conformance/queueDesk.ts'
import type { Change, Outcome } from './damagedChild.ts'

const MAIN = new URL('../../../', import.meta.url)
const PAGE = 4_096
const RAW = { encoding: 'binary', keyEncoding: 'binary' } as const
/** Of each kind in the short run. */
const CHANGES = soak ? Number.POSITIVE_INFINITY : 2

interface Made {
  readonly folder: string
  readonly pages: number
  readonly ids: readonly string[]
  readonly letters: readonly string[]
}

/** A store with jobs in all states. */
async function made(): Promise<Made> {
  const folder = join(await tempFolder(), 'data')
  let now = START
  const store = await openStore(folder, { now: () => now })
  const desk = deskOf(store)
  const ids: string[] = []
  const send = async (queue: string, count: number, options: (i: number) => object = () => ({})): Promise<void> => {
    const drafts = Array.from({ length: count }, (_, i) => named(`${queue}-${ids.length + i}`, options(i)))
    ids.push(...drafts.map(({ id }) => id ?? ''))
    await deskOf(store, queue).send(drafts)
  }
  await send('q', 120, (i) => (i % 3 === 0 ? { body: { json: JSON.stringify({ data: 'x'.repeat(700) }) } } : {}))
  await send('q', 12, (i) => ({ key: `key-${i % 3}` }))
  await send('q', 6, () => ({ due: { delayMs: 1_800_000 } }))
  await send('p', 20)
  const child = { body: { json: '{"data":0}' }, priority: 0, ttlMs: TTL }
  const family = named('parent', { children: { drafts: [child, child], onDead: 'fail', bytes: 1_000 } })
  const { childIds = [] } = await desk.send([family])
  ids.push('parent', ...childIds)
  const { jobs } = await desk.claim('old', { max: 8 })
  const [first, second, third] = jobs
  if (first === undefined || second === undefined || third === undefined) throw new Error('nothing was handed out')
  await store.queues.settle(
    'q',
    [
      { ...first, as: 'dead' },
      { ...second, as: 'retry' },
      { ...third, as: 'done' },
    ],
    desk.policy,
  )
  for (let i = 0; i < 40; i++) await publish(store, 't', `event ${i} ${'x'.repeat(i * 10)}`)
  now += 1
  await store.cursors.open('t', { subject: 'ann', client: 'phone' }, 'start')
  await store.settings.put('topics', { some: 1 })
  await store.close()
  const gone = [first.id, third.id]
  const left = ids.filter((id) => !gone.includes(id))
  return { folder, pages: (await stat(join(folder, 'data.mdb'))).size / PAGE, ids: left, letters: [first.id] }
}

/** What a process says that opens the file with each of these changes. */
async function outcomesOf({ folder }: Made, changes: readonly Change[]): Promise<Outcome[]> {
  const file = join(folder, 'changes.json')
  await writeFile(file, JSON.stringify(changes))
  const path = new URL('./damagedChild.ts', import.meta.url).pathname
  const child = spawn(process.execPath, ['--import', 'tsx', path, folder, file], {
    cwd: MAIN.pathname,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = new Promise<string>((done) => child.on('close', (code, signal) => done(signal ?? String(code))))
  const outcomes: Outcome[] = []
  let last = -1
  for await (const line of createInterface({ input: child.stdout })) {
    const said = JSON.parse(line) as Outcome & { readonly begins?: number }
    if (said.begins === undefined) outcomes.push(said)
    else last = said.begins
  }
  expect(await ended, `the process, at ${JSON.stringify(changes[last])?.slice(0, 60)}`).toBe('0')
  expect(outcomes).toHaveLength(changes.length)
  return outcomes
}

/** Whatever became of the file, nothing is silent and the rest goes on. */
function check({ ids, letters }: Made, { at, bytes, table, how }: Change, outcome: Outcome): void {
  const where =
    table === undefined
      ? `${bytes === undefined ? 'cut' : 'changed'} at ${at} (page ${Math.floor(at / PAGE)})`
      : `record ${at} of ${table} ${how}`
  const { refused, told, jobs, wrong } = outcome
  expect(wrong, `${where}: ${told.join(' · ')}`).toEqual([])
  if (refused !== undefined) {
    expect(refused, where).toMatch(
      /data\.mdb (was cut off|is damaged|is not a file of the store|is of another version)/,
    )
    return
  }
  expect(new Set(jobs).size, `${where}: no job twice`).toBe(jobs.length)
  expect(jobs, where).toEqual(expect.arrayContaining(['new-q', 'new-p']))
  const here = new Set([...jobs, ...outcome.letters])
  const missing = [...ids, ...letters].filter((id) => !here.has(id))
  if (missing.length > 0 || outcome.events < 40)
    expect(told, `${where}: ${missing.length} jobs are missing`).not.toEqual([])
}

test('a file that is too large to be looked through is used as it is, and refused all the same where its end is missing', async () => {
  const { folder, pages } = await made()
  expect(await mendFile(folder, 0)).toBeUndefined()
  await truncate(join(folder, 'data.mdb'), Math.floor(pages / 2) * PAGE)
  await expect(mendFile(folder, 0)).rejects.toThrow('data.mdb was cut off')
})

test('pages of zeros and of noise are told, and all that is whole goes on', {
  timeout: soak ? 1_800_000 : 90_000,
}, async () => {
  const random = seededRandom(runSeed('damaged pages'))
  const store = await made()
  const pages = random.shuffle(Array.from({ length: store.pages }, (_, page) => page)).slice(0, CHANGES)
  const noise = (length: number): string => Buffer.from(random.bytes(length)).toString('hex')
  const changes = pages.flatMap((page): Change[] => [
    { at: page * PAGE, bytes: '00'.repeat(PAGE) },
    { at: page * PAGE, bytes: noise(PAGE) },
    { at: page * PAGE + 24, bytes: noise(PAGE - 24) },
    { at: page * PAGE + random.integer(0, PAGE - 8), bytes: noise(random.integer(1, 8)) },
  ])
  const outcomes = await outcomesOf(store, changes)
  for (const [i, outcome] of outcomes.entries()) check(store, changes[i] ?? { at: 0 }, outcome)
})

test('a record of any table that is spoilt or gone stops nothing for good', {
  timeout: soak ? 1_800_000 : 60_000,
}, async () => {
  const random = seededRandom(runSeed('damaged records'))
  const store = await made()
  const tables = [
    'jobs',
    'pairs',
    'queues',
    'store',
    'topics',
    'lineages',
    'holders',
    'settled',
    'turns',
    'children',
    'due',
    'cursors',
  ]
  const changes = tables.flatMap((table): Change[] =>
    Array.from({ length: soak ? 20 : 1 }, () => ({ table, at: random.integer(0, 10_000), how: 'spoilt' })),
  )
  // What is taken away whole leaves nothing to be told of, but where something else leads to it.
  for (const table of ['jobs', 'pairs', 'children', 'store', 'lineages', 'holders', 'settled', 'due']) {
    for (let i = 0; i < (soak ? 20 : 1); i++) changes.push({ table, at: random.integer(0, 10_000), how: 'removed' })
  }
  const tried = random.shuffle(changes).slice(0, soak ? changes.length : 7)
  const outcomes = await outcomesOf(store, tried)
  for (const [i, outcome] of outcomes.entries()) check(store, tried[i] ?? { at: 0 }, outcome)
})

test('a parent whose child is in another queue waits on where all is made anew, and is told of its end', async () => {
  const folder = join(await tempFolder(), 'data')
  const before = await openStore(folder, { now: () => START })
  const child = { body: { json: '{"data":1}' }, queue: 'there', priority: 4, ttlMs: TTL }
  const family = { children: { drafts: [child], onDead: 'fail' as const, bytes: 1_000 } }
  await deskOf(before).send([named('away', family), named('x')])
  const [errand] = (await before.queues.life('q', { limit: 9 }))?.errands?.list ?? []
  await before.close()
  const root = openLmdb<Buffer, Buffer>({ path: folder, noSubdir: false, overlappingSync: false, maxDbs: 48, ...RAW })
  const pairs = root.openDB<Buffer, Buffer>({ name: 'pairs', ...RAW })
  for (const key of Array.from(pairs.getKeys({}), (key) => Buffer.from(key))) {
    await pairs.put(key, Buffer.from('spoilt'))
  }
  await root.close()
  const store = await openStore(folder, { now: () => START })
  const desk = deskOf(store)
  expect(await desk.ids('w')).toEqual(['x'])
  expect(store.damage().join()).toContain('made anew')
  expect(await desk.job('away')).toMatchObject({ state: 'waiting', children: { count: 1, open: 1 } })
  const parent = errand?.parent ?? { id: '', place: '' }
  await store.queues.tellParents('q', [{ parent, child: { queue: 'there', id: 'c', state: 'done' } }])
  expect((await desk.take('v')).children).toEqual([{ queue: 'there', id: 'c', state: 'done' }])
  await store.close()
})

test('a file that was cut off is refused with a sentence, wherever, and left as it is', {
  timeout: soak ? 600_000 : 60_000,
}, async () => {
  const random = seededRandom(runSeed('cut files'))
  const store = await made()
  const size = store.pages * PAGE
  const places = [1, 160, PAGE, PAGE + 1, 2 * PAGE, 3 * PAGE]
  for (let i = 0; i < (soak ? 400 : 4); i++) places.push(random.integer(1, size - 1))
  const changes = places.map((at) => ({ at }))
  const outcomes = await outcomesOf(store, changes)
  for (const [i, outcome] of outcomes.entries()) {
    check(store, changes[i] ?? { at: 0 }, outcome)
    // The last pages may be free; where nothing is missing, nothing is refused.
    if (outcome.refused === undefined) expect([...outcome.told, outcome.events], `cut at ${places[i]}`).toEqual([40])
  }
  expect(outcomes.filter(({ refused }) => refused !== undefined).length).toBeGreaterThan(places.length / 2)
  expect((await readFile(join(store.folder, 'data.mdb'))).length).toBe(size)
})
