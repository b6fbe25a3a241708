import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  type AnchoredTiming,
  anchored,
  checkTiming,
  dueUntil,
  firstDue,
  MOST_COUNTED,
  nextDue,
  nextDues,
  type Timing,
} from '../../../server/core/queues/schedules/dueTimes.ts'

const HOUR = 3_600_000
const DAY = 24 * HOUR

const at = (text: string) => new Date(text).getTime()
const shown = (times: readonly number[]) => times.map((time) => new Date(time).toISOString().replace(':00.000Z', 'Z'))

/** The first due times from then on. */
function timesOf(timing: Timing, from: string, count: number): string[] {
  return shown(nextDues(anchored(timing, at(from)), at(from) - 1, count))
}

describe('the due times of a cron', () => {
  it('are those of its time zone, UTC where it names none', () => {
    expect(timesOf({ cron: '0 9 * * *' }, '2026-01-05T00:00Z', 2)).toEqual(['2026-01-05T09:00Z', '2026-01-06T09:00Z'])
    const timing = { cron: '30 8 * * MON-FRI', timeZone: 'Asia/Kolkata' }
    expect(timesOf(timing, '2026-01-02T00:00Z', 2)).toEqual(['2026-01-02T03:00Z', '2026-01-05T03:00Z'])
    expect(timesOf({ cron: '15 0 9 * * *' }, '2026-01-05T09:00Z', 1)).toEqual(['2026-01-05T09:00:15.000Z'])
  })

  // Each with the day before, the day of the change, and the day after.
  it.each([
    [
      'Europe/Berlin',
      '30 2 * * *',
      '2026-03-28T00:00Z',
      ['2026-03-28T01:30Z', '2026-03-29T01:00Z', '2026-03-30T00:30Z'],
    ],
    [
      'Europe/Berlin',
      '30 2 * * *',
      '2026-10-24T00:00Z',
      ['2026-10-24T00:30Z', '2026-10-25T00:30Z', '2026-10-26T01:30Z'],
    ],
    [
      'America/New_York',
      '15 2 * * *',
      '2026-03-07T06:00Z',
      ['2026-03-07T07:15Z', '2026-03-08T07:00Z', '2026-03-09T06:15Z'],
    ],
    [
      'America/New_York',
      '15 1 * * *',
      '2026-10-31T05:00Z',
      ['2026-10-31T05:15Z', '2026-11-01T05:15Z', '2026-11-02T06:15Z'],
    ],
    [
      'Australia/Lord_Howe',
      '15 2 * * *',
      '2026-10-02T15:00Z',
      ['2026-10-02T15:45Z', '2026-10-03T15:30Z', '2026-10-04T15:15Z'],
    ],
    [
      'Australia/Lord_Howe',
      '45 1 * * *',
      '2026-04-03T14:00Z',
      ['2026-04-03T14:45Z', '2026-04-04T14:45Z', '2026-04-05T15:15Z'],
    ],
  ])('come once a day in %s, also when the clock leaves %s out or shows it twice', (timeZone, cron, from, expected) => {
    expect(timesOf({ cron, timeZone }, from, 3)).toEqual(expected)
  })

  it.each([
    ['Europe/Berlin', '2026-03-28T12:00Z'],
    ['Europe/Berlin', '2026-10-24T12:00Z'],
    ['America/New_York', '2026-03-07T12:00Z'],
    ['America/New_York', '2026-10-31T12:00Z'],
    ['America/Santiago', '2026-04-04T12:00Z'],
    ['America/Santiago', '2026-09-05T12:00Z'],
  ])('of every hour come each hour in %s through the change after %s', (timeZone, from) => {
    const times = nextDues(anchored({ cron: '0 * * * *', timeZone }, 0), at(from), 48)
    expect(times.map((time, i) => time - (times[i - 1] ?? time - HOUR))).toEqual(Array(48).fill(HOUR))
  })

  it('of lists and ranges of hours are named ones, those of steps go by what the clock shows', () => {
    const timeZone = 'Europe/Berlin'
    const [gap, twice] = ['2026-03-29T00:00Z', '2026-10-25T00:00Z']
    expect(timesOf({ cron: '30 1,2,4 * * *', timeZone }, gap, 3)).toEqual([
      '2026-03-29T00:30Z',
      '2026-03-29T01:00Z',
      '2026-03-29T02:30Z',
    ])
    expect(timesOf({ cron: '*/30 2 * * *', timeZone }, gap, 1)).toEqual(['2026-03-30T00:00Z'])
    expect(timesOf({ cron: '*/30 2 * * *', timeZone }, twice, 5)).toEqual([
      '2026-10-25T00:00Z',
      '2026-10-25T00:30Z',
      '2026-10-25T01:00Z',
      '2026-10-25T01:30Z',
      '2026-10-26T01:00Z',
    ])
  })

  it('lie between start and end, both included', () => {
    const timing = { cron: '0 9 * * *', startAt: at('2026-01-07T09:00Z'), endAt: at('2026-01-08T09:00Z') }
    const all = anchored(timing, at('2026-01-05T00:00Z'))
    expect(shown([firstDue(all, at('2026-01-05T00:00Z')) ?? 0])).toEqual(['2026-01-07T09:00Z'])
    expect(shown(nextDues(all, timing.startAt - 1, 9))).toEqual(['2026-01-07T09:00Z', '2026-01-08T09:00Z'])
  })
})

describe('the due times of everyMs', () => {
  it('are counted from the start, or from when it is made, whenever they are asked for', () => {
    const free = anchored({ everyMs: 1_000 }, 5_500)
    expect(nextDues(free, 5_500, 3)).toEqual([6_500, 7_500, 8_500])
    expect(firstDue(free, 5_500)).toBe(6_500)
    const started = anchored({ everyMs: 1_000, startAt: 7_000, endAt: 9_000 }, 5_500)
    expect(firstDue(started, 5_500)).toBe(7_000)
    expect(nextDues(started, 6_999, 9)).toEqual([7_000, 8_000, 9_000])
    // One that began long ago goes on in its step, and makes up for nothing.
    expect(firstDue(anchored({ everyMs: 1_000, startAt: 250 }, 5_500), 5_500)).toBe(6_250)
    expect(firstDue(anchored({ everyMs: 1_000, startAt: 500 }, 5_500), 5_500)).toBe(5_500)
  })
})

describe('due times that are over', () => {
  const timings = fc.oneof(
    fc.record({ everyMs: fc.integer({ min: 100, max: 5_000_000 }) }),
    fc.record({
      cron: fc.constantFrom('* * * * *', '*/7 * * * *', '0 2,3 * * *', '30 2 * * *', '5 0 1 * *', '0 0 * * MON'),
      timeZone: fc.constantFrom('UTC', 'Europe/Berlin', 'America/New_York', 'Australia/Lord_Howe'),
    }),
  )

  it('are the same one by one and at once, the latest ones where they are too many', () => {
    fc.assert(
      fc.property(
        timings,
        fc.integer({ min: 0, max: 365 }),
        fc.integer({ min: 0, max: DAY + 4 * HOUR }),
        (given, day, away) => {
          const made = at('2026-01-01T00:00Z') + day * DAY
          const timing: AnchoredTiming = anchored(given, made)
          const first = firstDue(timing, made) ?? 0
          const now = first + away
          const all: number[] = []
          for (let time: number | undefined = first; time !== undefined && time <= now; time = nextDue(timing, time)) {
            all.push(time)
            if (all.length > 2_500) return
          }
          const { times, before } = dueUntil(timing, first, now)
          expect(times).toEqual(all.slice(-MOST_COUNTED))
          const over = Math.max(0, all.length - MOST_COUNTED)
          expect(before).toBe('cron' in given ? Math.sign(over) * MOST_COUNTED : over)
        },
      ),
      { numRuns: 15 },
    )
  })
})

describe('a timing', () => {
  it.each<[Timing, RegExp]>([
    [{}, /either cron or everyMs/],
    [{ cron: '* * * * *', everyMs: 100 }, /either cron or everyMs/],
    [{ cron: 'x' }, /: cron: "x" is no cron expression; five fields/],
    [{ cron: '60 * * * *' }, /cron: .*60/],
    [{ cron: '@reboot' }, /cron: /],
    [{ cron: '* * * * * * 2030' }, /five fields/],
    [{ cron: '* * * * *', timeZone: 'Mars/Phobos' }, /Mars\/Phobos.*not known/],
    [{ cron: '* * * * *', timeZone: '+02:00' }, /not known/],
    [{ everyMs: 100, timeZone: 'UTC' }, /timeZone is for cron/],
    [{ everyMs: 100, startAt: 2, endAt: 1 }, /startAt is after endAt/],
  ])('%j is refused with what is wrong', (timing, words) => {
    expect(() => checkTiming(timing)).toThrow(
      expect.objectContaining({ code: 'bad_request', message: expect.stringMatching(words) }),
    )
  })
})
