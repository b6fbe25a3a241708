import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { ask } from '../../bench/asking.ts'
import { chooseProduct } from '../../bench/product.ts'
import { compare } from '../../bench/question.ts'
import { QUESTIONS } from '../../bench/questions/all.ts'
import { start } from '../../bench/questions/start.ts'
import { findProgram } from '../../bench/scenes/programs.ts'
import { percentile, seriesOf } from '../../bench/series.ts'
import { ROOT } from '../../build/build.ts'
import { ensureBuilt } from '../support/built.ts'
import { embeddedOnly, soak } from '../support/tools.ts'

beforeAll(ensureBuilt, 120_000)

/** Some start ten programs, which takes a while where others keep the processors busy. */
const TIMEOUT_MS = soak ? 30 * 60_000 : 120_000

/** One that has all parts; the others are asked in the long run. */
const asked = soak ? QUESTIONS : QUESTIONS.filter(({ name }) => name === 'redis-resume')

describe('a benchmark', () => {
  // Tiny: whether a question still works, not what its answer is.
  it.for(asked)(
    'of $name measures the hub beside something, with figures that are numbers',
    { timeout: TIMEOUT_MS },
    async (question, { skip }) => {
      for (const program of question.needs ?? [])
        skip(embeddedOnly || findProgram(program) === undefined, `there is no ${program}`)
      const product = await chooseProduct(join(ROOT, 'dist'))
      const { findings } = await ask(question, { scale: 'smoke', product, note: () => {} })
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

describe('two builds', () => {
  it(
    'are measured beside each other, round by round, each figure of the hub with how much better the first is',
    async () => {
      const product = await chooseProduct(join(ROOT, 'dist'))
      const { findings } = await ask(start, { scale: 'smoke', product, against: product, note: () => {} })
      expect(findings.map(({ subject }) => subject.name)).toEqual(['hub, with a new store, new', 'hub, new'])
      for (const { subject, comparisons } of findings) {
        const [{ peer, ratio, met } = { peer: subject, ratio: subject, met: undefined }] = comparisons
        // Of both, less is better.
        expect(ratio.rounds).toEqual([(peer.rounds[0] ?? 0) / (subject.rounds[0] ?? 0)])
        expect(met).toBe(ratio.median >= 0.95)
      }
    },
    TIMEOUT_MS,
  )
})

describe('figures of two sides', () => {
  it('are compared round by round: what disturbed a round disturbed both', () => {
    const ours = seriesOf('ours', [10, 20, 90])
    const theirs = seriesOf('theirs', [5, 20, 30])
    const { ratio, difference, met } = compare(ours, theirs, { of: 'ratio', least: 2 })
    expect(ratio).toMatchObject({ rounds: [2, 1, 3], median: 2, min: 1, max: 3 })
    expect(difference.median).toBe(5)
    expect(met).toBe(true)
    expect(compare(ours, theirs, { of: 'difference', most: 4 }).met).toBe(false)
    expect(compare(ours, theirs, { of: 'ratio', most: 1.9 }).met).toBe(false)
  })
})

describe('a percentile', () => {
  it('lies between the values around it', () => {
    expect(percentile([4, 1, 3, 2], 50)).toBe(2.5)
    expect(percentile([1, 2, 3], 50)).toBe(2)
    expect(percentile([7], 99)).toBe(7)
  })
})
