import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Acks } from '../../../client/topics/acks.ts'
import { RepriseError } from '../../../shared/errors.ts'
import type { Position } from '../../../shared/positions.ts'
import { errorOf } from '../../support/sdk/handles.ts'
import { seen, start, subscriber } from '../../support/sdk/subscriber.ts'
import { until } from '../../support/until.ts'

describe('acknowledging', () => {
  it('follows the handler, cumulative, one at a time', async () => {
    const { fake, got } = await subscriber({}, { client: 'me' })
    const guest = await fake.guest()
    guest.subscribed(start(0))
    guest.events('a', [1, 2, 3])
    const first = await fake.call('ack')
    expect(first.args).toEqual([start(3)])
    guest.events('a', [4])
    guest.events('a', [5])
    await seen(got, 5)
    expect(fake.waiting('ack')).toBe(0)
    first.reply(start(3))
    const second = await fake.call('ack')
    expect(second.args).toEqual([start(5)])
    second.reply(start(5))
  })

  it('is sent again after a reconnection, but not before the hub has opened the session', async () => {
    const { fake } = await subscriber({}, { client: 'me' })
    const first = await fake.guest()
    first.subscribed(start(0))
    first.events('a', [1])
    await fake.call('ack')
    first.cut()
    const second = await fake.guest()
    expect(fake.waiting('ack')).toBe(0)
    second.subscribed(start(1))
    expect((await fake.call('ack')).args).toEqual([start(1)])
  })

  it('covers a gap, so that it is not told twice', async () => {
    const { fake } = await subscriber({}, { client: 'me' })
    const guest = await fake.guest()
    guest.subscribed(start(0))
    guest.gap({ epoch: 'a', from: 1, to: 9, count: 9, reason: 'trimmed', position: start(9) })
    expect((await fake.call('ack')).args).toEqual([start(9)])
  })

  it('goes on before a position that the hub has refused', async () => {
    const { fake, sub, got } = await subscriber({ ack: 'manual' }, { client: 'me' })
    const guest = await fake.guest()
    guest.subscribed(start(0))
    guest.events('a', [1, 2, 3])
    await seen(got, 3)
    const wrong = errorOf(sub.ack(start(1_000)))
    const call = await fake.call('ack')
    const right = sub.ack(start(2))
    call.refuse('bad_request')
    expect(await wrong).toMatchObject({ code: 'bad_request' })
    const next = await fake.call('ack')
    expect(next.args).toEqual([start(2)])
    next.reply(start(2))
    expect(await right).toEqual(start(2))
    const later = sub.ack(start(3))
    const last = await fake.call('ack')
    expect(last.args).toEqual([start(3)])
    last.reply(start(3))
    expect(await later).toEqual(start(3))
  })

  it('does not happen without a client', async () => {
    const { fake, sub, got } = await subscriber()
    const guest = await fake.guest()
    guest.subscribed(start(0))
    guest.events('a', [1])
    await seen(got, 1)
    expect(await errorOf(sub.ack(start(1)))).toMatchObject({ code: 'bad_request' })
    await sub.close()
    expect(fake.waiting('ack')).toBe(0)
  })

  it('is the program’s with manual, and answers with the cursor', async () => {
    const { fake, sub, got } = await subscriber({ ack: 'manual' }, { client: 'me' })
    const guest = await fake.guest()
    guest.subscribed(start(0))
    guest.events('a', [1, 2, 3])
    await seen(got, 3)
    expect(fake.waiting('ack')).toBe(0)
    const answers = Promise.all([sub.ack(start(1)), sub.ack({ epoch: 'a', offset: 2 })])
    const call = await fake.call('ack')
    expect(call.args).toEqual([start(2)])
    call.reply(start(2))
    expect(await answers).toEqual([start(2), start(2)])
  })

  it('is answered although one as far is on its way already', async () => {
    const { fake, sub, got } = await subscriber({ ack: 'manual' }, { client: 'me' })
    const guest = await fake.guest()
    guest.subscribed(start(0))
    guest.events('a', [1, 2])
    await seen(got, 2)
    const first = sub.ack(start(2))
    const call = await fake.call('ack')
    const late = Promise.all([sub.ack(start(2)), sub.ack(start(1))])
    call.reply(start(2))
    expect(await first).toEqual(start(2))
    const again = await fake.call('ack')
    again.reply(start(2))
    expect(await late).toEqual([start(2), start(2)])
    await sub.close()
  })

  it('survives a stale position, and tries again when the hub is away for a moment', async () => {
    const { fake, sub } = await subscriber({ ack: 'manual' }, { client: 'me' })
    const guest = await fake.guest()
    guest.subscribed(start(0))
    const stale = errorOf(sub.ack(start(1, 'old')))
    ;(await fake.call('ack')).refuse('stale_epoch')
    expect(await stale).toMatchObject({ code: 'stale_epoch' })
    const kept = sub.ack(start(2))
    ;(await fake.call('ack')).refuse('unavailable', 1)
    ;(await fake.call('ack')).reply(start(2))
    expect(await kept).toEqual(start(2))
  })

  it('ends the subscription when another one has taken over', async () => {
    const { fake, sub } = await subscriber({}, { client: 'me' })
    const guest = await fake.guest()
    guest.subscribed(start(0))
    guest.events('a', [1])
    ;(await fake.call('ack')).refuse('taken_over')
    expect(await sub.ended).toMatchObject({ code: 'taken_over' })
  })
})

describe('the pause before an acknowledgement', () => {
  /** Sends of a hub that answers at once, each with its time. */
  let sent: { offset: number; at: number }[]
  let acks: Acks

  beforeEach(() => {
    vi.useFakeTimers()
    sent = []
    acks = new Acks({
      connected: () => true,
      send: async (position: Position) => {
        sent.push({ offset: position.offset, at: Date.now() })
        return position
      },
      forgotten: () => {},
      refused: () => {},
    })
  })

  afterEach(() => {
    vi.useRealTimers()
  })

  /** Handles this many events, one each `everyMs`, and answers the acknowledgements that were sent meanwhile. */
  async function handle(count: number, everyMs: number): Promise<typeof sent> {
    const before = sent.length
    const first = (sent.at(-1)?.offset ?? 0) + 1
    for (let i = 0; i < count; i++) {
      acks.move(start(first + i))
      await vi.advanceTimersByTimeAsync(everyMs)
    }
    return sent.slice(before)
  }

  it('is 50 ms for an event that comes alone', async () => {
    const began = Date.now()
    await handle(2, 1_000)
    expect(sent).toEqual([
      { offset: 1, at: began + 50 },
      { offset: 2, at: began + 1_050 },
    ])
  })

  it('grows up to a second while events keep coming, and is short again when they come seldom', async () => {
    const dense = await handle(400, 25)
    expect(dense.length).toBeLessThan(16)
    const pauses = dense.slice(1).map(({ at }, i) => at - (dense[i]?.at ?? 0))
    expect(Math.max(...pauses)).toBeLessThanOrEqual(1_025)
    expect(pauses.at(-1)).toBeGreaterThanOrEqual(1_000)
    await vi.advanceTimersByTimeAsync(1_000)
    expect(sent.at(-1)?.offset).toBe(400)
    await handle(2, 1_000)
    expect(await handle(3, 400)).toHaveLength(3)
  })

  it('is left out where the program asks, on close and at the end of a catch-up', async () => {
    await handle(100, 25)
    const before = sent.length
    acks.move(start(1_000))
    void acks.flush()
    expect(sent).toHaveLength(before + 1)
    acks.move(start(1_001))
    const asked = Promise.all([acks.ack(start(1_002)), acks.ack(start(1_003))])
    await vi.advanceTimersByTimeAsync(1)
    expect(await asked).toEqual([start(1_003), start(1_003)])
    expect(sent).toHaveLength(before + 2)
  })

  it('is none at the end: what is in flight rejects, and nothing is sent or waited for any more', async () => {
    let refuse: (error: RepriseError) => void = () => {}
    const inFlight = new Acks({
      connected: () => true,
      send: () => new Promise((_, reject) => (refuse = reject)),
      forgotten: () => {},
      refused: () => {},
    })
    const asked = errorOf(inFlight.ack(start(1)))
    await vi.advanceTimersByTimeAsync(0)
    inFlight.close(new RepriseError('unavailable', 'over'))
    expect(await asked).toMatchObject({ code: 'unavailable', message: 'over' })
    refuse(new RepriseError('unavailable', 'the hub is away'))
    await vi.advanceTimersByTimeAsync(0)
    expect(vi.getTimerCount()).toBe(0)
  })

  it('is there again behind a catch-up, however long the answers take', async () => {
    const answers: (() => void)[] = []
    const slow = new Acks({
      connected: () => true,
      send: (position) => new Promise((resolve) => answers.push(() => resolve(position))),
      forgotten: () => {},
      refused: () => {},
    })
    slow.move(start(100))
    let flushed = 0
    void slow.flush().then(() => flushed++)
    slow.move(start(101))
    void slow.flush().then(() => flushed++)
    for (let offset = 102; offset < 110; offset++) {
      slow.move(start(offset))
      answers.at(-1)?.()
      await vi.advanceTimersByTimeAsync(1)
    }
    expect(flushed).toBe(2)
    expect(answers).toHaveLength(2)
    slow.close(new RepriseError('unavailable', 'over'))
  })

  it('ends when the subscription has caught up', async () => {
    vi.useRealTimers()
    const { fake } = await subscriber({}, { client: 'me' })
    const guest = await fake.guest()
    // None of them fires.
    vi.useFakeTimers({ toFake: ['setTimeout'] })
    guest.subscribed(start(0), 2)
    guest.events('a', [1, 2])
    guest.live(2)
    const ack = await fake.call('ack')
    expect(ack.args).toEqual([start(2)])
    ack.reply(start(2))
  })
})

describe('a handler that fails', () => {
  const quick = { retry: { baseMs: 1, maxMs: 2 } }

  it('is called again, and the events behind wait', async () => {
    let failures = 2
    const { fake, sub, got } = await subscriber(quick, {}, () => {
      if (failures-- > 0) throw new Error('not yet')
    })
    const errors: unknown[] = []
    sub.onError(({ attempts, then, event }) => errors.push([event.offset, attempts, then]))
    const guest = await fake.guest()
    guest.subscribed(start(0))
    guest.events('a', [1, 2])
    await seen(got, 4)
    expect(got).toEqual([1, 1, 1, 2])
    expect(errors).toEqual([
      [1, 1, 'retry'],
      [1, 2, 'retry'],
    ])
  })

  it('fails too where what it returns cannot be looked at', async () => {
    const broken = new Error('a broken getter')
    const get = () => {
      throw broken
    }
    const { fake, sub } = await subscriber({ maxAttempts: 1 }, {}, () => Object.defineProperty({}, 'then', { get }))
    const guest = await fake.guest()
    guest.subscribed(start(0))
    guest.events('a', [1])
    expect(await sub.ended).toMatchObject({ code: 'handler_failed', error: broken })
  })

  it('ends the subscription before its event after the last attempt, having acknowledged what came before', async () => {
    const { fake, sub, got } = await subscriber({ ...quick, maxAttempts: 3 }, { client: 'me' }, (event) =>
      event.offset === 2 ? Promise.reject(new Error('no')) : undefined,
    )
    const guest = await fake.guest()
    guest.subscribed(start(0))
    guest.events('a', [1, 2, 3])
    const ack = await fake.call('ack')
    expect(ack.args).toEqual([start(1)])
    ack.reply(start(1))
    expect(await sub.ended).toMatchObject({
      code: 'handler_failed',
      position: start(2),
      error: expect.objectContaining({ message: 'no' }),
    })
    expect(got).toEqual([1, 2, 2, 2])
    expect(sub.position).toEqual(start(1))
    expect(sub.status.state).toBe('ended')
    await guest.left
  })

  it('is passed over with skip, visibly', async () => {
    const { fake, sub, got } = await subscriber(
      { ...quick, maxAttempts: 2, onFailure: 'skip', concurrency: 2 },
      {},
      (event) => (event.offset === 2 ? Promise.reject(new Error('no')) : undefined),
    )
    const fates: string[] = []
    sub.onError(({ then }) => fates.push(then))
    const guest = await fake.guest()
    guest.subscribed(start(0))
    guest.events('a', [1, 2, 3])
    await until(() => sub.position?.offset === 3)
    expect(got.filter((offset) => offset === 2)).toHaveLength(2)
    expect(fates).toEqual(['retry', 'skip'])
  })
})
