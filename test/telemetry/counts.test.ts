import { expect, it } from 'vitest'
import { Counts, NO_PATTERN, Patterns } from '../../server/telemetry/counts.ts'
import { Metrics } from '../../server/telemetry/metrics.ts'

it('patterns beyond the fiftieth are counted together, so that settings for many names are few series', () => {
  const patterns = new Patterns(() => ({ count: 0 }))
  for (let i = 0; i < 80; i++) patterns.of(`topic-${i}`).count += 1
  patterns.of('topic-0').count += 1
  const labels = [...patterns.each.keys()]
  expect(labels).toEqual([NO_PATTERN, ...Array.from({ length: 49 }, (_, i) => `topic-${i}`), '(other)'])
  expect(patterns.of('topic-0').count).toBe(2)
  expect(patterns.each.get('(other)')?.count).toBe(31)
})

it('ids that were forgotten early are counted, and told', () => {
  const metrics = new Metrics()
  const told: object[] = []
  const { happened } = metrics.listening({ failed() {}, noticed() {}, happened: (event) => told.push(event) })
  for (const ids of [3, 4]) happened({ kind: 'idsForgotten', topic: 't', subject: 'ann', ids })
  expect([metrics.counts.idsForgotten, told.length]).toEqual([7, 2])
})

it('a job waits from when it is due, and its first delivery ends that', () => {
  const counts = new Counts()
  counts.use({ topicPattern: () => undefined, queuePattern: () => 'q', now: () => 70_000 })
  const due = (dueAt: number, deliveries: number) => ({ sentAt: 0, dueAt, deliveries })
  counts.started('q', [due(60_000, 1), due(69_000, 1), due(1_000, 2)])
  const { waiting } = counts.queues.of('q')
  expect([waiting.sum, waiting.counts.reduce((all, one) => all + one)]).toEqual([11, 2])
})

it('due times of schedules are counted apart: those that had a job, and those that had none', () => {
  const counts = new Counts()
  counts.use({ topicPattern: () => undefined, queuePattern: () => 'q', now: () => 0 })
  for (const missed of [0, 3]) counts.fired('a', 1, missed)
  expect(counts.queues.of('q')).toMatchObject({ fired: 2, missed: 3, sent: 0 })
})
