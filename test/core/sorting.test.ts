import { expect, it } from 'vitest'
import { sortedBy } from '../../server/core/seeing/sorting.ts'
import { runSeed, seededRandom } from '../support/seed.ts'

it('any number of rows is sorted as one sort would, with those of the same value in their order', async () => {
  const random = seededRandom(runSeed('sorting'))
  for (const many of [0, 1, 999, 1_000, 1_001, 4_500]) {
    const rows = Array.from({ length: many }, (_, place) => ({ place, by: random.integer(0, 49) }))
    expect(await sortedBy(rows, ({ by }) => by)).toEqual(rows.toSorted((one, other) => one.by - other.by))
    const named = ({ by }: (typeof rows)[number]) => `name ${by}`
    const sorted = (await sortedBy(rows, named)).map(named)
    expect(sorted).toEqual(rows.map(named).sort())
  }
})
