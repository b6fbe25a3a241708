import { expect, it } from 'vitest'
import { NO_PATTERN, Patterns } from '../../server/telemetry/counts.ts'

it('patterns beyond the fiftieth are counted together, so that settings for many names are few series', () => {
  const patterns = new Patterns(() => ({ count: 0 }))
  for (let i = 0; i < 80; i++) patterns.of(`topic-${i}`).count += 1
  patterns.of('topic-0').count += 1
  const labels = [...patterns.each.keys()]
  expect(labels).toEqual([NO_PATTERN, ...Array.from({ length: 49 }, (_, i) => `topic-${i}`), '(other)'])
  expect(patterns.of('topic-0').count).toBe(2)
  expect(patterns.each.get('(other)')?.count).toBe(31)
})
