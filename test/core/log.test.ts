import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { Losses } from '../../server/core/queues/losses.ts'
import { createLog } from '../../server/telemetry/log.ts'
import { readableLine } from '../../server/telemetry/readable.ts'
import { RepriseError } from '../../shared/errors.ts'

function open({ level = 'info', readable = false } = {}) {
  const lines: string[] = []
  const log = createLog(level, { write: (line) => lines.push(line) }, readable)
  const objects = () => lines.map((line) => JSON.parse(line) as Record<string, unknown>)
  return { ...log, ...log.telemetry, lines, objects }
}

describe('the log', () => {
  it('has one JSON object a happening, its level a word', () => {
    const { happened, objects } = open()
    happened({ kind: 'started', url: 'http://127.0.0.1:3000', store: '/data', version: '1.2.3' })
    happened({ kind: 'storeAway', reason: 'no answer' })
    happened({ kind: 'consumerLost', queue: 'q', client: 'c', jobs: 2, reason: 'lease lapsed' })
    const time = expect.stringMatching(/^\d{4}-.*Z$/)
    expect(objects()).toEqual([
      { level: 'info', time, msg: 'started', url: 'http://127.0.0.1:3000', store: '/data', version: '1.2.3' },
      { level: 'error', time, msg: 'store away', reason: 'no answer' },
      { level: 'warn', time, msg: 'consumer lost', queue: 'q', client: 'c', jobs: 2, reason: 'lease lapsed' },
    ])
  })

  it('has stacks for bugs, and for nothing that is expected', () => {
    const { failed, noticed, objects, lines } = open()
    failed('trimming', new RepriseError('unavailable', 'the store is away', { cause: new Error('inner') }))
    failed('trimming', Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' }))
    noticed('settings', { cause: new RepriseError('storage_full', 'no space') })
    expect(objects()).toMatchObject([
      { level: 'error', msg: 'failed: trimming', reason: 'the store is away', code: 'unavailable' },
      { level: 'error', reason: 'connect ECONNREFUSED', code: 'ECONNREFUSED' },
      { level: 'warn', msg: 'settings', reason: 'no space' },
    ])
    expect(lines.join('')).not.toMatch(/\bat .*:\d+:\d+|stack/)
    failed('a call', new TypeError('undefined is not a function'))
    failed('a call', new RepriseError('internal', 'a bug', { cause: new Error('why') }))
    expect(objects().slice(3)).toMatchObject([
      {
        level: 'error',
        msg: 'failed: a call',
        err: { name: 'TypeError', stack: expect.stringContaining('log.test.ts') },
      },
      { level: 'error', err: { message: 'a bug', cause: { err: { message: 'why' } } } },
    ])
  })

  it('never holds what a driver hangs on its errors', () => {
    const { failed, lines } = open()
    const command = { name: 'auth', args: ['pass-word', { data: 'private' }] }
    failed('a call', Object.assign(new Error('ERR'), { command, previousErrors: [command] }))
    expect(lines.join('')).not.toMatch(/pass-word|private/)
  })

  it('counts what comes again and again, and loses no count', () => {
    const { happened, close, objects } = open()
    for (let n = 0; n < 1_000; n++) happened({ kind: 'takeover', client: `c${n}`, topic: 't' })
    happened({ kind: 'slow', topic: 't' })
    expect(objects()).toHaveLength(6)
    close()
    expect(objects().at(-1)).toMatchObject({ client: 'c999', repeated: 995 })
  })

  it('tells of each queue that has paused itself', () => {
    const { happened, close, objects } = open()
    for (let n = 0; n < 20; n++) happened({ kind: 'breakerTripped', queue: `q${n}`, dead: 10, ended: 10 })
    for (let n = 0; n < 20; n++) happened({ kind: 'breakerTripped', queue: 'q0', dead: 10, ended: 10 })
    close()
    const lines = objects().map(({ queue, repeated }) => [queue, repeated])
    expect(lines.slice(0, 20)).toEqual(Array.from({ length: 20 }, (_, n) => [`q${n}`, undefined]))
    expect(lines.slice(20)).toEqual([...Array.from({ length: 4 }, () => ['q0', undefined]), ['q0', 16]])
  })

  it('tells of each change by whom, and counts only the same one', () => {
    const { happened, close, objects } = open()
    const changed = (what: string, queue: string, subject = 'ann') => happened({ kind: 'acted', what, queue, subject })
    for (let n = 0; n < 1_000; n++) changed('pauseQueue', `q${n}`)
    for (let n = 0; n < 1_000; n++) changed('pauseQueue', 'q0')
    changed('purgeQueue', 'q0')
    changed('pauseQueue', 'q0', 'bob')
    close()
    expect(
      objects()
        .slice(1_000)
        .map(({ what, queue, subject, repeated }) => [what, queue, subject, repeated]),
    ).toEqual([
      ...Array.from({ length: 4 }, () => ['pauseQueue', 'q0', 'ann', undefined]),
      ['purgeQueue', 'q0', 'ann', undefined],
      ['pauseQueue', 'q0', 'bob', undefined],
      ['pauseQueue', 'q0', 'ann', 996],
    ])
  })

  it('tells of refused callers by their codes, each counted for itself, and not of calls that were wrong', () => {
    const { happened, close, objects } = open()
    const refused = (code: 'forbidden' | 'too_many' | 'bad_request') =>
      happened({ kind: 'refused', code, what: 'publish', reason: 'because' })
    for (let n = 0; n < 100; n++) refused('too_many')
    refused('forbidden')
    refused('bad_request')
    close()
    const line = { level: 'warn', msg: 'refused', what: 'publish', reason: 'because' }
    expect(objects().slice(4)).toMatchObject([
      { ...line, code: 'too_many' },
      { ...line, code: 'forbidden' },
      { ...line, code: 'too_many', repeated: 95 },
    ])
  })

  it('counts lost jobs of a queue and cause, and tells of each at once and then every few seconds', async () => {
    vi.useFakeTimers()
    onTestFinished(() => void vi.useRealTimers())
    const { telemetry, objects, close } = open()
    const losses = new Losses(telemetry)
    losses.except((_, { client }) => client === 'here')
    const lapsed = (client: string, jobs = 1) =>
      losses.add('q', { kind: 'lapsed', consumer: { subject: 's', client }, jobs })
    for (let n = 0; n < 1_000; n++) {
      losses.add('q', { kind: 'dead', reason: 'expired', jobs: 2 })
      lapsed(`mailer#${n}`)
      lapsed('here')
    }
    lapsed('#only-a-number', 3)
    const common = { level: 'warn', queue: 'q' }
    const first = [
      { ...common, msg: 'dead letters', jobs: 2, reason: 'expired' },
      { ...common, msg: 'leases lapsed', client: 'mailer', jobs: 1 },
      { ...common, msg: 'leases lapsed', jobs: 3 },
    ]
    expect(objects()).toMatchObject(first)
    await vi.advanceTimersByTimeAsync(5_000)
    expect(objects().slice(3)).toMatchObject([
      { ...common, jobs: 1_998, reason: 'expired' },
      { ...common, client: 'mailer', jobs: 999 },
    ])
    await vi.advanceTimersByTimeAsync(60_000)
    expect([objects().length, vi.getTimerCount()]).toEqual([5, 0])
    for (let n = 0; n < 2_000; n++) losses.add(`q${n}`, { kind: 'dead', reason: 'gap', jobs: 1 })
    losses.close()
    close()
    expect(vi.getTimerCount()).toBe(0)
    expect(objects().length).toBeLessThan(20)
  })

  it('is readable on a terminal, one line a happening, with nothing in it that steers the terminal', () => {
    const { happened, failed, lines } = open({ readable: true })
    happened({ kind: 'started', url: 'http://127.0.0.1:3000', store: '/my data', version: '1.2.3' })
    happened({ kind: 'gap', topic: 't', client: 'a\nb\u001b[2J', from: 1, to: null, count: null, reason: 'trimmed' })
    expect(lines[0]).toMatch(
      /^\d\d:\d\d:\d\d info {2}started {2}url=http:\/\/127.0.0.1:3000 {2}store="\/my data" {2}version=1.2.3\n$/,
    )
    failed('bad\nname \u001b[31m', new Error('first\nsecond \u009b'))
    for (const line of lines) {
      // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
      expect(line.replaceAll('\n', '')).not.toMatch(/[\u0000-\u001f\u007f-\u009f]/)
    }
    expect(lines[1]?.split('\n')).toHaveLength(2)
    expect(lines[2]).toMatch(/error failed: bad\\u000aname/)
    expect(readableLine('no json\u001b\n')).toBe('no json\\u001b\n')
  })

  it('says nothing below its level', () => {
    const { happened, lines } = open({ level: 'error' })
    happened({ kind: 'takeover', client: 'c', topic: 't' })
    happened({ kind: 'storeAway', reason: 'x' })
    expect(lines).toHaveLength(1)
  })
})
