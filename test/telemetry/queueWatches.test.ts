import { describe, expect, it } from 'vitest'
import { Counts } from '../../server/telemetry/counts.ts'
import { QueueWatches } from '../../server/telemetry/seeing/queueWatches.ts'
import type { QueueSeen } from '../../shared/console/protocol.ts'

function setUp() {
  const counts = new Counts()
  let now = 1_000_000
  counts.use({ topicPattern: () => undefined, queuePattern: () => undefined, now: () => now })
  const watches = new QueueWatches(counts)
  const tick = (times = 1): void => {
    for (let i = 0; i < times; i++) {
      now += 1_000
      watches.tick(now)
    }
  }
  const look = (queue: string, after = 0, seesAll = false) => watches.look(queue, after, now, seesAll)
  const last = ({ points, series }: Omit<QueueSeen, 'node'>) =>
    Object.fromEntries(series.map((name, i) => [name, points.at(-1)?.[i]]))
  return { counts, watches, tick, look, last, now: () => now }
}

describe('a queue that somebody looks at', () => {
  it('is told by the second and by the minute: rates, and how long jobs wait and run', () => {
    const { counts, tick, look, last, now } = setUp()
    counts.sent('q', 5)
    look('q')
    counts.sent('q', 10)
    counts.sent('other', 99)
    counts.started('q', [
      ...Array.from({ length: 99 }, () => ({ dueAt: now() - 20, deliveries: 1 })),
      { dueAt: 0, deliveries: 2 },
    ])
    counts.started('q', [{ dueAt: now() - 60_000, deliveries: 1 }])
    for (const as of ['done', 'done', 'retry', 'dead', 'release'] as const) counts.settled('q', as)
    counts.ran('q', 'done', 200)
    counts.ran('q', 'release', 9_000)
    counts.lapsed('q', 1)
    tick()
    const point = last(look('q'))
    expect(point).toMatchObject({ at: now(), sent: 10, done: 2, failed: 3 })
    // Within a quarter.
    expect(point.wait50).toBeGreaterThan(15)
    expect(point.wait50).toBeLessThan(25)
    expect(point.run99).toBeGreaterThan(150)
    expect(point.run99).toBeLessThan(250)
    tick(19)
    const { minute, points } = look('q', point.at)
    expect(points).toHaveLength(19)
    expect(minute).toMatchObject({ sent: 0.5, done: 0.1, wait: { jobs: 100 }, run: { jobs: 1 } })
    tick(20)
    look('q')
    tick(40)
    expect(look('q').minute).toMatchObject({ sent: 0, wait: { jobs: 0, p50: 0, p99: 0 } })
  })

  it('is forgotten a minute after the last question, and others have room then', () => {
    const { counts, tick, look } = setUp()
    for (let i = 0; i < 50; i++) look(`q-${i}`)
    expect(() => look('more')).toThrow(/50 queues are looked at already/)
    tick(30)
    look('q-7')
    tick(31)
    expect([...counts.watched.keys()]).toEqual(['q-7'])
    look('more')
    tick(61)
    expect(counts.watched.size).toBe(0)
  })

  it('gives way to one that somebody looks at who sees the whole hub, where only others look at it', () => {
    const { counts, tick, look } = setUp()
    for (let i = 0; i < 50; i++) look(`q-${i}`, 0, i < 49)
    look('more', 0, true)
    expect([counts.watched.has('q-49'), counts.watched.has('more')]).toEqual([false, true])
    for (const seesAll of [true, false]) expect(() => look('q-49', 0, seesAll)).toThrow(/50 queues/)
    tick(61)
    look('q-49')
    expect([...counts.watched.keys()]).toEqual(['q-49'])
  })

  it('keeps the points of five minutes', () => {
    const { tick, look } = setUp()
    look('q')
    for (let i = 0; i < 8; i++) {
      tick(50)
      look('q')
    }
    expect(look('q').points).toHaveLength(300)
  })
})
