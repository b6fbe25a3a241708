import { describe, expect, it } from 'vitest'
import { Ledger, type Track } from '../../console/demo/counting/ledger.ts'
import { intersection, type RangeSet, rangeSet } from '../../console/demo/counting/ranges.ts'
import { runSeed, seededRandom } from '../support/seed.ts'

describe('a set of offsets', () => {
  it('holds what a plain set holds, in ranges that do not touch', () => {
    const random = seededRandom(runSeed('ranges'))
    for (let round = 0; round < 200; round++) {
      const [a, plainA] = randomSets()
      const [b, plainB] = randomSets()
      check(a, plainA)
      check(intersection(a, b), new Set([...plainA].filter((offset) => plainB.has(offset))))
    }

    function randomSets(): [RangeSet, Set<number>] {
      const set = rangeSet()
      const plain = new Set<number>()
      for (let i = random.integer(0, 12); i > 0; i--) {
        const from = random.integer(1, 60)
        const to = from + random.integer(-1, 9)
        set.add(from, to)
        for (let offset = from; offset <= to; offset++) plain.add(offset)
      }
      return [set, plain]
    }

    function check(set: RangeSet, plain: Set<number>): void {
      expect(set.size).toBe(plain.size)
      expect(set.max).toBe(Math.max(0, ...plain))
      for (let offset = 0; offset < 75; offset++) expect(set.has(offset)).toBe(plain.has(offset))
      set.ranges.forEach(({ from }, i) => {
        expect(from).toBeGreaterThan((set.ranges[i - 1]?.to ?? -1) + 1)
      })
    }
  })
})

describe('the counts', () => {
  it('tell missed from live by where the subscriber was cut and where the hub was when it came back', () => {
    const { ledger, track } = start()
    publish(ledger, 1, 3)
    arrive(track, 1, 3)
    track.left()
    publish(ledger, 4, 8)
    expect(track.counts()).toMatchObject({ published: 8, here: 3, missed: 5, replayed: 0, lost: 0 })
    track.returned(5)
    expect(arrive(track, 4, 8)).toEqual(Array(5).fill('replayed'))
    publish(ledger, 9, 9)
    expect(arrive(track, 9, 9)).toEqual(['live'])
    expect(track.counts()).toEqual({
      published: 9,
      here: 9,
      missed: 5,
      replayed: 5,
      lost: 0,
      told: 0,
      twice: 0,
      disordered: 0,
      earlier: 0,
    })
  })

  it('see what is lost as soon as a later event has come, and when nothing comes at all', () => {
    const { ledger, track } = start()
    publish(ledger, 1, 5)
    expect(track.counts().lost).toBe(0)
    arrive(track, 2, 2)
    expect(track.counts()).toMatchObject({ lost: 1, here: 1 })
    expect([1, 2, 3].map((offset) => track.mark(offset))).toEqual(['lost', 'live', 'awaited'])
    track.settle()
    expect(track.counts().lost).toBe(1)
    track.settle()
    expect(track.counts().lost).toBe(4)
    arrive(track, 3, 5)
    expect(track.counts().lost).toBe(1)
  })

  it('see what comes twice and what comes late', () => {
    const { ledger, track } = start()
    publish(ledger, 1, 3)
    arrive(track, 1, 1)
    arrive(track, 3, 3)
    arrive(track, 2, 3)
    expect(track.counts()).toMatchObject({ here: 3, twice: 1, disordered: 1, lost: 0 })
  })

  it('count only what replies named and what lies behind the start', () => {
    const { ledger, track } = start(10)
    publish(ledger, 9, 12)
    publish(ledger, 15, 15)
    arrive(track, 11, 15)
    expect(track.counts()).toMatchObject({ published: 3, here: 3, lost: 0 })
  })

  it('tell what a gap named apart from what went in silence', () => {
    const { ledger, track } = start()
    publish(ledger, 1, 6)
    const position = { epoch: 'a', offset: 3 }
    track.gap({ epoch: 'a', from: 1, to: 3, count: 3, reason: 'trimmed', position })
    arrive(track, 4, 6)
    expect(track.counts()).toMatchObject({ lost: 3, told: 3, here: 3 })
  })

  it('start again when the log is another one', () => {
    const { ledger, track } = start()
    publish(ledger, 1, 5)
    arrive(track, 1, 5)
    track.gap({
      epoch: 'b',
      from: null,
      to: null,
      count: null,
      reason: 'reset',
      position: { epoch: 'b', offset: 0 },
    })
    expect(track.counts()).toMatchObject({ published: 0, here: 0, lost: 0 })
    ledger.published({ epoch: 'b', offset: 1 })
    arrive(track, 1, 1)
    expect(track.counts()).toMatchObject({ published: 1, here: 1, twice: 0 })
  })

  it('take what was missed before the page was there for what it is: in order, and in no other count', () => {
    const { track } = start(4)
    expect(arrive(track, 2, 4)).toEqual(Array(3).fill('replayed'))
    expect(track.counts()).toMatchObject({ published: 0, twice: 0, disordered: 0, lost: 0, earlier: 3 })
    arrive(track, 6, 6)
    arrive(track, 5, 5)
    expect(track.counts()).toMatchObject({ disordered: 1 })
  })

  it('begin behind a gap that is told first, and behind what was missed before the page was there', () => {
    const ledger = new Ledger()
    const track = ledger.track()
    track.startAfter(21, 50)
    track.gap({ epoch: 'a', from: 22, to: 91, count: 70, reason: 'trimmed', position: { epoch: 'a', offset: 91 } })
    expect(new Set(arrive(track, 92, 141))).toEqual(new Set(['replayed']))
    expect(track.counts()).toMatchObject({ published: 0, earlier: 50, told: 0 })
    publish(ledger, 142, 142)
    expect(arrive(track, 142, 142)).toEqual(['live'])
    expect(track.counts()).toMatchObject({ published: 1, here: 1, earlier: 50, lost: 0 })
  })

  it('keep what the replies named in the new log before a subscriber was told of it, and nothing of the old one', () => {
    const { ledger, track } = start()
    const other = ledger.track()
    other.startAfter(0)
    publish(ledger, 1, 5)
    for (const each of [track, other]) arrive(each, 1, 5)
    track.left()
    ledger.published({ epoch: 'b', offset: 6 })
    const position = { epoch: 'b', offset: 5 }
    other.gap({ epoch: 'b', from: null, to: null, count: null, reason: 'reset', position })
    arrive(other, 6, 6)
    // The reply to what went into the old log was on its way for long.
    ledger.published({ epoch: 'a', offset: 7 })
    track.returned(1)
    track.gap({ epoch: 'b', from: null, to: null, count: null, reason: 'reset', position })
    expect(arrive(track, 6, 6)).toEqual(['replayed'])
    for (const each of [track, other]) {
      each.settle()
      each.settle()
      expect(each.counts()).toMatchObject({ published: 1, here: 1, lost: 0, twice: 0, disordered: 0 })
    }
    expect(track.counts()).toMatchObject({ missed: 1, replayed: 1 })
  })

  function start(offset = 0): { ledger: Ledger; track: Track } {
    const ledger = new Ledger()
    const track = ledger.track()
    track.startAfter(offset)
    return { ledger, track }
  }

  function publish(ledger: Ledger, from: number, to: number): void {
    for (let offset = from; offset <= to; offset++) ledger.published({ epoch: 'a', offset })
  }

  function arrive(track: Track, from: number, to: number): string[] {
    const marks: string[] = []
    for (let offset = from; offset <= to; offset++) marks.push(track.arrived(offset))
    return marks
  }
})
