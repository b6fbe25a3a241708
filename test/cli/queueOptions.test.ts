import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parseServeOptions } from '../../server/options/file.ts'
import { type HubOptions, resolveHubOptions } from '../../server/options/hub.ts'
import { readQueueOverrides } from '../../server/options/queues.ts'
import { tempFolder } from '../support/temp.ts'

function refusal(run: () => unknown): string {
  try {
    run()
  } catch (error) {
    const { code, message } = error as { code: string; message: string }
    expect(code).toBe('bad_request')
    return message
  }
  throw new Error('nothing was refused')
}

const EVERYTHING = {
  from: ['orders', { topic: 'refunds', from: 'start' }],
  leaseMs: '1m',
  maxLeaseMs: '2h',
  maxAttempts: 3,
  backoffMs: '250ms',
  maxBackoffMs: '1h',
  priority: 0,
  ttlMs: '2d',
  deadMs: '4w',
  keepDone: { count: 50, ageMs: '2h' },
  maxJobs: 'unlimited',
  maxBytes: '2GiB',
  reconnectGraceMs: 0,
  rate: 0.5,
  fair: true,
  events: true,
  groupRate: 'unlimited',
  breaker: { share: 0.5 },
  maxHoldBytes: '500MB',
} as const

const READ = {
  from: [
    { topic: 'orders', from: 'end' },
    { topic: 'refunds', from: 'start' },
  ],
  leaseMs: 60_000,
  maxLeaseMs: 7_200_000,
  maxAttempts: 3,
  backoffMs: 250,
  maxBackoffMs: 3_600_000,
  priority: 0,
  ttlMs: 172_800_000,
  deadMs: 2_419_200_000,
  keepDone: { count: 50, ageMs: 7_200_000 },
  maxJobs: Number.POSITIVE_INFINITY,
  maxBytes: 2 ** 31,
  reconnectGraceMs: 0,
  rate: 0.5,
  fair: true,
  events: true,
  groupRate: Number.POSITIVE_INFINITY,
  breaker: { share: 0.5, min: 10 },
  maxHoldBytes: 500_000_000,
}

describe('options of queues', () => {
  it('say in few words what is kept of finished jobs', () => {
    const keepDone = (given: unknown) => readQueueOverrides('q', { keepDone: given }).keepDone
    const nothing = { count: 0, ageMs: 0 }
    expect([false, 0, { count: 0 }, { ageMs: 0 }].map(keepDone)).toEqual(Array(4).fill(nothing))
    expect([true, {}, 7, { ageMs: '1h' }].map(keepDone)).toEqual([
      { count: 1_000, ageMs: 86_400_000 },
      { count: 1_000, ageMs: 86_400_000 },
      { count: 7, ageMs: 86_400_000 },
      { count: 1_000, ageMs: 3_600_000 },
    ])
    for (const wrong of [-1, 1.5, 1_000_001, '1_000_001']) {
      expect(refusal(() => keepDone(wrong))).toMatch(/^settings: keepDone: .* is not a number of jobs, 0 to 1000000$/)
    }
    for (const wrong of ['long', [], null]) {
      expect(refusal(() => keepDone(wrong))).toMatch(/^settings: keepDone: .* is neither { count, ageMs }, nor /)
    }
    expect(refusal(() => keepDone({ count: 'x' }))).toContain('keepDone.count: "x" is not a number of jobs')
    expect(refusal(() => keepDone({ ageMs: 'x' }))).toContain('keepDone.ageMs: "x" is not a duration')
    expect(refusal(() => keepDone({ age: 1 }))).toContain('unknown option age; known: count, ageMs')
  })

  it('are read alike by a program, by the file and by the API, and once more as they were read', async () => {
    expect(readQueueOverrides('emails', EVERYTHING)).toEqual(READ)
    const options = { queues: { emails: EVERYTHING } } satisfies HubOptions
    expect(resolveHubOptions(options).queues).toEqual({ emails: READ })
    expect(resolveHubOptions(resolveHubOptions(options)).queues).toEqual({ emails: READ })
    const cwd = await tempFolder()
    await writeFile(join(cwd, 'reprise.yaml'), JSON.stringify({ queues: { emails: EVERYTHING } }))
    expect(parseServeOptions({ cwd, flags: { config: 'reprise.yaml' } }).options.queues).toEqual({ emails: READ })
  })

  it('may be few, of a pattern, and of no bound', () => {
    expect(readQueueOverrides('*', {})).toEqual({})
    expect(readQueueOverrides('mail.*', { rate: 'unlimited', maxBytes: 'unlimited' })).toEqual({
      rate: Number.POSITIVE_INFINITY,
      maxBytes: Number.POSITIVE_INFINITY,
    })
    expect(readQueueOverrides('mail', { from: [] })).toEqual({ from: [] })
  })

  it.each<[string, unknown, string]>([
    ['q', { lease: 5 }, 'settings: unknown option lease; did you mean leaseMs?'],
    ['q', { leaseMs: 99 }, 'settings: leaseMs: 99 is not a time from 100 ms to 24 h'],
    ['q', { maxLeaseMs: '25h' }, 'settings: maxLeaseMs: "25h" is not a time from 100 ms to 24 h'],
    ['q', { maxAttempts: 0 }, 'settings: maxAttempts: 0 is not a whole number of 1 or more'],
    [
      'q',
      { backoffMs: -1 },
      'settings: backoffMs: -1 is not a duration such as 500ms, 30s, 5m, 1h or 7d (a number by itself is milliseconds)',
    ],
    ['q', { priority: 10 }, 'settings: priority: 10 is not a priority: a whole number from 0 to 9'],
    [
      'q',
      { ttlMs: 0 },
      'settings: ttlMs: 0 is not a duration such as 500ms, 30s, 5m, 1h or 7d (a number by itself is milliseconds)',
    ],
    [
      'q',
      { deadMs: 'long' },
      'settings: deadMs: "long" is not a duration such as 500ms, 30s, 5m, 1h or 7d (a number by itself is milliseconds)',
    ],
    ['q', { maxJobs: 0 }, 'settings: maxJobs: 0 is not a number of jobs, 1 or more, or unlimited'],
    ['q', { maxBytes: '1 box' }, 'settings: maxBytes: "1 box" is not a size such as 1GiB, or unlimited'],
    ['q', { rate: 0 }, 'settings: rate: 0 is not a number of jobs a second, 0.000001 to 1000000, or unlimited'],
    [
      'q',
      { rate: '10/s' },
      'settings: rate: "10/s" is not a number of jobs a second, 0.000001 to 1000000, or unlimited',
    ],
    ['q', { fair: 'maybe' }, 'settings: fair: "maybe" is not true or false'],
    [
      'q',
      { groupRate: 1e-300 },
      'settings: groupRate: 1e-300 is not a number of jobs a second, 0.000001 to 1000000, or unlimited',
    ],
    [
      'q',
      { groupRate: -1 },
      'settings: groupRate: -1 is not a number of jobs a second, 0.000001 to 1000000, or unlimited',
    ],
    ['q', { breaker: { share: 1 } }, 'settings: breaker.share: 1 is not a share above 0 and below 1, such as 0.5'],
    ['q', { breaker: { share: 0.5, min: 0 } }, 'settings: breaker.min: 0 is not a whole number of 1 or more'],
    ['q', { breaker: 'on' }, 'settings: breaker: "on" is neither off nor { share, min }'],
    ['q', { breaker: { shares: 0.5 } }, 'settings: unknown option shares; did you mean share?'],
    ['q', { from: 'orders' }, 'settings: from: is not a list of topics'],
    ['q', { from: [7] }, "settings: from: 7 is neither a topic nor { topic, from: 'start' | 'end' }"],
    [
      'q',
      { from: ['.a'] },
      'settings: from: the topic ".a" is not a name: 1 to 128 of A-Z a-z 0-9 . _ : - and the first a letter or digit',
    ],
    ['q', { from: [{ topic: 'a', from: 5 }] }, "settings: from: from of a is 5; a binding begins at 'start' or 'end'"],
    ['q', { from: [{ topic: 'a', form: 'end' }] }, 'settings: from: a has an unknown option form; known: topic, from'],
    ['q', { from: ['a', 'b', { topic: 'a' }] }, 'settings: from: names a twice'],
    ['mail.*', { from: ['a'] }, 'settings: from: topics are bound to one queue by its name, not to a pattern with *'],
    ['q', [], 'settings: a list is not a group of options'],
    ['q/dead', {}, '"q/dead" is not a name pattern: 1 to 128 of A-Z a-z 0-9 . _ : - and * for any run of characters'],
  ])('of %s as %j are refused with one sentence', (pattern, settings, message) => {
    expect(refusal(() => readQueueOverrides(pattern, settings))).toBe(message)
  })

  it('are refused with their place in the file and in a program', async () => {
    const cwd = await tempFolder()
    await writeFile(join(cwd, 'reprise.yaml'), 'queues:\n  "mail.*":\n    rate: 5\n    from: [orders]\n')
    const fault = 'topics are bound to one queue by its name, not to a pattern with *'
    expect(refusal(() => parseServeOptions({ cwd, flags: { config: 'reprise.yaml' } }))).toBe(
      `reprise.yaml:4: queues."mail.*".from: ${fault}`,
    )
    expect(refusal(() => resolveHubOptions({ queues: { 'mail.*': { from: ['orders'] } } }))).toBe(
      `createHub: queues."mail.*".from: ${fault}`,
    )
    expect(refusal(() => resolveHubOptions({ queues: { 'mail/dead': {} } }))).toMatch(
      /is not a name pattern|not a name pattern/,
    )
  })
})
