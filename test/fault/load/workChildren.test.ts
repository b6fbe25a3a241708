/** Jobs that wait for others, while the hub is killed: each is done once, and has what its children answered. */

import { setTimeout as sleep } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { connect } from '../../../client/index.ts'
import { balance, countsOf } from '../../support/books/audit.ts'
import { atEnd } from '../../support/ending.ts'
import { describeStores } from '../../support/hub/stores.ts'
import { runSeed, seededRandom } from '../../support/seed.ts'
import { soak } from '../../support/tools.ts'
import { until } from '../../support/until.ts'

const FAMILIES = soak ? 2_000 : 60
const KILLS = soak ? 50 : 3
const CHILDREN = 3

describeStores('jobs with children on $name whose hub is killed', (store) => {
  it('fall due once, with all results', { timeout: soak ? 1_200_000 : 60_000 }, async () => {
    const random = seededRandom(runSeed('killed families'))
    const place = await store.place()
    let hub = await place.spawn()
    const { url, port } = hub
    const sdk = connect(url, { quiet: true })
    atEnd(() => sdk.close())
    const queue = sdk.queue('families')
    const wrong: unknown[] = []
    type Data = { readonly family: number; readonly child?: number }
    // Each family has one child of another queue.
    const other = sdk.queue('elsewhere').consume(({ data }) => `${(data as Data).family}.${(data as Data).child}`)
    const worker = queue.consume(
      ({ data, children }) => {
        const { family, child } = data as Data
        if (child !== undefined) return `${family}.${child}`
        const results = children?.map(({ state, result }) => (state === 'done' ? result : state))
        const expected = Array.from({ length: CHILDREN }, (_, i) => `${family}.${i}`)
        if (JSON.stringify(results) !== JSON.stringify(expected)) wrong.push([family, results])
        return undefined
      },
      { concurrency: 8 },
    )
    const drafts = Array.from({ length: FAMILIES }, (_, family) => ({
      data: { family },
      id: `family-${family}`,
      children: Array.from({ length: CHILDREN }, (_, child) => ({
        data: { family, child },
        ...(child === 1 && { queue: 'elsewhere' }),
      })),
    }))
    // Sent again after a lost answer, they are there once.
    const sending = Promise.all(
      drafts.map(({ data, ...options }) => queue.send(data, { ...options, timeoutMs: 50_000 })),
    )
    for (let i = 0; i < KILLS; i++) {
      await sleep(random.integer(0, 300))
      await hub.kill()
      hub = await place.spawn({ port })
    }
    await sending
    const total = FAMILIES * CHILDREN
    await until(async () => (await countsOf(url, 'families')).done >= total, {
      what: 'all to be done',
      deadlineMs: 40_000,
    })
    const counts = await countsOf(url, 'families')
    balance(counts)
    expect(counts).toMatchObject({ sent: total, done: total, waiting: 0, dead: 0 })
    const elsewhere = await countsOf(url, 'elsewhere')
    balance(elsewhere)
    expect(elsewhere).toMatchObject({ sent: FAMILIES, done: FAMILIES, dead: 0 })
    expect(wrong).toEqual([])
    await Promise.all([worker.close(), other.close()])
  })
})
