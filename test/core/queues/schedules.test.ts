import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { anonymous } from '../../../server/core/access.ts'
import { Scheduler } from '../../../server/core/queues/schedules/scheduler.ts'
import { Schedules } from '../../../server/core/queues/schedules/schedules.ts'
import { openQueueSettings, type QueueOverrides } from '../../../server/core/queues/settings.ts'
import { turnNumber } from '../../../server/core/turns.ts'
import type { Store } from '../../../server/store/contract/store.ts'
import { DEFAULT_LIMITS } from '../../../shared/protocol.ts'
import type { ScheduleSpec } from '../../../shared/queues.ts'
import { type Engine, lmdbEngine } from '../../store/conformance/fixture.ts'
import { redisEngine, sharedServers } from '../../store/redis/fixture.ts'
import { SILENT } from '../../support/core/silent.ts'
import { has } from '../../support/tools.ts'
import { until } from '../../support/until.ts'

const CALLER = anonymous()
const HOUR = 3_600_000
const DAY = 24 * HOUR
const NONE: ReadonlySet<string> = new Set()
/** A disk that others use may take its time with a step. */
const PATIENT = { deadlineMs: 60_000 }

const utc = (text: string) => new Date(text).getTime()

/** One node of a hub by the clock of the test. */
async function nodeOn(
  store: Store,
  clock: { now: number },
  queues: Record<string, QueueOverrides> = {},
  limits = DEFAULT_LIMITS,
) {
  const settings = await openQueueSettings({ store: store.settings, file: queues })
  const noticed: string[] = []
  const counted = { jobs: 0, missed: 0 }
  const telemetry = {
    ...SILENT,
    noticed: (what: string) => void noticed.push(what),
    meter: {
      ...SILENT.meter,
      fired: (_: string, jobs: number, missed: number) => {
        counted.jobs += jobs
        counted.missed += missed
      },
    },
  }
  const context = { store, settings, limits, clock, telemetry }
  const schedules = new Schedules({ ...context, maxSchedules: 3 })
  const scheduler = new Scheduler(context)
  return { schedules, scheduler, settings, noticed, counted }
}

function describeSchedules(name: string, makeEngine: () => Promise<Engine>): void {
  describe(`schedules on ${name}`, { timeout: 120_000 }, () => {
    let engine: Engine
    let store: Store

    beforeEach(async () => {
      engine = await makeEngine()
      store = await engine.open()
    })
    afterEach(async () => {
      await engine.destroy()
    })

    const jobs = async (queue = 'q') => {
      const found = await store.queues.jobs(queue, { state: 'ready', limit: 5_000 })
      return found.map(({ id, key, priority, body }) => {
        const { data, headers = {} } = JSON.parse(body?.json ?? '{}') as {
          data?: unknown
          headers?: Record<string, string>
        }
        return { id, key, priority, data, headers, due: Number(headers['reprise-due']) }
      })
    }
    const dues = async (queue = 'q') => (await jobs(queue)).map(({ due }) => due)
    /** Lets the scheduler do what is due now. */
    const fireAll = async ({ scheduler }: Awaited<ReturnType<typeof nodeOn>>, without = NONE) => {
      scheduler.look()
      await until(async () => (await store.queues.dueSchedules(1, without)).due.length === 0, {
        what: 'all to be fired',
        ...PATIENT,
      })
    }
    /** A schedule that was made at this time, and what is there after the clock was set to these times one by one. */
    const lived = async (spec: ScheduleSpec, from: string, ...times: readonly string[]) => {
      engine.clock.now = utc(from)
      const node = await nodeOn(store, engine.clock)
      await node.schedules.put(CALLER, 'q', 's', spec)
      for (const time of times) {
        engine.clock.now = utc(time)
        await fireAll(node)
      }
      await node.scheduler.stop()
      return { ...node, shown: await node.schedules.get(CALLER, 'q', 's') }
    }

    it('add a job at each due time, which says whose and of when it is, and tell what became of them', async () => {
      const spec = {
        cron: '0 9 * * *',
        draft: { data: { a: 1 }, key: 'k', priority: 7, headers: { own: 'x' } },
        limit: 2,
      } as const
      const { shown, counted } = await lived(
        spec,
        '2026-01-05T08:00Z',
        '2026-01-05T08:59:59Z',
        '2026-01-05T09:00Z',
        '2026-01-06T09:00:02Z',
        '2026-01-09T09:00Z',
      )
      const [first, second] = [utc('2026-01-05T09:00Z'), utc('2026-01-06T09:00Z')]
      const headers = (due: number) => ({ own: 'x', 'reprise-schedule': 's', 'reprise-due': String(due) })
      expect(await jobs()).toMatchObject([
        { key: 'k', priority: 7, data: { a: 1 }, headers: headers(first) },
        { key: 'k', priority: 7, data: { a: 1 }, headers: headers(second) },
      ])
      const told = { queue: 'q', name: 's', missed: 'one', next: [], lastAt: second, fired: 2, missedCount: 0 }
      expect(shown).toEqual({ ...spec, ...told })
      expect(counted).toEqual({ jobs: 2, missed: 0 })
    })

    it.each([
      ['one', 1, 23],
      ['all', 24, 0],
      ['none', 0, 24],
    ] as const)('that nobody saw for a day are made up for as %s says', async (missed, count, left) => {
      const spec = { cron: '30 * * * *', draft: { data: 1 }, missed }
      const { shown } = await lived(spec, '2026-01-05T08:45Z', '2026-01-06T08:45Z')
      const all = Array.from({ length: 24 }, (_, i) => utc('2026-01-05T09:30Z') + i * HOUR)
      expect(await dues()).toEqual(count === 0 ? [] : all.slice(-count))
      expect(shown).toMatchObject({ fired: count, missedCount: left })
      expect(shown.next[0]).toBe(utc('2026-01-06T09:30Z'))
    })

    it('are not missed where they are only a little late', async () => {
      const spec = { cron: '0 9 * * *', draft: { data: 1 }, missed: 'none' } as const
      const { shown } = await lived(spec, '2026-01-05T08:00Z', '2026-01-06T09:00:04Z')
      expect(await dues()).toEqual([utc('2026-01-06T09:00Z')])
      expect(shown).toMatchObject({ fired: 1, missedCount: 1 })
    })

    it('make up for a thousand at most', async () => {
      const spec = { everyMs: 60_000, draft: { data: 1 }, missed: 'all' } as const
      const { shown } = await lived(spec, '2026-01-05T00:00Z', '2026-01-06T00:00Z')
      const found = await dues()
      expect(found).toHaveLength(1_000)
      expect([found[0], found.at(-1)]).toEqual([utc('2026-01-06T00:00Z') - 999 * 60_000, utc('2026-01-06T00:00Z')])
      expect(shown).toMatchObject({ fired: 1_000, missedCount: 440, lastAt: utc('2026-01-06T00:00Z') })
    })

    it.each([
      ['Europe/Berlin', '2026-03-28T12:00Z'],
      ['America/New_York', '2026-10-31T12:00Z'],
      ['America/Santiago', '2026-09-05T12:00Z'],
    ])('live through a change of the clock in %s: once a day, and each hour', async (timeZone, from) => {
      engine.clock.now = utc(from)
      const node = await nodeOn(store, engine.clock)
      await node.schedules.put(CALLER, 'daily', 's', { cron: '30 2 * * *', timeZone, draft: { data: 1 } })
      await node.schedules.put(CALLER, 'hourly', 's', { cron: '0 * * * *', timeZone, draft: { data: 1 } })
      for (let hour = 1; hour <= 48; hour++) {
        engine.clock.now = utc(from) + hour * HOUR
        await fireAll(node)
      }
      await node.scheduler.stop()
      expect(await dues('daily')).toHaveLength(2)
      const hours = await dues('hourly')
      expect(hours.slice(1).map((due, i) => due - (hours[i] ?? 0))).toEqual(Array(hours.length - 1).fill(HOUR))
      expect(hours.length).toBeGreaterThan(46)
    })

    it('changed in place keep what they counted, and their next time where that is not another', async () => {
      const node = await nodeOn(store, engine.clock)
      const start = engine.clock.now
      const put = (spec: ScheduleSpec) => node.schedules.put(CALLER, 'q', 's', spec)
      await put({ everyMs: 10_000, draft: { data: 1 } })
      engine.clock.now = start + 10_000
      await fireAll(node)
      engine.clock.now = start + 15_000
      expect(await put({ everyMs: 10_000, draft: { data: 2 }, missed: 'all' })).toMatchObject({
        draft: { data: 2 },
        fired: 1,
        lastAt: start + 10_000,
        next: [20, 30, 40, 50, 60].map((seconds) => start + seconds * 1_000),
      })
      expect(await put({ everyMs: 20_000, draft: { data: 2 } })).toMatchObject({ fired: 1, missed: 'one' })
      expect((await node.schedules.get(CALLER, 'q', 's')).next[0]).toBe(start + 35_000)
      expect((await put({ everyMs: 20_000, draft: { data: 2 }, limit: 1 })).next).toEqual([])
      const [again] = (await put({ everyMs: 20_000, draft: { data: 2 }, limit: 2 })).next
      expect(again).toBe(start + 35_000)
      await node.scheduler.stop()
    })

    it('wait where the queue is full, hold up no other queue, and go on when there is room', async () => {
      const node = await nodeOn(store, engine.clock, { full: { maxJobs: 1 } })
      const start = engine.clock.now
      const spec = { everyMs: 1_000, draft: { data: 1 }, missed: 'all' } as const
      await node.schedules.put(CALLER, 'full', 's', spec)
      await node.schedules.put(CALLER, 'q', 's', spec)
      engine.clock.now = start + 3_000
      await fireAll(node, new Set(['full']))
      expect(await dues()).toHaveLength(3)
      await until(() => node.noticed.length > 0, PATIENT)
      expect(await dues('full')).toEqual([start + 1_000])
      await store.queues.purge('full', { ids: (await jobs('full')).map(({ id }) => id) })
      await until(async () => (await dues('full')).length === 1, PATIENT)
      expect(await dues('full')).toEqual([start + 2_000])
      expect(await node.schedules.get(CALLER, 'full', 's')).toMatchObject({ fired: 2, missedCount: 0 })
      await node.scheduler.stop()
    })

    it('run now beside their times, page by page listed, and removed', async () => {
      const node = await nodeOn(store, engine.clock)
      const spec = { cron: '0 9 * * *', draft: { data: 1 }, limit: 5 }
      for (const name of ['a', 'b', 'c']) await node.schedules.put(CALLER, 'q', name, spec)
      const { id } = await node.schedules.run(CALLER, 'q', 'b')
      expect(await jobs()).toMatchObject([{ id, due: engine.clock.now, headers: { 'reprise-schedule': 'b' } }])
      expect(await node.schedules.get(CALLER, 'q', 'b')).toMatchObject({ fired: 0, lastAt: null })
      const page = await node.schedules.list(CALLER, 'q', { limit: 2 })
      expect([page.schedules.map(({ name }) => name), page.next]).toEqual([['a', 'b'], 'b'])
      const rest = await node.schedules.list(CALLER, 'q', { after: 'b' })
      expect([rest.schedules.map(({ name }) => name), rest.next]).toEqual([['c'], undefined])
      expect(await node.schedules.remove(CALLER, 'q', 'b')).toBe(true)
      expect(await node.schedules.remove(CALLER, 'q', 'b')).toBe(false)
      for (const call of [node.schedules.get(CALLER, 'q', 'b'), node.schedules.run(CALLER, 'q', 'b')]) {
        await expect(call).rejects.toMatchObject({ code: 'not_found' })
      }
    })

    it('that are wrong are refused, and leave all as it was', async () => {
      const schema = { type: 'object', required: ['to'] }
      const node = await nodeOn(store, engine.clock, { strict: { schema } })
      const spec: ScheduleSpec = { cron: '0 9 * * *', draft: { data: { to: 1 } } }
      const before = await node.schedules.put(CALLER, 'strict', 's', spec)
      const wrong: [Partial<ScheduleSpec>, RegExp][] = [
        [{ cron: '0 0 30 2 *' }, /never be due: there is no such time/],
        [{ cron: '0 0 1 13 *' }, /Invalid value for month: 13; five fields/],
        [{ cron: '2030-12-01T09:00:00' }, /is no cron expression; five fields/],
        [{ endAt: engine.clock.now - DAY }, /never be due: endAt is over/],
        [{ everyMs: 1_000 }, /either cron or everyMs/],
        [{ draft: { data: {} } }, /does not fit the schema/],
        [{ draft: { data: { to: 'x'.repeat(DEFAULT_LIMITS.payload) } } }, /bytes; at most/],
        [{ draft: { data: { to: 1 }, delayMs: 400 * DAY } }, /more than a year/],
      ]
      for (const [change, message] of wrong) {
        const put = node.schedules.put(CALLER, 'strict', 's', { ...spec, ...change })
        await expect(put).rejects.toMatchObject({ message: expect.stringMatching(message) })
      }
      expect(await node.schedules.get(CALLER, 'strict', 's')).toEqual(before)
      await expect(node.schedules.put(CALLER, 'q/dead', 's', spec)).rejects.toMatchObject({ code: 'bad_request' })
      await expect(node.schedules.put(CALLER, 'q', 'no name', spec)).rejects.toMatchObject({ code: 'bad_request' })
      expect(await store.queues.list({ names: ['q'] })).toEqual([])
      for (const name of ['a', 'b']) await node.schedules.put(CALLER, 'strict', name, spec)
      const fourth = node.schedules.put(CALLER, 'strict', 'c', spec)
      await expect(fourth).rejects.toMatchObject({
        code: 'too_many',
        message: expect.stringMatching(/limits\.schedules/),
      })
    })

    it('whose draft no longer fits the schema or the limits are seen among the dead letters', async () => {
      const node = await nodeOn(store, engine.clock)
      await node.schedules.put(CALLER, 'q', 's', { everyMs: 1_000, draft: { data: 'text' } })
      await node.settings.put('q', { schema: { type: 'number' } })
      engine.clock.now += 1_000
      await fireAll(node)
      const dead = await store.queues.jobs('q/dead', { state: 'ready', limit: 9 })
      expect(dead).toMatchObject([{ dead: { reason: 'rejected', error: expect.stringMatching(/schema/) } }])
      await node.scheduler.stop()
      const smaller = await nodeOn(store, engine.clock, {}, { ...DEFAULT_LIMITS, payload: 20 })
      engine.clock.now += 1_000
      await fireAll(smaller)
      await smaller.scheduler.stop()
      const [, second] = await store.queues.jobs('q/dead', { state: 'ready', limit: 9 })
      expect(second).toMatchObject({ dead: { error: expect.stringMatching(/at most 20/) } })
      expect(await node.schedules.get(CALLER, 'q', 's')).toMatchObject({ fired: 2 })
    })

    it('give way to other work, each by itself, where a thousand due times of each are counted', async () => {
      const turns: number[] = []
      const { queues } = store
      const fireSchedule: typeof queues.fireSchedule = (...given) => {
        turns.push(turnNumber())
        return queues.fireSchedule(...given)
      }
      const node = await nodeOn({ ...store, queues: { ...queues, fireSchedule } }, engine.clock)
      const names = ['a', 'b', 'c']
      for (const name of names) {
        await node.schedules.put(CALLER, 'q', name, { cron: '* * * * *', draft: { data: name } })
      }
      engine.clock.now += DAY
      await fireAll(node)
      await node.scheduler.stop()
      expect(await jobs()).toHaveLength(3)
      expect(new Set(turns).size).toBe(3)
    })

    it('fire once where many nodes see them at the same moment', async () => {
      const nodes = await Promise.all([1, 2, 3].map(() => nodeOn(store, engine.clock)))
      const [first] = nodes
      for (const name of ['a', 'b', 'c']) {
        await first?.schedules.put(CALLER, 'q', name, { everyMs: 1_000, draft: { data: name } })
      }
      for (let round = 1; round <= 20; round++) {
        engine.clock.now += 1_000
        await Promise.all(nodes.map((node) => fireAll(node)))
      }
      await Promise.all(nodes.map(({ scheduler }) => scheduler.stop()))
      const found = (await jobs()).map(({ data, due }) => `${data} ${due}`)
      expect(found).toHaveLength(60)
      expect(new Set(found).size).toBe(60)
    })
  })
}

describeSchedules('lmdb', () => lmdbEngine())

describe.runIf(has('redis-server'))('with Redis', () => {
  const servers = sharedServers('single')
  describeSchedules('redis', () => redisEngine(servers()))
})
