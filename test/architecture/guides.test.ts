import { describe, expect, it } from 'vitest'
import { exists, readText } from './sources.ts'

const BULLMQ = 'node_modules/bullmq/dist/esm'

/** Declarations with options that a program gives, of which the guide has to know every one. */
const OPTIONS = [
  ...['interfaces/base-job-options', 'types/job-options', 'interfaces/queue-options'],
  ...['interfaces/worker-options', 'interfaces/repeat-options', 'interfaces/advanced-options'],
]

/** Parts of an option's own value. */
const INNER = ['events', 'maxLen', 'metadata', 'omitContext']

describe('the guide from BullMQ', () => {
  it('names every option that its version in the benchmarks has', () => {
    expect(exists(`${BULLMQ}/${OPTIONS[0]}.d.ts`)).toBe(true)
    const guide = readText('docs/from-bullmq.md')
    const told = new Set(
      [...guide.matchAll(/^\| ([^|]*)\|/gm)].flatMap(([, cell = '']) => cell.match(/\w+(?=`)/g) ?? []),
    )
    const options = OPTIONS.flatMap((file) =>
      [...readText(`${BULLMQ}/${file}.d.ts`).matchAll(/^ {4}(\w+)\??:/gm)].map(([, name = '']) => name),
    )
    expect(options.length).toBeGreaterThan(50)
    expect(options.filter((name) => !told.has(name) && !INNER.includes(name))).toEqual([])
  })
})
