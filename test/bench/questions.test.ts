import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { Processes } from '../../bench/processes.ts'
import { chooseProduct } from '../../bench/product.ts'
import { QUESTIONS, REDIS_QUESTIONS } from '../../bench/questions.ts'
import { percentile } from '../../bench/series.ts'
import { ROOT } from '../../build.ts'
import { ensureBuilt } from '../support/built.ts'
import { has, soak } from '../support/tools.ts'

beforeAll(ensureBuilt, 120_000)

/** One of each kind: the others are made of the same parts, and are asked in the long run. */
const asked = soak ? QUESTIONS : QUESTIONS.filter(({ name }) => ['publish', 'redis-resume', 'queue'].includes(name))

describe('a benchmark', () => {
  // Tiny: whether a question still works, not what its answer is.
  it.for(asked)(
    'of $name measures the hub beside something, with figures that are numbers',
    async (question, { skip }) => {
      if (REDIS_QUESTIONS.includes(question)) skip(!has('redis-server'), 'there is no Redis')
      await using processes = new Processes(await chooseProduct(join(ROOT, 'dist')))
      const { findings } = await question.ask({ scale: 'smoke', processes, note: () => {} })
      const series = findings.flatMap(({ subject, comparisons }) => [subject, ...comparisons.map(({ peer }) => peer)])
      expect(findings.some(({ comparisons }) => comparisons.length > 0)).toBe(true)
      for (const { name, rounds } of series) {
        expect(rounds, name).not.toEqual([])
        expect(rounds.every(Number.isFinite), `${name}: ${rounds}`).toBe(true)
      }
    },
  )

  it('is named in its paper', () => {
    const paper = readFileSync(join(ROOT, 'docs/benchmarks.md'), 'utf8')
    expect(QUESTIONS.filter(({ name }) => !paper.includes(`\`${name}\``))).toEqual([])
  })
})

describe('a percentile', () => {
  it('lies between the values around it', () => {
    expect(percentile([4, 1, 3, 2], 50)).toBe(2.5)
    expect(percentile([1, 2, 3], 50)).toBe(2)
    expect(percentile([7], 99)).toBe(7)
  })
})
