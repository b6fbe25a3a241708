/** Traces through a hub, as the SDK of OpenTelemetry keeps them. */

import { AsyncLocalStorage } from 'node:async_hooks'
import { type Context, context, ROOT_CONTEXT, trace } from '@opentelemetry/api'
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { connect } from '../../client/index.ts'
import { joinQueues, settlement } from '../support/clients/jobs.ts'
import { join } from '../support/clients/wire.ts'
import { atEnd } from '../support/ending.ts'
import { startHub } from '../support/hub/hub.ts'
import { until } from '../support/until.ts'

const TRACE = '0af7651916cd43dd8448eb211c80319c'
const SPAN = 'b7ad6b7169203331'
const traceparent = `00-${TRACE}-${SPAN}-01`
const exporter = new InMemorySpanExporter()
const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] })
let url: string

/** As programs in Node have one. */
function useContexts(): void {
  const storage = new AsyncLocalStorage<Context>()
  const manager = {
    active: () => storage.getStore() ?? ROOT_CONTEXT,
    with: <A extends unknown[], T>(at: Context, work: (...args: A) => T, self: unknown, ...args: A) =>
      storage.run(at, () => work.apply(self, args)),
    bind: <T>(_at: Context, target: T) => target,
    enable: () => manager,
    disable: () => manager,
  }
  context.setGlobalContextManager(manager)
}

const spansOf = (name: string) =>
  exporter
    .getFinishedSpans()
    .filter((span) => span.name === name)
    .map((span) => ({
      traceId: span.spanContext().traceId,
      spanId: span.spanContext().spanId,
      parent: span.parentSpanContext?.spanId,
      attributes: span.attributes,
      links: span.links.map((link) => link.context.traceId),
      failed: span.status.code === 2,
    }))

async function spanOf(name: string) {
  await until(() => spansOf(name).length > 0, { what: `a span ${name}` })
  const [span] = spansOf(name)
  if (span === undefined) throw new Error(`there is no ${name}`)
  return span
}

async function post(path: string, body: unknown, headers: Readonly<Record<string, string>> = {}): Promise<number> {
  const init = {
    method: 'POST',
    body: JSON.stringify(body),
    headers: { 'content-type': 'application/json', ...headers },
  }
  return (await fetch(url + path, init)).status
}

beforeAll(async () => {
  ;({ url } = await startHub())
})

beforeEach(() => {
  exporter.reset()
})

describe('a traceparent', () => {
  it('is carried from a request to its events, unless they have one, also where nobody traces', async () => {
    const wire = await join(url, 'carried', {})
    const other = `00-${TRACE}-1111111111111111-00`
    await post('/v1/topics/carried/events', [{ data: 1 }, { data: 2, headers: { traceparent: other, a: 'b' } }], {
      traceparent,
    })
    await post('/v1/topics/carried/events', { data: 3 }, { traceparent: 'nonsense' })
    const events = await wire.eventsSeen(3)
    expect(events.map(({ headers }) => headers)).toEqual([{ traceparent }, { traceparent: other, a: 'b' }, undefined])
    expect(exporter.getFinishedSpans()).toEqual([])
    wire.close()
  })

  it('is carried from a request to its jobs', async () => {
    const other = `00-${TRACE}-1111111111111111-00`
    const children = [{ data: 2 }, { data: 3, headers: { traceparent: other }, children: [{ data: 4 }] }]
    const full = Object.fromEntries(Array.from({ length: 64 }, (_, i) => [`h${i}`, '']))
    await post(
      '/v1/queues/carried/jobs',
      [
        { data: 1, children },
        { data: 5, headers: full },
      ],
      { traceparent },
    )
    const queue = await joinQueues(url)
    await queue.consume('carried', { credit: 5 })
    for (const seen of [3, 4, 5]) {
      const jobs = await queue.jobsSeen(seen)
      await queue.settle('carried', ...jobs.slice(seen === 3 ? 0 : seen - 1).map((job) => settlement(job)))
    }
    const headers = queue.jobs().map((job) => [job.data, job.headers] as const)
    expect(new Map(headers)).toEqual(
      new Map(
        [1, 2, 3, 4, 5].map((data) => [data, data === 5 ? full : { traceparent: data === 3 ? other : traceparent }]),
      ),
    )
    queue.close()
  })
})

describe('where a program has registered a tracer', () => {
  beforeAll(() => {
    trace.setGlobalTracerProvider(provider)
  })
  afterAll(() => trace.disable())

  it('publishing and delivering are steps of the trace that the event names', async () => {
    const wire = await join(url, 'traced', {})
    await wire.value('publish', [{ data: 1, headers: { traceparent } }])
    await wire.eventsSeen(1)
    const [published, delivered] = [await spanOf('reprise.publish'), await spanOf('reprise.deliver')]
    expect(published).toMatchObject({ traceId: TRACE, parent: SPAN, failed: false })
    expect(published.attributes).toMatchObject({ 'messaging.destination.name': 'traced' })
    expect(delivered).toMatchObject({ traceId: TRACE, parent: SPAN })
    expect(delivered.attributes).toMatchObject({
      'reprise.kind': 'live',
      'reprise.subscriptions': 1,
      'reprise.offset': 1,
    })
    wire.close()
  })

  it('a call with several traces is a step of the first, and linked with the others, also with those of children', async () => {
    const [second, third] = ['2', '3'].map((digit) => digit.repeat(32))
    const of = (trace?: string) => ({ headers: { traceparent: `00-${trace}-${SPAN}-01` } })
    const children = [{ data: 1, ...of(third) }]
    await post('/v1/queues/linked/jobs', [
      { data: 1, ...of(TRACE) },
      { data: 2, ...of(second), children },
    ])
    expect(await spanOf('reprise.send')).toMatchObject({ traceId: TRACE, parent: SPAN, links: [second, third] })
  })

  it('an event without a trace begins one', async () => {
    const wire = await join(url, 'begun', {})
    await wire.value('publish', [{ data: 1 }])
    const [event] = await wire.eventsSeen(1)
    const published = await spanOf('reprise.publish')
    expect(event?.headers).toEqual({ traceparent: `00-${published.traceId}-${published.spanId}-01` })
    expect(await spanOf('reprise.deliver')).toMatchObject({ traceId: published.traceId, parent: published.spanId })
    wire.close()
  })

  it('sending a job and working on it are, too, and what fails says so', async () => {
    const hub = connect(url)
    atEnd(() => hub.close())
    await hub.queue('traced').send(1, { headers: { traceparent } })
    let calls = 0
    const worker = hub.queue('traced').consume(() => {
      calls += 1
      if (calls === 1) throw new Error('not yet')
    })
    worker.onError(() => {})
    const [sent, processed] = [await spanOf('reprise.send'), await spanOf('reprise.process')]
    expect(sent).toMatchObject({ traceId: TRACE, parent: SPAN })
    expect(processed).toMatchObject({ traceId: TRACE, parent: SPAN, failed: true })
    expect(processed.attributes).toMatchObject({ 'messaging.destination.name': 'traced' })
  })

  it('what the SDK publishes, sends and asks comes from the step that the program is in, to the worker', async () => {
    useContexts()
    atEnd(() => context.disable())
    const hub = connect(url)
    atEnd(() => hub.close())
    const [events, jobs] = [hub.topic('stepped'), hub.queue('stepped')]
    const given: unknown[] = []
    const worker = jobs.consume(({ headers }) => void given.push(headers))
    const step = trace.getTracer('program').startSpan('step')
    await context.with(trace.setSpan(context.active(), step), () =>
      Promise.all([
        events.publish(1),
        jobs.send(2, { children: [{ data: 6 }] }),
        jobs.request(3),
        events.publish(4, { headers: { traceparent } }),
      ]),
    )
    step.end()
    const { traceId, spanId } = step.spanContext()
    const here = { traceparent: `00-${traceId}-${spanId}-01` }
    const page = await events.read()
    expect(page.events.map(({ headers }) => headers)).toEqual([here, { traceparent }])
    await until(() => given.length === 3, { what: 'the parent' })
    expect(given).toEqual([here, here, here])
    await worker.close()
    await until(() => spansOf('reprise.process').length === 3, { what: 'all jobs' })
    for (const name of ['reprise.send', 'reprise.process']) {
      for (const span of spansOf(name)) expect(span).toMatchObject({ traceId, parent: spanId })
    }
    // Outside of it there is none.
    await events.publish(5)
    const [last] = (await events.read({ limit: 1, before: 4 })).events
    expect(last?.headers?.traceparent).not.toContain(traceId)
  })

  it('what is added to a draft does not make it too large, and what is no traceparent counts', async () => {
    const wire = await join(url, 'full', { from: 'none' })
    const full = 'x'.repeat(262_144 - '{"data":""}'.length)
    expect(await wire.call('publish', [{ data: full }])).toMatchObject({ ok: true })
    expect(await wire.call('publish', [{ data: full, headers: { traceparent } }])).toMatchObject({ ok: true })
    const over = { ok: false, error: { code: 'too_large' } }
    expect(await wire.call('publish', [{ data: `${full}x` }])).toMatchObject(over)
    expect(await wire.call('publish', [{ data: full, headers: { traceparent: `${traceparent}0` } }])).toMatchObject(
      over,
    )
    expect(await wire.call('publish', [{ data: full, headers: { traceparent, a: '' } }])).toMatchObject(over)
    expect(await post('/v1/queues/full/jobs', { data: full }, { traceparent })).toBe(201)
    // As many bytes as a call may have.
    const children = [full, full, full, full.slice('{"data":1}'.length)].map((data) => ({ data }))
    expect(await post('/v1/queues/full/jobs', { data: 1, children }, { traceparent })).toBe(201)
    expect(await post('/v1/queues/full/jobs', { data: 10, children }, { traceparent })).toBe(413)
    const hub = connect(url)
    atEnd(() => hub.close())
    await hub.topic('full').publish(full, { headers: { traceparent } })
    wire.close()
  })

  it('a publish that is refused is a span that failed', async () => {
    const wire = await join(url, 'refused', { from: 'none' })
    await wire.call('publish', [{ data: 'x'.repeat(300_000) }])
    expect(await spanOf('reprise.publish')).toMatchObject({ failed: true })
    wire.close()
  })
})
