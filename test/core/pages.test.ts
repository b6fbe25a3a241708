/** Pages of logs for many readers: how often a log is read for them, and how many at a time. */

import { setImmediate as turn } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import type { Step } from '../../server/core/topics/log.ts'
import { Pages } from '../../server/core/topics/pages.ts'
import type { Store } from '../../server/store/contract/store.ts'
import { openStore } from '../../server/store/open.ts'
import { hubOn } from '../support/core/bare.ts'
import { TestChannel, TestOutlet } from '../support/core/outlet.ts'
import { tempFolder } from '../support/temp.ts'
import { until } from '../support/until.ts'

/** An event that fills a page nearly. */
const LARGE = 'x'.repeat(250_000)
const THERE = (): boolean => true

let store: Store

beforeAll(async () => {
  store = await openStore(`${await tempFolder()}/data`, {})
})

afterAll(() => store.close())

const count = ({ items }: Step): number =>
  items.reduce((sum, item) => sum + ('events' in item ? item.events.length : 0), 0)

/** A log whose pages come when the test says so, as of a store that is elsewhere. */
async function slowLog(topic: string, events: readonly unknown[]) {
  const { log, publish } = await hubOn(store)
  for (const event of events) await publish(topic, [event])
  const { epoch } = await log.bounds(topic)
  const asked: number[] = []
  let answer: (() => void)[] = []
  const { step } = log
  vi.spyOn(log, 'step').mockImplementation(async (name, position) => {
    asked.push(position.offset)
    await new Promise<void>((resolve) => answer.push(resolve))
    return step.call(log, name, position)
  })
  return {
    log,
    publish,
    asked,
    at: (offset: number) => ({ epoch, offset }),
    answerAll() {
      const those = answer
      answer = []
      for (const one of those) one()
    },
  }
}

/** Until nothing more is asked for, however many turns it takes. */
async function settled(asked: readonly number[]): Promise<void> {
  for (let before = -1; before !== asked.length; ) {
    before = asked.length
    for (let i = 0; i < 50; i++) await turn()
  }
}

describe('pages for many readers', () => {
  it('are read once for all who wait for the same one, with what was published until it is read', async () => {
    const { log, publish } = await hubOn(store)
    await publish('same', [1, 2])
    const { epoch } = await log.bounds('same')
    const reading = vi.spyOn(log, 'step')
    const pages = new Pages(log)
    const position = { epoch, offset: 0 }
    const first = await Promise.all(Array.from({ length: 50 }, () => pages.step('same', position, THERE)))
    expect(reading).toHaveBeenCalledTimes(1)
    expect(first.map(count)).toEqual(Array.from({ length: 50 }, () => 2))
    await publish('same', [3])
    expect(count(await pages.step('same', position, THERE))).toBe(3)
  })

  it('are not taken from a reading that has begun: it may not see what was published since', async () => {
    const { log, publish, asked, at, answerAll } = await slowLog('begun', [1])
    const pages = new Pages(log)
    const early = pages.step('begun', at(0), THERE)
    await settled(asked)
    await publish('begun', [2])
    const late = pages.step('begun', at(0), THERE)
    await settled(asked)
    expect(asked).toEqual([0, 0])
    answerAll()
    await early
    expect(count(await late)).toBe(2)
  })

  it('are asked for two at a time where they are large, and in their order', async () => {
    const offsets = Array.from({ length: 12 }, (_, i) => i)
    const { log, asked, at, answerAll } = await slowLog(
      'large',
      [...offsets, 12].map(() => LARGE),
    )
    const pages = new Pages(log)
    // Pages are small until a large one came.
    const before = Array.from({ length: 30 }, () => pages.step('large', at(12), THERE))
    await until(() => asked.length > 0)
    answerAll()
    await Promise.all(before)
    for (let i = 0; i < 20; i++) {
      const step = pages.step('large', at(0), THERE)
      await settled(asked)
      answerAll()
      await step
    }
    asked.length = 0
    const all = Promise.all(offsets.map((offset) => pages.step('large', at(offset), THERE)))
    for (let most = 2; most <= 12; most += 2) {
      await settled(asked)
      expect(asked).toEqual(offsets.slice(0, most))
      answerAll()
    }
    expect((await all).map(count)).toEqual(offsets.map(() => 1))
  })

  it('are not read for those who are gone', async () => {
    const { log } = await hubOn(store)
    const reading = vi.spyOn(log, 'step')
    await expect(new Pages(log).step('gone', { epoch: 'e', offset: 0 }, () => false)).rejects.toMatchObject({
      code: 'unavailable',
    })
    expect(reading).not.toHaveBeenCalled()
  })
})

describe('a page that is read ahead', () => {
  const pageOf = (n: number) => Array.from({ length: n }, () => LARGE)

  it('is there for its reader, and for no other time', async () => {
    const { log, publish } = await hubOn(store)
    for (const event of pageOf(3)) await publish('ahead', [event])
    const { epoch } = await log.bounds('ahead')
    const reading = vi.spyOn(log, 'step')
    const pages = new Pages(log)
    const second = { epoch, offset: 1 }
    pages.ahead('ahead', second, THERE)
    await until(() => reading.mock.calls.length === 1)
    expect((await pages.step('ahead', second, THERE)).items).toHaveLength(1)
    expect(reading).toHaveBeenCalledTimes(1)
    await pages.step('ahead', second, THERE)
    expect(reading).toHaveBeenCalledTimes(2)
  })

  it('is not kept when its reader has taken it', async () => {
    const { log, publish } = await hubOn(store)
    for (const event of pageOf(3)) await publish('taken', [event])
    const { epoch } = await log.bounds('taken')
    const pages = new Pages(log)
    const second = { epoch, offset: 1 }
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    try {
      pages.ahead('taken', second, THERE)
      expect(vi.getTimerCount()).toBe(1)
      await pages.step('taken', second, THERE)
      // What would forget it holds it, too.
      expect(vi.getTimerCount()).toBe(0)
    } finally {
      vi.useRealTimers()
    }
  })

  it('is read again where it ended at the head: more may have come', async () => {
    const { log, publish } = await hubOn(store)
    await publish('ahead-head', [1])
    const { epoch } = await log.bounds('ahead-head')
    const pages = new Pages(log)
    const reading = vi.spyOn(log, 'step')
    pages.ahead('ahead-head', { epoch, offset: 0 }, THERE)
    await until(() => reading.mock.calls.length === 1)
    await publish('ahead-head', [2])
    expect(count(await pages.step('ahead-head', { epoch, offset: 0 }, THERE))).toBe(2)
  })

  it('is one of few', async () => {
    const { log, asked, at, answerAll } = await slowLog('ahead-few', pageOf(2))
    const pages = new Pages(log)
    const answering = setInterval(answerAll, 1)
    for (let offset = 0; offset < 100; offset++) pages.ahead('ahead-few', at(offset), THERE)
    await settled(asked)
    clearInterval(answering)
    expect(asked.length).toBe(8)
  })
})

describe('a subscription', () => {
  it('has a page made ahead when it takes what it is given, and nothing when it does not', async () => {
    const { log, publish, subscribe } = await hubOn(store)
    for (let i = 0; i < 6; i++) await publish('takes', [LARGE])
    const reading = vi.spyOn(log, 'step')
    const held: (() => void)[] = []
    const outlet = new TestOutlet(new TestChannel(), () => new Promise((resolve) => held.push(resolve)))
    await subscribe('takes', outlet).start({ from: 'start' }, false)
    await until(() => held.length === 1)
    await settled([])
    expect(reading).toHaveBeenCalledTimes(1)
    held.shift()?.()
    await until(() => held.length === 1)
    await until(() => reading.mock.calls.length === 3)
    await settled([])
    expect(reading).toHaveBeenCalledTimes(3)
    expect(outlet.offsets).toEqual([1, 2])
    const taking = setInterval(() => held.shift()?.(), 1)
    await until(() => outlet.isLive)
    clearInterval(taking)
    expect(outlet.offsets).toEqual([1, 2, 3, 4, 5, 6])
    expect(reading.mock.calls.length).toBeLessThanOrEqual(8)
  })
})
