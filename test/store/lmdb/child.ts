/**
 * A process that appends to the store in a folder and prints a line for each event that was acknowledged, to be killed
 * or starved by a test. Arguments: folder, topic, how many drafts an append, and `all` to stop after the first refusal.
 */

import { openStore } from '../../../server/store/open.ts'
import { trim } from '../conformance/calls.ts'
import { KEEP } from '../conformance/fixture.ts'

const [folder = '', topic = '', size = '1', mode = ''] = process.argv.slice(2)

async function main(): Promise<void> {
  const store = await openStore(folder)
  const say = (line: object): void => {
    process.stdout.write(`${JSON.stringify(line)}\n`)
  }
  const body = { json: JSON.stringify({ data: 'x'.repeat(2_000) }) }
  let refused = 0
  const append = async (): Promise<void> => {
    const drafts = Array.from({ length: Number(size) }, () => ({ body }))
    try {
      const { offsets } = await store.topics.append(topic, { subject: 'ann', drafts, retain: KEEP })
      say({ offsets })
    } catch (error) {
      refused++
      say({ refused: (error as { code?: string }).code })
    }
  }
  const owner = { subject: 'ann', client: 'phone' }
  const { session, epoch } = await store.cursors.open(topic, owner, 'start')
  say({ ready: true })
  const appending = async (): Promise<void> => {
    while (mode !== 'all' || refused === 0) await append()
  }
  await Promise.all([appending(), appending(), appending()])
  // No room is left: reads, commits, trims and drops go on, in the same turn as appends that fail.
  const [commit, refusedAgain, read] = await Promise.all([
    store.cursors.commit(topic, owner, session, { epoch, offset: 0 }).then(
      () => 'committed',
      (error: { code: string }) => error.code,
    ),
    append().then(() => refused),
    store.topics.read(topic, 0, { events: 3, bytes: 1e9 }).then(({ events }) => events.length),
  ])
  say({ commit, refusedAgain, read })
  const trimmed = await trim(store.topics, topic, { ...KEEP, events: 1 }).then(
    ({ first, head }) => head - first,
    (error: { code: string }) => error.code,
  )
  say({ trimmed })
  const before = refused
  // The test gives room again when it has read of the trim.
  let tries = 0
  while (refused - before === tries && tries < 2_000) {
    tries++
    await append()
  }
  say({ recovered: refused - before < tries })
  await store.close()
}

await main()
