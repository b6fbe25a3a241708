import { describe, expect, it } from 'vitest'
import { joinQueues } from '../support/clients/jobs.ts'
import { join } from '../support/clients/wire.ts'
import { type HubProcess, spawnHub } from '../support/hub/process.ts'
import { startRedis } from '../support/redis/redis.ts'
import { has } from '../support/tools.ts'
import { until } from '../support/until.ts'

interface Line {
  readonly level: string
  readonly msg: string
  readonly [detail: string]: unknown
}

function linesOf({ stderr }: Pick<HubProcess, 'stderr'>): Line[] {
  const whole = stderr().slice(0, stderr().lastIndexOf('\n') + 1)
  return whole
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Line)
}

/** The first line that says so, of this queue where one is named. */
async function told(hub: HubProcess, msg: string, queue?: string): Promise<Line> {
  const found = () => linesOf(hub).find((line) => line.msg === msg && (queue === undefined || line.queue === queue))
  return await until(found, { what: `"${msg}" in the log`, deadlineMs: 20_000, seen: () => hub.stderr() })
}

const NO_STACK = /\bat .*:\d+:\d+|"stack"/

describe('the log of a hub', () => {
  it('tells a start, a takeover, a gap, lost consumers and the end, a line each, without what is private', async () => {
    const hub = await spawnHub({ env: { REPRISE_LOG_LEVEL: 'info' } })
    expect(await told(hub, 'started')).toMatchObject({ level: 'info', url: hub.url, store: hub.data })

    const first = await join(hub.url, 'orders', { client: 'billing' })
    const second = await join(hub.url, 'orders', { client: 'billing', token: 'private-token' })
    await first.disconnected
    expect(await told(hub, 'a newer session of a client took over')).toMatchObject({
      topic: 'orders',
      client: 'billing',
    })

    await second.value('publish', [{ data: 'private-data', headers: { a: 'private-header' } }])
    const { epoch } = await second.seen('events')
    await join(hub.url, 'orders', { from: { epoch, offset: 9 } })
    expect(await told(hub, 'gap told')).toMatchObject({ level: 'warn', topic: 'orders', reason: 'reset' })

    const worker = await joinQueues(hub.url, { client: 'mailer' })
    await worker.send('emails', { data: 'private-data' })
    await worker.consume('emails', { credit: 1, leaseMs: 100 })
    await worker.jobsSeen(1)
    expect(await told(hub, 'consumer lost')).toMatchObject({ client: 'mailer', jobs: 1, reason: 'lease lapsed' })
    await worker.consume('emails', { credit: 1, leaseMs: 30_000 })
    await until(() => worker.jobs().length > 1 && worker.jobs().at(-1))
    worker.cut()
    const lost = () =>
      linesOf(hub)
        .filter(({ msg }) => msg === 'consumer lost')
        .at(-1)
    await until(() => lost()?.reason === 'connection lost', { seen: () => hub.stderr() })

    const post = (path: string, body: object) =>
      fetch(`${hub.url}/v1/queues/${path}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      }).then((response) => response.json())
    await post('bills/jobs', { data: 'private-data', id: 'b' })
    // Long enough to be answered before it is over: until then the client is there.
    const { jobs } = (await post('bills/claims', { client: 'script', leaseMs: 500 })) as { jobs: { lease: string }[] }
    expect(await told(hub, 'leases lapsed', 'bills')).toMatchObject({
      level: 'warn',
      queue: 'bills',
      client: 'script',
      jobs: 1,
    })
    // Whoever has claimed them had not gone.
    expect(linesOf(hub).filter(({ msg, queue }) => msg === 'consumer lost' && queue === 'bills')).toEqual([])
    await post('bills/settlements', [{ id: 'b', lease: jobs[0]?.lease, as: 'dead', reason: 'private-reason' }])
    expect(await told(hub, 'dead letters')).toMatchObject({
      level: 'warn',
      queue: 'bills',
      jobs: 1,
      reason: 'rejected',
    })

    expect(await hub.kill('SIGTERM')).toMatchObject({ code: 0 })
    const messages = linesOf(hub).map(({ msg }) => msg)
    expect(messages.slice(-2)).toEqual(['stopping', 'stopped'])
    expect(linesOf(hub).every(({ level }) => ['info', 'warn'].includes(level))).toBe(true)
    expect(hub.stderr()).not.toMatch(/private/)
    expect(hub.stderr()).not.toMatch(NO_STACK)
  })

  it('may have no reader: the hub works and stops all the same', async () => {
    const hub = await spawnHub({ env: { REPRISE_LOG_LEVEL: 'info' } })
    await told(hub, 'started')
    hub.process.stderr?.destroy()
    const wire = await join(hub.url, 'unread', { client: 'a' })
    await join(hub.url, 'unread', { client: 'a' })
    await wire.disconnected
    expect(await hub.kill('SIGTERM')).toEqual({ code: 0, signal: null })
  })

  it.runIf(has('redis-server'))('tells in one line that a Redis is away and in one that it is back', async () => {
    const redis = await startRedis({ appendonly: 'yes', appendfsync: 'always' })
    const hub = await spawnHub({ store: redis.url, env: { REPRISE_LOG_LEVEL: 'info' } })
    process.kill(redis.pid, 'SIGSTOP')
    try {
      expect(await told(hub, 'store away')).toMatchObject({ level: 'error', reason: expect.any(String) })
    } finally {
      process.kill(redis.pid, 'SIGCONT')
    }
    const { afterMs } = await told(hub, 'store back')
    expect(afterMs).toBeGreaterThan(0)
    for (const msg of ['store away', 'store back']) {
      expect(linesOf(hub).filter((line) => line.msg === msg)).toHaveLength(1)
    }
    expect(hub.stderr()).not.toMatch(NO_STACK)
    await hub.kill('SIGTERM')
  })
})
