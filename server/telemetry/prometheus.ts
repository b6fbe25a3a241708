/** The names, labels and help texts of all metrics, and how they are made of what was counted. Loaded when it is needed. */

import { monitorEventLoopDelay } from 'node:perf_hooks'
import { Counter, collectDefaultMetrics, Gauge, type Metric, Registry } from 'prom-client'
import type { ErrorCode } from '../../shared/errors.ts'
import { ERRORS } from '../../shared/errorTable.ts'
import { type Counts, type MetricsContext, Patterns, type QueueCounts, type TopicCounts } from './counts.ts'
import type { Histogram } from './histogram.ts'
import type { Sample } from './sampler.ts'

/** What the numbers are made of, in one moment. */
export interface Snapshot {
  readonly counts: Counts
  /** Of a hub whose store is open. */
  readonly opened: MetricsContext | undefined
  readonly sample: Sample | undefined
}

/** Makes the text of one moment. */
export type Exposition = (snapshot: Snapshot) => Promise<string>

type Labels = Readonly<Record<string, string>>
type Values = Iterable<readonly [labels: Labels, value: number]>

const RESOLUTION_MS = 10
/** A longest delay is told for this long at least, so that everybody who asks sees it. */
const DELAY_SPAN_MS = 15_000

/** Those of the process are the same for all hubs in it. */
const ofProcess = new Registry()
collectDefaultMetrics({ register: ofProcess })
const loop = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
loop.enable()

export function openExposition(): Exposition {
  const registry = new Registry()
  const registers = [registry]
  let now: Snapshot | undefined

  function counter(name: string, help: string, labelNames: string[], values: (snapshot: Snapshot) => Values): void {
    new Counter({
      name,
      help,
      labelNames,
      registers,
      collect() {
        this.reset()
        if (now !== undefined) for (const [labels, value] of values(now)) this.inc(labels, value)
      },
    })
  }

  function gauge(name: string, help: string, labelNames: string[], values: (snapshot: Snapshot) => Values): void {
    new Gauge({
      name,
      help,
      labelNames,
      registers,
      collect() {
        if (labelNames.length > 0) this.reset()
        if (now !== undefined) for (const [labels, value] of values(now)) this.set(labels, value)
      },
    })
  }

  /** The library's own would count each observation anew: these are counted already. */
  function histogram(
    name: string,
    help: string,
    all: (snapshot: Snapshot) => Iterable<readonly [Labels, Histogram]>,
  ): void {
    const get = async () => {
      const values = now === undefined ? [] : [...all(now)].flatMap(([labels, one]) => [...lines(name, labels, one)])
      return { name, help, type: 'histogram', aggregator: 'sum', values }
    }
    registry.registerMetric({ name, get } as unknown as Metric)
  }

  const ofTopic = (name: string, help: string, value: (counts: TopicCounts) => number): void =>
    counter(name, help, ['pattern'], ({ counts }) => byPattern(counts.topics, value))
  const ofQueue = (name: string, help: string, value: (counts: QueueCounts) => number): void =>
    counter(name, help, ['pattern'], ({ counts }) => byPattern(counts.queues, value))

  ofTopic('reprise_events_published_total', 'Events stored', ({ published }) => published)
  counter(
    'reprise_events_delivered_total',
    'Events sent to subscriptions, each for each: as they came (live), or read from the log (replay)',
    ['pattern', 'kind'],
    function* ({ counts }) {
      for (const [pattern, { live, replayed }] of counts.topics.each) {
        yield [{ pattern, kind: 'live' }, live]
        yield [{ pattern, kind: 'replay' }, replayed]
      }
    },
  )
  counter('reprise_gaps_total', 'Gaps told to subscriptions', ['pattern', 'reason'], function* ({ counts }) {
    for (const [pattern, { gaps }] of counts.topics.each) {
      for (const [reason, count] of Object.entries(gaps)) yield [{ pattern, reason }, count]
    }
  })
  ofTopic('reprise_catchups_total', 'Subscriptions that had missed something and became live', (one) => one.caughtUp)
  let subscribers = new Patterns(() => ({ subscriptions: 0 }))
  gauge('reprise_subscribers', 'Subscriptions of this node', ['pattern'], ({ opened }) => {
    const found = new Patterns(() => ({ subscriptions: 0 }), subscribers.each.keys())
    subscribers = found
    for (const [topic, subscriptions] of opened?.subscriptions() ?? []) {
      found.of(opened?.topicPattern(topic)).subscriptions += subscriptions
    }
    return byPattern(found, ({ subscriptions }) => subscriptions)
  })
  gauge('reprise_connections', 'Connections of Socket.IO at this node', [], ({ opened }) => [
    [{}, opened?.connections() ?? 0],
  ])
  gauge('reprise_topic_events', 'Events kept in the store', ['pattern'], ({ sample }) =>
    sample === undefined ? [] : byPattern(sample.topics, ({ events }) => events),
  )
  gauge('reprise_cursor_lag_max', 'Events that the cursor furthest behind has not seen', ['pattern'], ({ sample }) =>
    sample === undefined ? [] : byPattern(sample.topics, ({ lag }) => lag),
  )
  histogram('reprise_publish_seconds', 'From a call that publishes until its events are durable', ({ counts }) =>
    byPattern(counts.topics, ({ publishing }) => publishing),
  )
  histogram(
    'reprise_delivery_seconds',
    'From the time of an event until it is sent live, each for each',
    ({ counts }) => byPattern(counts.topics, ({ delivery }) => delivery),
  )
  histogram('reprise_commit_seconds', 'Writes of the store, which may hold many calls', ({ counts }) => [
    [{}, counts.commits],
  ])
  gauge('reprise_jobs', 'Jobs in the store', ['pattern', 'state'], function* ({ sample }) {
    for (const [pattern, { jobs }] of sample?.queues.each ?? []) {
      for (const [state, count] of Object.entries(jobs)) yield [{ pattern, state }, count]
    }
  })
  ofQueue('reprise_jobs_sent_total', 'Jobs stored', ({ sent }) => sent)
  ofQueue('reprise_schedules_fired_total', 'Due times of schedules that had a job', ({ fired }) => fired)
  ofQueue('reprise_schedules_missed_total', 'Due times of schedules that had none', ({ missed }) => missed)
  counter('reprise_jobs_settled_total', 'Leases ended by their consumers', ['pattern', 'as'], function* ({ counts }) {
    for (const [pattern, { settled }] of counts.queues.each) {
      for (const [as, count] of Object.entries(settled)) yield [{ pattern, as }, count]
    }
  })
  ofQueue('reprise_jobs_lapsed_total', 'Leases that nobody settled or extended in time', ({ lapsed }) => lapsed)
  ofQueue(
    'reprise_breakers_tripped_total',
    'Times a queue has paused itself for its dead letters',
    (one) => one.tripped,
  )
  histogram('reprise_job_wait_seconds', 'From when a job is due until its first delivery', ({ counts }) =>
    byPattern(counts.queues, ({ waiting }) => waiting),
  )
  histogram('reprise_job_run_seconds', 'From a delivery by this node until the job was done or failed', ({ counts }) =>
    byPattern(counts.queues, ({ running }) => running),
  )
  gauge('reprise_oldest_ready_seconds', 'For how long the first ready job has been due', ['pattern'], ({ sample }) =>
    sample === undefined ? [] : byPattern(sample.queues, ({ oldestReadyMs }) => oldestReadyMs / 1_000),
  )
  gauge('reprise_store_up', 'Whether events go through the store', [], ({ opened }) => [
    [{}, opened?.health().ready === true ? 1 : 0],
  ])
  counter('reprise_refused_total', 'Calls, handshakes and requests refused', ['code'], function* ({ counts }) {
    for (const code of Object.keys(ERRORS) as ErrorCode[]) yield [{ code }, counts.refused.get(code) ?? 0]
  })
  counter('reprise_ids_forgotten_total', 'Ids of drafts forgotten before their time', [], ({ counts }) => [
    [{}, counts.idsForgotten],
  ])
  const longest = longestDelays()
  gauge('reprise_event_loop_delay_seconds', 'The longest delay of the event loop of late', [], () => [[{}, longest()]])

  return async (snapshot) => {
    now = snapshot
    const own = registry.metrics()
    return `${await own}\n${await ofProcess.metrics()}`
  }
}

function* byPattern<Each, Value>(
  patterns: Patterns<Each>,
  value: (one: Each) => Value,
): Generator<readonly [Labels, Value]> {
  for (const [pattern, one] of patterns.each) yield [{ pattern }, value(one)]
}

function* lines(name: string, labels: Labels, { bounds, counts, sum }: Histogram) {
  let below = 0
  for (const [i, count] of counts.entries()) {
    below += count
    const le = i < bounds.length ? bounds[i] : '+Inf'
    yield { metricName: `${name}_bucket`, labels: { ...labels, le }, value: below }
  }
  yield { metricName: `${name}_sum`, labels, value: sum }
  yield { metricName: `${name}_count`, labels, value: below }
}

/** In seconds, of the last span and the one before it. */
function longestDelays(): () => number {
  let before = 0
  let since = performance.now()
  return () => {
    const longest = Math.max(0, loop.max / 1e6 - RESOLUTION_MS) / 1_000
    const told = Math.max(before, longest)
    if (performance.now() - since > DELAY_SPAN_MS) {
      before = longest
      since = performance.now()
      loop.reset()
    }
    return told
  }
}
