import { describe, expect, it } from 'vitest'
import { connect, type HeldJob, type ScheduleSpec } from '../../../client/index.ts'
import type { Schedule, SchedulesPage } from '../../../shared/queues.ts'
import { asking } from '../../support/clients/ask.ts'
import { startHub } from '../../support/hub/hub.ts'
import { until } from '../../support/until.ts'

interface Claimed {
  readonly jobs: readonly { readonly id: string; readonly data: unknown; readonly headers: Record<string, string> }[]
}

describe('schedules in the SDK', () => {
  it('are put, looked at, run, fired and removed, with the data of the program', async () => {
    const { url } = await startHub()
    await using hub = connect<{ queues: { q: { n: number } } }>(url, { quiet: true })
    const queue = hub.queue('q')
    const spec = { everyMs: 100, draft: { data: { n: 1 } }, limit: 2 }
    expect(await queue.schedule('s', spec)).toMatchObject({ ...spec, queue: 'q', name: 's', fired: 0, lastAt: null })
    const first = await new Promise<HeldJob<{ n: number }>>((resolve) => {
      queue.consume((job) => resolve(job))
    })
    expect(first).toMatchObject({ data: { n: 1 }, headers: { 'reprise-schedule': 's' } })
    expect((await queue.getSchedule('s')).fired).toBeGreaterThan(0)
    expect((await queue.runSchedule('s')).id).not.toBe('')
    expect((await queue.schedules()).map(({ name }) => name)).toEqual(['s'])
    expect([await queue.removeSchedule('s'), await queue.removeSchedule('s')]).toEqual([true, false])
    await expect(queue.getSchedule('s')).rejects.toMatchObject({ code: 'not_found' })
    const wrong = (spec: object) => queue.schedule('s', spec as ScheduleSpec<{ n: number }>)
    await expect(wrong({ ...spec, tz: 'UTC' })).rejects.toMatchObject({ message: expect.stringMatching(/timeZone/) })
    await expect(wrong({ everyMs: 100, draft: { data: 1, id: 'x' } })).rejects.toMatchObject({ code: 'bad_request' })
    await expect(queue.schedule('no name', spec)).rejects.toMatchObject({ code: 'bad_request' })
    await expect(queue.schedule('s', { ...spec, everyMs: 5 })).rejects.toMatchObject({ code: 'bad_request' })
    await expect(hub.queue('q/dead').schedule('s', spec)).rejects.toMatchObject({ code: 'bad_request' })
  })

  it('carry binary data, also more than a packet holds, and are all listed', async () => {
    const { url, hub: own } = await startHub()
    await using hub = connect(url, { quiet: true })
    const data = Array.from({ length: 40 }, (_, i) => Uint8Array.of(i, 255))
    await hub.queue('q').schedule('binary', { cron: '0 9 * * *', draft: { data } })
    await own.queue('q').runSchedule('binary')
    const job = await new Promise<HeldJob>((resolve) => {
      own.queue('q').consume((job) => resolve(job))
    })
    expect((job.data as Uint8Array[]).map((bytes) => [...bytes])).toEqual(data.map((bytes) => [...bytes]))
    const names = Array.from({ length: 105 }, (_, i) => `s${String(i).padStart(3, '0')}`)
    await Promise.all(names.map((name) => own.queue('q').schedule(name, { cron: '0 9 * * *', draft: { data: 1 } })))
    expect((await own.queue('q').schedules()).map(({ name }) => name)).toEqual(['binary', ...names])
  })
})

describe('schedules over HTTP', () => {
  it('are put, fire, are looked at, run, listed and removed', async () => {
    const { url } = await startHub()
    const ask = asking(url)
    const at = '/v1/queues/q/schedules'
    const draft = { data: { n: 1 }, key: 'k' }
    const put = await ask<Schedule>('PUT', `${at}/often`, { everyMs: 100, draft, limit: 3 })
    expect(put.status).toBe(200)
    expect(put.body).toMatchObject({
      queue: 'q',
      name: 'often',
      everyMs: 100,
      draft,
      missed: 'one',
      limit: 3,
      fired: 0,
    })
    expect(put.body.next).toHaveLength(3)

    const { body } = await ask<Claimed>('POST', '/v1/queues/q/claims', { waitMs: 20_000 })
    const [job] = body.jobs
    expect(job).toMatchObject({ data: { n: 1 }, headers: { 'reprise-schedule': 'often' } })
    expect((Number(job?.headers['reprise-due']) - (put.body.next[0] ?? 0)) % 100).toBe(0)
    const over = await until(async () => {
      const { body: now } = await ask<Schedule>('GET', `${at}/often`)
      return now.next.length === 0 && now
    })
    expect(over).toMatchObject({ fired: 3, next: [] })

    const daily = { cron: '0 9 * * *', timeZone: 'Europe/Berlin', draft }
    await ask('PUT', `${at}/daily`, daily)
    const page = await ask<SchedulesPage>('GET', `${at}?limit=1`)
    expect(page.body).toMatchObject({ schedules: [{ name: 'daily', ...daily }], next: 'daily' })
    expect(page.body.schedules[0]?.next).toHaveLength(5)
    expect((await ask<SchedulesPage>('GET', `${at}?after=daily`)).body.schedules).toMatchObject([{ name: 'often' }])
    const ran = await ask<{ id: string }>('POST', `${at}/daily/run`)
    expect(ran.status).toBe(201)
    const { body: found } = await ask<Claimed>('GET', `/v1/queues/q/jobs/${ran.body.id}`)
    expect(found).toMatchObject({ id: ran.body.id, headers: { 'reprise-schedule': 'daily' } })

    expect((await ask('DELETE', `${at}/daily`)).status).toBe(204)
    for (const [method, path] of [
      ['DELETE', `${at}/daily`],
      ['GET', `${at}/daily`],
      ['POST', `${at}/daily/run`],
    ] as const) {
      expect((await ask(method, path)).body).toMatchObject({ code: 'not_found' })
    }
  })

  it('that are wrong are refused with what would be right', async () => {
    const { url } = await startHub({ limits: { schedules: 1 } })
    const ask = asking(url)
    const draft = { data: 1 }
    const wrong: [object | string, string, RegExp][] = [
      [{ draft }, 'bad_request', /either cron or everyMs/],
      [{ everyMs: 99, draft }, 'bad_request', /everyMs.*100/],
      [{ everyMs: 100 }, 'bad_request', /draft/],
      [{ everyMs: 100, draft: {} }, 'bad_request', /data is missing/],
      [{ everyMs: 100, draft: { data: 1, id: 'x' } }, 'bad_request', /draft\.id: each of its jobs has an id/],
      [{ everyMs: 100, draft: { data: 1, at: 5 } }, 'bad_request', /draft\.at.*delayMs/],
      [{ everyMs: 100, draft, repeat: 1 }, 'unsupported', /"repeat"/],
      [{ everyMs: 100, draft, missed: 'some' }, 'bad_request', /'one', 'all' or 'none'/],
      [{ everyMs: 100, draft, limit: 0 }, 'bad_request', /limit/],
      [{ cron: 'often', draft }, 'bad_request', /five fields/],
      [{ cron: '* * * * *', timeZone: 'Nowhere', draft }, 'bad_request', /Nowhere.*Europe\/Berlin/],
      [{ cron: '0 0 31 2 *', draft }, 'bad_request', /never be due/],
      [{ everyMs: 100, startAt: 2, endAt: 1, draft }, 'bad_request', /startAt is after endAt/],
      [{ cron: '* * * * *', startAt: 8_640_000_000_000_000, draft }, 'bad_request', /startAt.*253402300799999/],
      ['{', 'bad_request', /JSON/],
      ['null', 'bad_request', /schedule/],
    ]
    for (const [body, code, message] of wrong) {
      const answer = await ask('PUT', '/v1/queues/q/schedules/s', body)
      expect(answer.body, JSON.stringify(body)).toMatchObject({ code, message: expect.stringMatching(message) })
    }
    expect((await ask<SchedulesPage>('GET', '/v1/queues/q/schedules')).body).toEqual({ schedules: [] })
    expect((await ask('GET', '/v1/queues/q')).status).toBe(404)
    const made = await ask('PUT', '/v1/queues/q/schedules/s', { everyMs: 60_000, draft })
    expect(made.status).toBe(200)
    const second = await ask('PUT', '/v1/queues/q/schedules/t', { everyMs: 60_000, draft })
    expect(second.body).toMatchObject({
      code: 'too_many',
      retryAfterMs: 60_000,
      message: expect.stringMatching(/limits\.schedules/),
    })
    expect((await ask('PUT', '/v1/queues/q%2Fdead/schedules/s', { everyMs: 60_000, draft })).status).toBe(400)
    expect((await ask('PUT', '/v1/queues/q/schedules/a%20b', { everyMs: 60_000, draft })).status).toBe(400)
  })
})
