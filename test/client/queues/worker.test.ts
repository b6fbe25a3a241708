import { describe, expect, it } from 'vitest'
import { dead, type HeldJob, RepriseError, release, retry } from '../../../client/index.ts'
import { DEFAULT_LIMITS } from '../../../shared/protocol.ts'
import { desk, handlerByHand, jobOf, pass } from '../../support/sdk/workerDesk.ts'

const settlementOf = async (handler: (job: HeldJob) => unknown, more = {}) => {
  const at = desk(handler)
  await at.start()
  await at.jobs(jobOf('1', more))
  const [settlement] = await at.settle()
  return { settlement, failures: at.failures, at }
}

const thenable = (subscribe: unknown) => Object.defineProperty({}, 'then', { value: subscribe })

const base = { id: '1', lease: 'lease of 1' }

describe('what a handler does', () => {
  const requested = { replyBy: 10_000 }

  it.each<[string, () => unknown, object]>([
    ['returns nothing', () => undefined, { as: 'done' }],
    ['returns a value', () => 7, { as: 'done', reply: 7 }],
    ['resolves with a value', async () => [{ a: null }], { as: 'done', reply: [{ a: null }] }],
    ['returns a thenable', () => thenable((f: (v: number) => void) => f(8)), { as: 'done', reply: 8 }],
    ['returns null', () => null, { as: 'done', reply: null }],
    ['returns retry(ms)', () => retry(50), { as: 'retry', delayMs: 50 }],
    ['resolves with retry(ms, why)', async () => retry(0, 'busy'), { as: 'retry', delayMs: 0, error: 'busy' }],
    ['returns retry()', () => retry(), { as: 'retry' }],
    ['returns release()', () => release(), { as: 'release' }],
    ['returns dead(why)', () => dead(new Error('gone')), { as: 'dead', reason: 'Error: gone' }],
    ['resolves with dead()', async () => dead(), { as: 'dead' }],
  ])('%s: the hub is told', async (_, handler, expected) => {
    const { settlement, failures } = await settlementOf(handler, requested)
    expect(settlement).toEqual({ ...base, ...expected })
    expect(failures).toEqual([])
  })

  it.each<[string, unknown, string]>([
    ['an error', new TypeError('no'), 'TypeError: no'],
    ['a word', 'no', 'no'],
    ['null', null, 'null'],
    ['what has no text', { toString: () => ({}) }, 'object'],
    ['a very long text', 'x'.repeat(5_000), 'x'.repeat(2_000)],
  ])('throws %s: a retry with its text, and it is told', async (_, thrown, text) => {
    const throws = () => {
      throw thrown
    }
    const unreadable = () => Object.defineProperty({}, 'then', { get: throws })
    for (const handler of [throws, async () => throws(), () => thenable(throws), unreadable]) {
      const { settlement, failures } = await settlementOf(handler)
      expect(settlement).toEqual({ ...base, as: 'retry', error: text })
      expect(failures).toEqual([{ id: '1', what: 'retry', error: thrown }])
    }
  })

  it('what it returns is the result; where nobody waits for it, what cannot travel is left out', async () => {
    expect((await settlementOf(() => 7)).settlement).toEqual({ ...base, as: 'done', reply: 7 })
    expect((await settlementOf(() => () => {})).settlement).toEqual({ ...base, as: 'done' })
  })

  it.each<[string, unknown]>([
    ['neither JSON nor binary', () => {}],
    ['larger than the hub takes', 'x'.repeat(300_000)],
  ])('a reply that is %s makes a dead letter at once, and is told', async (_, reply) => {
    const { settlement, failures } = await settlementOf(() => reply, requested)
    expect(settlement).toEqual({ ...base, as: 'dead', reason: expect.stringMatching(/^RepriseError/) })
    expect(failures).toMatchObject([{ what: 'dead', error: expect.any(RepriseError) }])
  })

  it('retry takes no impossible time', () => {
    for (const wrong of [-1, Number.NaN, Number.POSITIVE_INFINITY]) expect(() => retry(wrong)).toThrow('milliseconds')
  })

  it('a job shows what the hub sent, and no more', async () => {
    const full = jobOf('1', { key: 'k', headers: { a: 'b' }, replyBy: 9 })
    let seen: unknown
    await settlementOf((job) => {
      seen = { ...job }
    }, full)
    expect(seen).toEqual(full)
  })
})

describe('concurrency', () => {
  it('is never exceeded, and the next begins when one is finished, first in, first out', async () => {
    const hand = handlerByHand()
    const at = desk(hand.handler, { concurrency: 2 })
    expect(await at.start()).toMatchObject({ credit: 2 })
    await at.jobs('1', '2', '3', '4')
    expect(hand.begun).toEqual(['1', '2'])
    expect(at.worker.running).toBe(2)
    hand.call('2').finish()
    await pass()
    expect(hand.begun).toEqual(['1', '2', '3'])
    hand.call('1').fail(new Error('no'))
    await pass()
    expect([...hand.running]).toEqual(['3', '4'])
  })

  it('a job that comes twice under one lease is run once', async () => {
    const hand = handlerByHand()
    const at = desk(hand.handler, { concurrency: 9 })
    await at.start()
    await at.jobs('1', '1')
    await at.jobs('1')
    expect(hand.begun).toEqual(['1'])
  })

  it('a place is free again when its lease is lost', async () => {
    const hand = handlerByHand()
    const at = desk(hand.handler)
    await at.start()
    await at.jobs('1', '2')
    at.worker.lostJobs(['1'])
    expect(hand.begun).toEqual(['1', '2'])
    hand.call('1').fail(new Error('aborted'))
    await pass()
    expect(at.worker.running).toBe(1)
    expect(await at.waiting()).toEqual(['consume'])
  })

  it.each([0, 1.5, Number.NaN, '3'])('%s is refused at once', (concurrency) => {
    expect(() => desk(() => {}, { concurrency: concurrency as number })).toThrow('whole number')
  })

  it('a handler that is no function is refused at once', () => {
    expect(() => desk('work' as never)).toThrow('takes a function')
  })
})

describe('credit', () => {
  /** Jobs that take `handlerMs`, answers that take `travelMs`; the credits that were asked for. */
  async function credits(handlerMs: number, travelMs: number, concurrency: number) {
    const at = desk(() => (handlerMs === 0 ? undefined : new Promise((r) => setTimeout(r, handlerMs))), { concurrency })
    const asked = [(await at.start()).credit]
    for (let i = 0; i < 60; i++) {
      await at.jobs(...Array.from({ length: concurrency }, (_, n) => `${i}.${n}`))
      await pass(handlerMs)
      while ((await at.waiting()).includes('settle')) {
        const packets = [await at.next('settle')]
        while ((await at.waiting()).includes('settle')) packets.push(await at.next('settle'))
        await pass(travelMs)
        for (const { args, reply } of packets) reply((args[1] as unknown[]).map(() => 'ok'))
      }
      while ((await at.waiting()).includes('consume')) asked.push((await at.consuming()).credit)
    }
    return asked
  }

  it('grows for quick handlers, within bounds', async () => {
    const asked = await credits(0, 20, 2)
    expect(asked[0]).toBe(2)
    expect(asked.at(-1)).toBe(2 + 32 + 4 * 2)
  })

  it('is what a settlement’s travel lets finish', async () => {
    // Two travels of 20 ms in which two at a time take 10 ms each: eight more.
    expect((await credits(10, 20, 2)).at(-1)).toBe(10)
  })

  it('stays at the concurrency for slow handlers', async () => {
    expect(await credits(500, 10, 3)).toEqual([3])
  })

  it('changes at most every 200 ms', async () => {
    const asked = await credits(0, 1, 4)
    expect(asked.length).toBeLessThanOrEqual(2)
  })

  it('nothing is asked for while there is nothing to do', async () => {
    const at = desk(() => {})
    await at.start()
    const { made } = at
    await pass(3_600_000)
    expect(at.made).toBe(made)
  })
})

describe('a consume that is refused', () => {
  it.each(['forbidden', 'bad_request', 'unauthorized', 'taken_over'] as const)('with %s ends it', async (code) => {
    const at = desk(() => {})
    at.join()
    ;(await at.next('consume')).refuse(code)
    expect(await at.worker.ended).toMatchObject({ code, error: { code } })
    expect(at.worker.status).toMatchObject({ state: 'ended', reason: { code } })
    expect(at.detached).toBe(1)
    await pass(60_000)
    expect(await at.waiting()).toEqual([])
  })

  it('is asked again when it may pass, not before its time, and ever slower', async () => {
    const at = desk(() => {})
    at.join()
    ;(await at.next('consume')).refuse('too_many', 700)
    await pass(699)
    expect(await at.waiting()).toEqual([])
    await pass(101)
    ;(await at.next('consume')).refuse('unavailable')
    let tries = 0
    for (let i = 0; i < 600; i++) {
      await pass(100)
      if ((await at.waiting()).length === 0) continue
      tries++
      ;(await at.next('consume')).refuse('unavailable')
    }
    // A minute: about one each 2.5 s at the end.
    expect(tries).toBeGreaterThan(8)
    expect(tries).toBeLessThan(80)
    await pass(5_000)
    await at.consuming()
    expect(at.worker.status.state).toBe('working')
  })

  it('of an older connection is nothing to it', async () => {
    const at = desk(() => {})
    at.join()
    const old = await at.next('consume')
    at.join()
    old.refuse('forbidden')
    await at.consuming()
    expect(at.worker.status.state).toBe('working')
  })

  it('has its timer cleared by a lost connection', async () => {
    const at = desk(() => {})
    at.join()
    ;(await at.next('consume')).refuse('unavailable', 1_000)
    await pass()
    await at.cut()
    await pass(5_000)
    at.join()
    await at.consuming()
    await pass(10_000)
    expect(await at.waiting()).toEqual([])
  })
})

describe('settlements', () => {
  const many = (count: number) => Array.from({ length: count }, (_, i) => String(i))

  it('of one tick travel together, two packets at a time', async () => {
    const at = desk(() => {}, { concurrency: 10 })
    await at.start()
    await at.jobs(...many(5))
    const one = await at.next('settle')
    await at.jobs('a')
    const two = await at.next('settle')
    await at.jobs('b')
    await at.jobs('c')
    expect(await at.waiting()).toEqual([])
    expect([one, two].map(({ args }) => (args[1] as unknown[]).length)).toEqual([5, 1])
    one.reply(many(5).map(() => 'ok'))
    expect((await at.settle()).map(({ id }) => id)).toEqual(['b', 'c'])
  })

  it('are no more in a packet than the hub takes', async () => {
    const at = desk(() => {}, { concurrency: 10 })
    await at.start({ limits: { ...DEFAULT_LIMITS, batch: 3 } })
    await at.jobs(...many(8))
    const sizes = [await at.settle(), await at.settle(), await at.settle()].map(({ length }) => length)
    expect(sizes).toEqual([3, 3, 2])
  })

  it('have no more bytes in a packet than the hub takes', async () => {
    const at = desk(() => 'x'.repeat(10_000), { concurrency: 10 })
    await at.start({ limits: { payload: 20_000, batch: 1_000, packet: 50_000 } })
    await at.jobs(...many(6).map((id) => jobOf(id, { replyBy: 1 })))
    const packets = [await at.settle(), await at.settle(), await at.settle()]
    for (const packet of packets) expect(JSON.stringify(packet).length).toBeLessThan(50_000)
    expect(packets.flat().map(({ id }) => id)).toEqual(many(6))
  })

  it('are sent again after a refusal that may pass, when it is time', async () => {
    const at = desk(() => {})
    await at.start()
    await at.jobs('1')
    ;(await at.next('settle')).refuse('storage_full', 500)
    await pass(499)
    expect(await at.waiting()).toEqual([])
    await pass(101)
    expect(await at.settle()).toMatchObject([{ id: '1', as: 'done' }])
  })

  it('do not wait for their time when there is a new connection', async () => {
    const at = desk(() => {})
    await at.start()
    await at.jobs('1')
    ;(await at.next('settle')).refuse('unavailable', 5_000)
    await pass()
    await at.cut()
    at.join()
    expect(await at.settle()).toMatchObject([{ id: '1', as: 'done' }])
  })

  it('go one by one when a packet is refused for good; only the one at fault is told', async () => {
    const at = desk(() => {}, { concurrency: 10 })
    await at.start()
    await at.jobs('1', '2', '3')
    ;(await at.next('settle')).refuse('bad_request')
    for (let i = 0; i < 3; i++) {
      const settle = await at.next('settle')
      const [one, ...more] = settle.args[1] as { id: string }[]
      expect(more).toEqual([])
      if (one?.id === '2') settle.refuse('bad_request')
      else settle.reply(['ok'])
    }
    await pass(60_000)
    expect(await at.waiting()).toEqual([])
    expect(at.failures).toMatchObject([{ id: '2', what: 'lost', error: { code: 'bad_request' } }])
  })

  it('that came too late are told', async () => {
    const at = desk(() => {}, { concurrency: 2 })
    await at.start()
    await at.jobs('1', '2')
    await at.settle(['lost'])
    expect(at.failures).toMatchObject([{ id: '1', what: 'lost', error: { code: 'conflict' } }])
  })
})
