/** What a hub counts, as a scrape tells it. */

import { beforeAll, describe, expect, it } from 'vitest'
import { readText } from '../architecture/sources.ts'
import { joinQueues, settlement } from '../support/clients/jobs.ts'
import { type Scrape, scrape, scrapeUntil } from '../support/clients/scrape.ts'
import { join } from '../support/clients/wire.ts'
import { startHub } from '../support/hub/hub.ts'
import { until } from '../support/until.ts'

let url: string

beforeAll(async () => {
  ;({ url } = await startHub({
    topics: { '*': {}, 'orders.*': { retain: { events: 3 } }, 'orders.eu.*': {} },
    queues: { 'mail.*': { maxAttempts: 1 }, brief: { maxAttempts: 1 } },
  }))
})

/** Of the histogram, all of it. */
const count = (all: Scrape, name: string, pattern: string) => all.of(`${name}_count{pattern="${pattern}"}`)

describe('the metrics of topics', () => {
  it('stand under the most specific pattern, and none names a topic', async () => {
    const wire = await join(url, 'orders.eu.1', { client: 'ann' })
    await wire.seen('live')
    await wire.value('publish', [{ data: 1 }, { data: 2, id: 'a' }, { data: 3, id: 'a' }])
    await wire.eventsSeen(2)
    const late = await join(url, 'orders.eu.1', { from: 'start' })
    await late.eventsSeen(2)
    await late.seen('live')
    const other = await join(url, 'prices', {})
    await other.seen('live')
    await wire.value('publish', [{ data: 4 }])
    await other.value('publish', [{ data: 1 }])
    const near = await join(url, 'orders.eu.2', { client: 'bob' })
    await near.seen('live')
    await near.value('publish', [{ data: 1 }])
    await near.eventsSeen(1)
    // Writes to a topic of the hub's own.
    expect((await fetch(`${url}/readyz`)).status).toBe(200)
    const all = await scrapeUntil(url, {
      'reprise_events_published_total{pattern="orders.eu.*"}': 4,
      'reprise_events_delivered_total{pattern="orders.eu.*",kind="live"}': 5,
      'reprise_events_delivered_total{pattern="orders.eu.*",kind="replay"}': 2,
      'reprise_catchups_total{pattern="orders.eu.*"}': 1,
      'reprise_subscribers{pattern="orders.eu.*"}': 3,
      'reprise_subscribers{pattern="*"}': 1,
      reprise_connections: 4,
      'reprise_topic_events{pattern="orders.eu.*"}': 4,
      'reprise_topic_events{pattern="*"}': 1,
      'reprise_cursor_lag_max{pattern="orders.eu.*"}': 3,
      reprise_store_up: 1,
    })
    expect(count(all, 'reprise_publish_seconds', 'orders.eu.*')).toBe(3)
    expect(count(all, 'reprise_delivery_seconds', 'orders.eu.*')).toBe(5)
    expect(all.of('reprise_commit_seconds_count')).toBeGreaterThan(1)
    expect(all.of('reprise_event_loop_delay_seconds')).toBeGreaterThanOrEqual(0)
    expect(all.text).not.toMatch(/orders\.eu\.[12]|prices|ann|bob/)
    for (const one of [wire, late, other, near]) one.close()
    await fetch(`${url}/v1/topics/prices`, { method: 'DELETE' })
    await scrapeUntil(url, {
      'reprise_subscribers{pattern="orders.eu.*"}': 0,
      'reprise_topic_events{pattern="*"}': 0,
      reprise_connections: 0,
    })
  })

  it('count gaps by their reason', async () => {
    const wire = await join(url, 'orders.us', { from: 'none' })
    const drafts = Array.from({ length: 5 }, (_, i) => ({ data: i }))
    const { epoch } = await wire.value<{ epoch: string }>('publish', drafts)
    const late = await join(url, 'orders.us', { from: { epoch, offset: 0 } })
    await late.seen('gap')
    await scrapeUntil(url, { 'reprise_gaps_total{pattern="orders.*",reason="trimmed"}': 1 })
    for (const one of [wire, late]) one.close()
  })
})

describe('the metrics of refusals', () => {
  it('count them by their code', async () => {
    const wire = await join(url, 'refused')
    await wire.call('publish', 5)
    await scrapeUntil(url, { 'reprise_refused_total{code="bad_request"}': 1 })
    wire.close()
  })
})

describe('docs/telemetry.md', () => {
  it('lists each metric with its type and its labels, and no other', async () => {
    const { text, types } = await scrape(url)
    const rows = [...readText('docs/telemetry.md').matchAll(/^\| `(reprise_\w+)` \| (\w+) \|([^|]*)\|/gm)]
    const told = rows.map(([, name, type, labels = '']) => [name, type, labels.replaceAll('`', '').trim()])
    const scraped = [...types].map(([name, type]) => {
      const series = new RegExp(`^${name}(?:_count)?(?:\\{(.*?)\\})? `, 'm').exec(text)
      return [name, type, (series?.[1] ?? '').replace(/="[^"]*"/g, '').replaceAll(',', ', ')]
    })
    expect(scraped).toEqual(told)
  })
})

describe('the metrics of queues', () => {
  it('count jobs from being sent to being settled', async () => {
    const wire = await joinQueues(url)
    await wire.send('mail.out', ...Array.from({ length: 6 }, (_, i) => ({ data: i })), { data: 6, delayMs: 60_000 })
    await wire.consume('mail.out', { credit: 4, leaseMs: 60_000 })
    const [done, retry, dead, release] = await wire.jobsSeen(4)
    if (!done || !retry || !dead || !release) throw new Error('four jobs were asked for')
    await wire.value('cancel', 'mail.out')
    await wire.settle(
      'mail.out',
      settlement(done),
      settlement(retry, 'retry'),
      settlement(dead, 'dead'),
      settlement(release, 'release'),
      { id: done.id, lease: 'another', as: 'done' },
    )
    const settled = (as: string) => `reprise_jobs_settled_total{pattern="mail.*",as="${as}"}`
    // Looked at last, with nothing that is ready.
    await wire.send('mail.zz', { data: 1, delayMs: 60_000 })
    const all = await scrapeUntil(url, {
      'reprise_jobs_sent_total{pattern="mail.*"}': 8,
      [settled('done')]: 1,
      [settled('retry')]: 1,
      [settled('dead')]: 1,
      [settled('release')]: 1,
      'reprise_jobs{pattern="mail.*",state="ready"}': 3,
      'reprise_jobs{pattern="mail.*",state="delayed"}': 2,
      'reprise_jobs{pattern="mail.*",state="held"}': 0,
      'reprise_jobs{pattern="mail.*",state="dead"}': 2,
    })
    expect(count(all, 'reprise_job_wait_seconds', 'mail.*')).toBe(4)
    expect(count(all, 'reprise_job_run_seconds', 'mail.*')).toBe(3)
    expect(all.of('reprise_oldest_ready_seconds{pattern="mail.*"}')).toBeGreaterThan(0)
    expect(all.text).not.toMatch(/mail\.(out|zz)/)
    wire.close()
  })

  it('count leases that lapse', async () => {
    const wire = await joinQueues(url)
    await wire.send('brief', { data: 1 })
    await wire.consume('brief', { credit: 1, leaseMs: 100 })
    await wire.jobsSeen(1)
    await until(() => wire.lost().length === 1, { what: 'the lapse' })
    await scrapeUntil(url, { 'reprise_jobs_lapsed_total{pattern="brief"}': 1 })
    wire.close()
  })
})
