import { expect, it } from 'vitest'
import { OneByOne } from '../../server/core/seeing/oneByOne.ts'

it('looks are made one at a time; too many that wait are refused, and nothing is done for whoever is gone', async () => {
  const line = new OneByOne()
  let [underWay, most, made] = [0, 0, 0]
  const look = async (): Promise<number> => {
    underWay += 1
    most = Math.max(most, underWay)
    await new Promise((resolve) => setImmediate(resolve))
    underWay -= 1
    made += 1
    if (made === 2) throw new Error('the second fails')
    return made
  }
  const gone = new AbortController()
  const asked = Array.from({ length: 111 }, (_, i) => line.run(look, i === 50 ? gone.signal : undefined))
  gone.abort()
  const ends = await Promise.allSettled(asked)
  const refused = ends.flatMap((end, i) => (end.status === 'rejected' ? [[i, end.reason.code]] : []))
  expect(refused).toEqual([
    [1, undefined],
    [50, 'unavailable'],
    ...Array.from({ length: 10 }, (_, i) => [101 + i, 'too_many']),
  ])
  expect([most, made]).toEqual([1, 100])
  expect(await line.run(look)).toBe(101)
})
