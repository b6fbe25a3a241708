/** What a worker in a page that nobody sees asks for, where timers are slow. */

import { describe, expect, it } from 'vitest'
import type { HeldJob } from '../../../client/index.ts'
import { desk, fakePage, kept, pass, working } from '../../support/sdk/workerDesk.ts'

const never = () => new Promise<void>(() => {})

describe('a worker in a page that nobody sees', () => {
  /** A page whose worker holds jobs under leases of 30 s. */
  async function inPage(jobs: readonly string[], concurrency = 1) {
    const page = fakePage()
    const { at } = await working(jobs, concurrency)
    const asked = async () => (await at.consuming({ leaseMs: 240_000 })).leaseMs
    const extended = async () => (await at.settle()).map((one) => one.as === 'extend' && one.leaseMs)
    return { ...at, page, asked, extended }
  }

  it('asks at once for leases that slow timers can keep, for what it holds and what comes; seen again, for what they were', async () => {
    const { page, asked, extended, waiting, jobs, consuming, cut, start } = await inPage(['1', '2'], 3)
    page.hide()
    expect(await asked()).toBe(240_000)
    expect(await extended()).toEqual([240_000, 240_000])
    await pass(79_900)
    await jobs('3')
    expect(await waiting()).toEqual([])
    await pass(200)
    expect(await extended()).toEqual([240_000, 240_000])
    page.show()
    expect((await consuming()).leaseMs).toBe(30_000)
    expect(await waiting()).toEqual([])
    await jobs('4')
    await pass(10_000)
    expect(await extended()).toEqual([30_000])
    await cut()
    expect(await start()).not.toHaveProperty('leaseMs')
  })

  it('that is hidden from the beginning hears first what the queue has', async () => {
    const page = fakePage()
    page.hide()
    const at = desk(never, { concurrency: 5 })
    expect(await at.start()).not.toHaveProperty('leaseMs')
    await at.jobs('early')
    expect(await at.settle()).toMatchObject([{ as: 'extend', leaseMs: 240_000 }])
    expect(await at.consuming({ leaseMs: 240_000 })).toMatchObject({ leaseMs: 240_000 })
    // It may have been on its way.
    await at.jobs('soon')
    expect(await at.settle()).toMatchObject([{ id: 'soon', leaseMs: 240_000 }])
    await pass(5_000)
    await at.jobs('late')
    expect(await at.waiting()).toEqual([])
    await at.cut()
    const held = ['early', 'soon', 'late'].map(kept)
    expect(await at.start({ leaseMs: 240_000, held })).toMatchObject({ leaseMs: 240_000 })
    expect(await at.waiting()).toEqual([])
  })

  it('asks for no less than that, whatever its program and its handlers want; seen again, for what they want', async () => {
    const page = fakePage()
    page.hide()
    let job: HeldJob | undefined
    const at = desk(
      (one) => {
        job = one
        return never()
      },
      { leaseMs: 3_000 },
    )
    expect(await at.start({ leaseMs: 240_000 })).toMatchObject({ leaseMs: 240_000 })
    await pass(5_000)
    await at.jobs('1')
    for (const [wanted, asked] of [
      [300_000, 300_000],
      [9_000, 240_000],
    ] as const) {
      void job?.extend(wanted)
      expect(await at.settle()).toMatchObject([{ leaseMs: asked }])
    }
    page.show()
    expect(await at.consuming()).toMatchObject({ leaseMs: 3_000 })
    await pass(80_000)
    expect(await at.settle()).toMatchObject([{ leaseMs: 9_000 }])
  })

  it('asks once for what is not answered yet, and says nothing new where leases are long enough', async () => {
    const { page, waiting, cut, start, extended } = await inPage(['1'])
    for (let i = 0; i < 5; i++) {
      page.hide()
      page.show()
    }
    page.hide()
    expect((await waiting()).filter((name) => name === 'settle')).toEqual(['settle'])
    await cut()
    page.show()
    page.hide()
    await start({ leaseMs: 240_000, held: [kept('1')] })
    expect(await extended()).toEqual([240_000])
    expect(await waiting()).toEqual([])
    const long = desk(never, { leaseMs: 250_000 })
    await long.start()
    await long.jobs('2')
    page.show()
    page.hide()
    expect(await long.waiting()).toEqual([])
  })

  it('takes no more jobs when its worker is closing, and keeps those that run', async () => {
    const { page, worker, next, extended, waiting } = await inPage(['1'])
    void worker.close()
    ;(await next('cancel')).reply(null)
    page.hide()
    expect(await extended()).toEqual([240_000])
    expect(await waiting()).toEqual([])
    await pass(1_000)
    page.show()
    page.hide()
    expect(await waiting()).toEqual(['settle'])
  })
})
