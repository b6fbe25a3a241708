/** The console's namespace: its numbers are those of HTTP and `/metrics`, and nobody sees more in it than elsewhere. */

import { describe, expect, it } from 'vitest'
import type { Happening } from '../../shared/console/happenings.ts'
import type { History, ListPage, QueueRow, QueueSeen, Summary, TopicRow } from '../../shared/console/protocol.ts'
import type { Job } from '../../shared/queues.ts'
import { asking } from '../support/clients/ask.ts'
import { scrape } from '../support/clients/scrape.ts'
import { SECRET, tokenOf } from '../support/clients/tokens.ts'
import { join, joinNamespace, type Wire } from '../support/clients/wire.ts'
import { startHub } from '../support/hub/hub.ts'
import { until } from '../support/until.ts'

const hub = await startHub({ auth: { jwt: { secret: SECRET } }, topics: { '*': { retain: { events: 5 } } } })
const { url } = hub
const root = await tokenOf('root')
const asRoot = { authorization: `Bearer ${root}` }
const reading = (...names: string[]) => tokenOf('ann', { grants: [{ actions: ['read'], names }] })

async function open(token = root): Promise<Wire> {
  return await joinNamespace(url, '/console', { token })
}

function summaries({ packets }: Wire): Summary[] {
  return packets.flatMap(({ name, args }) => (name === 'summary' ? [args[0] as Summary] : []))
}

async function summaryWith(wire: Wire, fits: (summary: Summary) => boolean): Promise<Summary> {
  return await until(() => summaries(wire).findLast(fits), {
    what: 'such a summary',
    seen: () => summaries(wire).at(-1),
  })
}

describe('the namespace of the console', () => {
  it('tells once a second the numbers that HTTP and /metrics tell', async () => {
    const wire = await open()
    // What is counted from here on is a difference to it.
    await summaryWith(wire, () => true)
    const ask = asking(url)
    const late = await join(url, 'orders', { token: root, client: 'late', from: 'start' })
    late.cut()
    const drafts = Array.from({ length: 8 }, (_, i) => ({ data: i }))
    await ask('POST', '/v1/topics/orders/events', drafts, asRoot)
    await ask('POST', '/v1/queues/emails/jobs', [{ data: 1 }, { data: 2, delayMs: 60_000 }], asRoot)
    const { whole, store } = await summaryWith(
      wire,
      ({ whole }) => whole?.totals.published === 8 && whole.gauges.lag === 8 && whole.gauges.ready === 1,
    )
    expect(store).toMatchObject({ up: true })
    expect(whole?.gauges).toMatchObject({ events: 5, topics: 1, queues: 1, ready: 1, delayed: 1, connections: 1 })
    expect(whole?.totals).toMatchObject({ sent: 2, settled: 0, gaps: 0 })
    expect(whole?.nodes.map(({ id }) => id)).toEqual([summaries(wire)[0]?.node])

    const metrics = await scrape(url, asRoot)
    expect(metrics.of('reprise_events_published_total{pattern="*"}')).toBe(8)
    expect(metrics.of('reprise_cursor_lag_max{pattern="*"}')).toBe(whole?.gauges.lag)
    const { rows } = await wire.value<ListPage<TopicRow>>('topics', { search: 'ord' })
    const { body } = await ask<TopicRow>('GET', '/v1/topics/orders', undefined, asRoot)
    const { first, last, events, bytes, cursors, subscribers } = body
    expect(rows).toMatchObject([{ topic: 'orders', first, last, events, bytes, cursors, subscribers, lag: 8 }])
    const queues = await wire.value<ListPage<QueueRow>>('queues')
    expect(queues.rows).toMatchObject([{ queue: 'emails', sent: 2, ready: 1, delayed: 1, held: 0, paused: false }])

    const { series, seconds } = await wire.value<History>('history')
    const published = seconds.points.map((point) => point[series.indexOf('published')] ?? 0)
    expect(published.reduce((sum, rate) => sum + rate, 0)).toBeGreaterThan(0)
  })

  it('counts a queue closely from the first question on', async () => {
    const wire = await open()
    const look = () => wire.value<QueueSeen>('queue', { queue: 'watched' })
    await look()
    const ask = asking(url)
    await ask('POST', '/v1/queues/watched/jobs', [{ data: 1 }, { data: 2 }], asRoot)
    const { body } = await ask<{ jobs: Job[] }>('POST', '/v1/queues/watched/claims', { max: 2 }, asRoot)
    const endings = body.jobs.map(({ id, lease }, i) => ({ id, lease, as: i === 0 ? 'done' : 'retry' }))
    await ask('POST', '/v1/queues/watched/settlements', endings, asRoot)
    const seen = await until(async () => {
      const told = await look()
      return told.points.length > 0 && told.minute.done > 0 && told
    })
    const { minute, node } = seen
    expect(node).toBe(summaries(wire)[0]?.node)
    expect(minute.wait.jobs).toBe(2)
    expect([minute.sent, minute.failed].every((rate) => rate > 0)).toBe(true)
    const part = await open(await reading('gone.a'))
    expect((await part.call('queue', { queue: 'watched' })).ok).toBe(false)
  })

  it('names what happened, with what alike things come to, and hides the rest of the hub from whoever sees a part', async () => {
    const ask = asking(url)
    for (const topic of ['gone.a', 'gone.b']) {
      const wire = await join(url, topic, { token: root, client: 'c', from: 'start' })
      wire.cut()
      await ask(
        'POST',
        `/v1/topics/${topic}/events`,
        Array.from({ length: 9 }, (_, i) => ({ data: i })),
        asRoot,
      )
      const back = await join(url, topic, { token: root, client: 'c' })
      await back.seen('gap')
    }
    const [all, part] = await Promise.all([open(), open(await reading('gone.a'))])
    const gaps = (happenings: readonly Happening[]) =>
      happenings.filter(({ kind }) => kind === 'gap').map(({ details }) => [details.topic, details.count])
    expect(gaps(await all.value<Happening[]>('activity'))).toEqual([
      ['gone.b', 4],
      ['gone.a', 4],
    ])
    const seen = await part.value<Happening[]>('activity')
    expect(gaps(seen)).toEqual([['gone.a', 4]])
    expect(await part.value('activity', { after: seen[0]?.number })).toEqual([])

    // What happens later pushes out nothing of another kind.
    await ask('PUT', '/v1/topics/gone.a', { retain: { events: 4 } }, asRoot)
    const latest = async (more: object) => gaps(await part.value<Happening[]>('activity', { limit: 1, ...more }))
    expect(await latest({})).toEqual([])
    expect(await latest({ kinds: ['gap'] })).toEqual([['gone.a', 4]])
    const wrong = await part.call('activity', { kinds: ['gaps'] })
    expect(wrong).toMatchObject({ ok: false, error: { code: 'bad_request' } })

    await until(async () => (await all.value<ListPage<TopicRow>>('topics')).total >= 2, { what: 'a look' })
    expect(await part.value('topics')).toMatchObject({ total: 1, matched: 1, rows: [{ topic: 'gone.a' }] })
    expect(await part.value('queues')).toMatchObject({ total: 0, rows: [] })
    expect(await part.call('history')).toMatchObject({ ok: false, error: { code: 'forbidden' } })
    const { whole } = await summaryWith(part, () => true)
    expect(whole).toBeUndefined()
  })

  it('names what somebody has changed, and not what was only tried', async () => {
    const wire = await open()
    const { number = 0 } = (await wire.value<Happening[]>('activity', { limit: 1 }))[0] ?? {}
    const ask = asking(url)
    const send = (method: string, path: string, body: object) => ask(method, `/v1/${path}`, body, asRoot)
    await send('POST', 'queues/tried/jobs', [{ data: 1 }])
    await send('PUT', 'queues/tried?dryRun=true', { maxAttempts: 2 })
    await send('PUT', 'topics/tried?dryRun=true', { retain: { events: 2 } })
    await send('POST', 'queues/tried/redrive', { dryRun: true })
    expect((await send('POST', 'queues/tried/redrive', {})).status).toBe(200)
    const { body } = await send('POST', 'revocations', { tokenId: 'told' })
    const queues = await joinNamespace(url, '/queues', { token: root })
    await queues.value('pause', 'tried')
    await queues.value('resume', 'tried')
    await queues.value('putSchedule', 'tried', 'daily', { everyMs: 3_600_000, draft: { data: 1 } })
    await queues.value('runSchedule', 'tried', 'daily')
    await queues.value('removeSchedule', 'tried', 'daily')
    expect(await queues.value('removeSchedule', 'tried', 'daily')).toBe(false)
    const { ids } = await queues.value<{ ids: string[] }>('send', 'tried', [{ data: 1, delayMs: 60_000 }])
    await queues.value('remove', 'tried', ids[0])
    const told = await wire.value<Happening[]>('activity', { after: number, kinds: ['acted'] })
    expect(told.map(({ details }) => details)).toEqual([
      { what: 'removeJob', subject: 'root', queue: 'tried', item: ids[0] },
      { what: 'removeSchedule', subject: 'root', queue: 'tried', item: 'daily' },
      { what: 'runSchedule', subject: 'root', queue: 'tried', item: 'daily' },
      { what: 'putSchedule', subject: 'root', queue: 'tried', item: 'daily' },
      { what: 'resumeQueue', subject: 'root', queue: 'tried' },
      { what: 'pauseQueue', subject: 'root', queue: 'tried' },
      { what: 'revoke', subject: 'root', item: (body as { id: string }).id },
      { what: 'redriveQueue', subject: 'root', queue: 'tried' },
    ])
  })

  it('keeps nothing of the names of calls that there are not', async () => {
    const wire = await open()
    for (const [i, name] of ['x', 'y', 'z'].entries())
      expect((await wire.call(name.repeat(500_000 + i))).ok).toBe(false)
    const unknown = (await wire.value<Happening[]>('activity')).filter(({ details: { what } }) =>
      /call/.test(`${what}`),
    )
    expect(unknown).toMatchObject([{ times: 3, details: { code: 'bad_request', what: 'a call that is not known' } }])
    expect(JSON.stringify(unknown).length).toBeLessThan(1_000)
  })

  it('sorts and pages lists of any length', async () => {
    const ask = asking(url)
    for (const [i, topic] of ['page.a', 'page.b', 'page.c'].entries()) {
      await ask(
        'POST',
        `/v1/topics/${topic}/events`,
        Array.from({ length: 3 - i }, () => ({ data: 0 })),
        asRoot,
      )
    }
    const wire = await open()
    const query = { search: 'page.', limit: 2 }
    const names = async (more: object) => {
      const { rows, matched } = await wire.value<ListPage<TopicRow>>('topics', { ...query, ...more })
      return [matched, ...rows.map(({ topic }) => topic)]
    }
    await until(async () => (await names({}))[0] === 3, { what: 'a look' })
    expect(await names({})).toEqual([3, 'page.a', 'page.b'])
    expect(await names({ descending: true, offset: 1 })).toEqual([3, 'page.b', 'page.a'])
    expect(await names({ sort: 'events' })).toEqual([3, 'page.c', 'page.b'])
    expect(await wire.call('topics', { sort: 'colour' })).toMatchObject({ ok: false, error: { code: 'bad_request' } })
  })

  it('is not there where the hub has no console', async () => {
    const without = await startHub({ console: false })
    await expect(joinNamespace(without.url, '/console')).rejects.toMatchObject({ code: 'not_found' })
    expect(await (await fetch(without.url)).text()).toContain('A real-time hub is running here')
  })
})
