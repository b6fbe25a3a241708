import { describe, expect, it, vi } from 'vitest'
import { Asking } from '../../../client/connection/retryingCall.ts'
import { RepriseError } from '../../../shared/errors.ts'
import { DEFAULT_LIMITS } from '../../../shared/protocol.ts'
import type { JobDraft } from '../../../shared/queues.ts'
import { type Call, type FakeHub, type Guest, startFakeHub } from '../../support/sdk/fakeHub.ts'
import { errorOf, open } from '../../support/sdk/handles.ts'
import { jobOf } from '../../support/sdk/workerDesk.ts'
import { until } from '../../support/until.ts'

async function sender(options = {}) {
  const fake = await startFakeHub()
  fake.answer('cancel', null)
  const hub = open(fake.url, options)
  return { fake, hub, queue: hub.queue('q') }
}

const sent = (call: Call, ...ids: string[]) => call.reply({ ids, duplicates: 0, durability: 'fsync' })

/** Answers a worker's consume. */
async function consuming(fake: FakeHub, limits = DEFAULT_LIMITS) {
  const call = await fake.call('consume')
  const [queue, { credit }] = call.args as [string, { credit: number }]
  call.reply({ queue, credit, leaseMs: 30_000, limits, held: [] })
  return call.args
}

/** A second handle’s guest, after which nothing of the first is on its way any more. */
async function joined(fake: FakeHub, count: number): Promise<Guest[]> {
  const guests: Guest[] = []
  while (guests.length < count) guests.push(await fake.guest())
  return guests
}

describe('send', () => {
  it('tells ids and durability; one tick is one packet', async () => {
    const { fake, queue } = await sender()
    const receipts = Promise.all([queue.send(1), queue.send(2, { key: 'k', priority: 9, delayMs: 5, ttlMs: 6 })])
    const call = await fake.call('send')
    expect(call.args.slice(0, 2)).toEqual([
      'q',
      [{ data: 1 }, { data: 2, key: 'k', priority: 9, delayMs: 5, ttlMs: 6 }],
    ])
    sent(call, 'a', 'b')
    expect(await receipts).toEqual([
      { id: 'a', durability: 'fsync' },
      { id: 'b', durability: 'fsync' },
    ])
  })

  it('after a lost reply goes again under the same number', async () => {
    const { fake, queue } = await sender()
    const receipt = queue.send('x', { id: 'mine' })
    const first = await fake.call('send')
    ;(await fake.guest()).cut()
    const second = await fake.call('send')
    expect(second.args).toEqual(first.args)
    expect(second.args[2]).toEqual({ producer: expect.any(String), seq: 1 })
    sent(second, 'mine')
    expect(await receipt).toMatchObject({ id: 'mine' })
  })

  it('takes no header that Socket.IO would leave out beside binary', async () => {
    const { queue } = await sender()
    const headers = JSON.parse('{"__proto__":"x"}')
    expect(await errorOf(queue.send(new Uint8Array(1), { headers }))).toMatchObject({ code: 'bad_request' })
  })

  it('of a full queue waits for room', async () => {
    const { fake, queue } = await sender()
    const receipt = queue.send(1)
    ;(await fake.call('send')).refuse('too_many', 20)
    sent(await fake.call('send'), 'a')
    expect(await receipt).toMatchObject({ id: 'a' })
  })

  it('in a refused packet costs the others nothing', async () => {
    const { fake, queue } = await sender()
    const outcomes = [queue.send('good'), queue.send('bad'), queue.send('good')].map((one) => errorOf(one))
    ;(await fake.call('send')).refuse('bad_request')
    for (let answered = 0; answered < 2; ) {
      const call = await fake.call('send')
      const drafts = call.args[1] as JobDraft[]
      if (drafts.some(({ data }) => data === 'bad')) call.refuse('bad_request')
      else {
        answered += drafts.length
        sent(call, ...drafts.map(() => 'id'))
      }
    }
    expect(await Promise.all(outcomes)).toEqual([
      undefined,
      expect.objectContaining({ code: 'bad_request' }),
      undefined,
    ])
  })

  it('is no larger than the hub has said', async () => {
    const { fake, queue } = await sender()
    const worker = queue.consume(() => {})
    await consuming(fake, { payload: 30_000, batch: 2, packet: 50_000 })
    await until(() => worker.status.state === 'working')
    expect(await errorOf(queue.send('x'.repeat(30_000)))).toMatchObject({ code: 'too_large' })
    const sending = Array.from({ length: 3 }, () => errorOf(queue.send(1)))
    expect(((await fake.call('send')).args[1] as unknown[]).length).toBe(2)
    for (let i = 0; i < 2; i++) sending.push(errorOf(queue.send('x'.repeat(20_000))))
    await fake.call('send')
    for (const call of [await fake.call('send'), await fake.call('send')]) {
      expect(JSON.stringify(call.args).length).toBeLessThan(50_000)
    }
  })

  it.each([
    [{ priority: Number.NaN }, 'priority'],
    [{ at: 'soon' as never }, 'at'],
    [{ key: '' }, 'key'],
    [{ headers: { a: 1 } as never }, 'headers'],
  ])('%j is refused before it travels', async (options, word) => {
    const { fake, queue } = await sender()
    expect(await errorOf(queue.send(1, options))).toMatchObject({
      code: 'bad_request',
      message: expect.stringContaining(word),
    })
    expect(fake.opened).toBe(0)
  })

  it('is refused for good: everything that waits hears it', async () => {
    const { fake, queue } = await sender()
    fake.refuse('forbidden')
    const outcomes = [queue.send(1), queue.request(2), queue.remove('3')].map((one) => errorOf(one))
    for (const error of await Promise.all(outcomes)) expect(error).toMatchObject({ code: 'forbidden' })
  })

  it('is not ended by what ends workers', async () => {
    const { fake, queue } = await sender()
    const worker = queue.consume(() => {})
    await consuming(fake)
    const outcomes = [queue.send(1), queue.request(2)]
    await fake.call('send')
    await fake.call('request')
    ;(await fake.guest()).end('taken_over')
    expect(await worker.ended).toMatchObject({ code: 'taken_over' })
    sent(await fake.call('send'), 'a')
    ;(await fake.call('request')).reply('answer')
    expect(await Promise.all(outcomes)).toEqual([{ id: 'a', durability: 'fsync' }, 'answer'])
    expect(fake.waiting('consume')).toBe(0)
  })
})

describe('request', () => {
  it('resolves with the reply, and asks for what time it has', async () => {
    const { fake, queue } = await sender()
    const answer = queue.request({ n: 1 }, { timeoutMs: 5_000, headers: { a: 'b' } })
    const call = await fake.call('request')
    const [name, draft, { timeoutMs }] = call.args as [string, JobDraft, { timeoutMs: number }]
    expect([name, draft]).toEqual(['q', { data: { n: 1 }, headers: { a: 'b' }, id: expect.any(String) }])
    expect(timeoutMs).toBeGreaterThan(3_000)
    expect(timeoutMs).toBeLessThanOrEqual(5_000)
    call.reply([2])
    expect(await answer).toEqual([2])
  })

  it('after a lost reply asks again for the same, with the time that is left', async () => {
    const { fake, queue } = await sender()
    const answer = queue.request('x')
    const first = await fake.call('request')
    ;(await fake.guest()).cut()
    const second = await fake.call('request')
    expect(second.args[1]).toEqual(first.args[1])
    const left = ({ args }: Call) => (args[2] as { timeoutMs: number }).timeoutMs
    expect(left(second)).toBeLessThan(left(first))
    second.refuse('unavailable')
    ;(await fake.call('request')).reply(null)
    expect(await answer).toBeNull()
  })

  it.each(['failed', 'timeout', 'forbidden', 'too_large'] as const)('rejects with %s, once', async (code) => {
    const { fake, queue } = await sender()
    const outcome = errorOf(queue.request('x'))
    ;(await fake.call('request')).refuse(code)
    expect(await outcome).toMatchObject({ code })
    expect(fake.waiting('request')).toBe(0)
  })

  it('rejects with timeout when the hub says nothing, or is not there', async () => {
    const { fake, hub, queue } = await sender()
    const first = queue.request('x')
    ;(await fake.call('request')).reply(1)
    await first
    const silent = errorOf(queue.request('x', { timeoutMs: 30 }))
    await fake.call('request')
    expect(await silent).toMatchObject({ code: 'timeout' })
    hub.suspend()
    expect(await errorOf(queue.request('x', { timeoutMs: 30 }))).toMatchObject({ code: 'timeout' })
  })

  it('rejects when the handle is closed', async () => {
    const { fake, queue } = await sender()
    const outcome = errorOf(queue.request('x'))
    await fake.call('request')
    await queue.close()
    expect(await outcome).toMatchObject({ code: 'unavailable' })
    expect(await errorOf(queue.request('x'))).toMatchObject({ code: 'unavailable' })
    expect(await errorOf(queue.send('x'))).toMatchObject({ code: 'unavailable' })
    expect(() => queue.consume(() => {})).toThrow('closed')
  })

  it('leaves no timer behind when its time is up', async () => {
    vi.useFakeTimers()
    try {
      const full = new RepriseError('too_many', 'full', { retryAfterMs: 60_000 })
      const answer = errorOf(new Asking(async () => {}).ask(20, () => Promise.reject(full)))
      await vi.advanceTimersByTimeAsync(20)
      expect(await answer).toMatchObject({ code: 'timeout' })
      expect(vi.getTimerCount()).toBe(0)
    } finally {
      vi.useRealTimers()
    }
  })

  it.each([0, -1, Number.NaN])('a time of %s is refused', async (timeoutMs) => {
    const { queue } = await sender()
    expect(await errorOf(queue.request('x', { timeoutMs }))).toMatchObject({ code: 'bad_request' })
  })
})

describe('remove', () => {
  it('says whether the job is gone', async () => {
    const { fake, queue } = await sender()
    for (const removed of [true, false]) {
      const outcome = queue.remove('1')
      const call = await fake.call('remove')
      expect(call.args).toEqual(['q', '1'])
      call.reply(removed)
      expect(await outcome).toBe(removed)
    }
  })

  it('after a lost reply does not claim that there was nothing', async () => {
    const { fake, queue } = await sender()
    const outcome = errorOf(queue.remove('1'))
    await fake.call('remove')
    ;(await fake.guest()).cut()
    ;(await fake.call('remove')).reply(false)
    expect(await outcome).toMatchObject({ code: 'conflict', message: expect.stringContaining('unknown') })
  })
})

describe('a worker on a connection', () => {
  it('is ended alone by a newer one; another queue’s goes on, and what is sent, too', async () => {
    const { fake, hub, queue } = await sender()
    const [one, two] = [queue.consume(() => {}), hub.queue('other').consume(({ data }) => data)]
    const guest = await fake.guest()
    for (const _ of [one, two]) await consuming(fake)
    guest.send('error', { code: 'taken_over', message: 'a newer one', retryable: false, queue: 'q' })
    expect(await one.ended).toMatchObject({ code: 'taken_over', error: { message: 'a newer one' } })
    guest.send('jobs', 'other', [jobOf('1')])
    const settle = await fake.call('settle')
    expect(settle.args[0]).toBe('other')
    settle.reply(['ok'])
    const receipt = queue.send(1)
    const call = await fake.call('send')
    // The hub disconnects after the last one; what waits goes on afterwards.
    guest.send('error', { code: 'taken_over', message: 'a newer one', retryable: false, queue: 'other' })
    guest.disconnect()
    expect(await two.ended).toMatchObject({ code: 'taken_over' })
    const again = await fake.call('send')
    expect(again.args).toEqual(call.args)
    expect(fake.waiting('consume')).toBe(0)
    sent(again, 'a')
    expect(await receipt).toMatchObject({ id: 'a' })
  })

  it('says under which name it holds jobs: the client, or one of its own, the same after a blink', async () => {
    const { fake, queue } = await sender({ client: 'printer' })
    queue.consume(() => {})
    expect((await fake.guest()).auth).toMatchObject({ client: 'printer', protocol: 1 })
    const other = await sender()
    other.queue.consume(() => {})
    const first = await other.fake.guest()
    first.cut()
    const second = await other.fake.guest()
    expect(first.auth.client).toMatch(/.{8,}/)
    expect(second.auth.client).toBe(first.auth.client)
  })

  it('works and settles; jobs of a queue without a worker are nobody’s', async () => {
    const { fake, queue } = await sender()
    queue.consume(({ data }) => data)
    const guest = await fake.guest()
    await consuming(fake)
    guest.send('jobs', 'other', [jobOf('0')])
    guest.send('jobs', 'q', [jobOf('1', { replyBy: 1 })])
    const settle = await fake.call('settle')
    expect(settle.args).toEqual(['q', [{ id: '1', lease: 'lease of 1', as: 'done', reply: '1' }]])
    settle.reply(['ok'])
  })

  it('keeps its job through a cut, and tells what it settled meanwhile', async () => {
    const { fake, hub, queue } = await sender()
    let finish: () => void = () => {}
    const worked = new Promise<void>((resolve) => {
      finish = resolve
    })
    const worker = queue.consume(() => worked)
    const guest = await fake.guest()
    await consuming(fake)
    guest.send('jobs', 'q', [jobOf('1')])
    await until(() => worker.running === 1)
    hub.suspend()
    await guest.left
    finish()
    hub.resume()
    const again = await fake.call('consume')
    expect(again.args[1]).toMatchObject({ holding: ['lease of 1'] })
    again.reply({ queue: 'q', credit: 1, leaseMs: 30_000, limits: DEFAULT_LIMITS, held: [] })
    const settle = await fake.call('settle')
    expect(settle.args[1]).toMatchObject([{ id: '1', as: 'done' }])
    settle.reply(['ok'])
  })

  it('is told of leases that are lost', async () => {
    const { fake, queue } = await sender()
    let signal: AbortSignal | undefined
    queue.consume((job) => {
      signal = job.signal
      return new Promise(() => {})
    })
    const guest = await fake.guest()
    await consuming(fake)
    guest.send('jobs', 'q', [jobOf('1')])
    await until(() => signal)
    guest.send('lost', 'q', ['1'])
    await until(() => signal?.aborted)
  })

  it('the second of a queue has a connection and a name of its own, and both are gone after close', async () => {
    const { fake, hub, queue } = await sender({ client: 'printer' })
    const workers = [queue.consume(() => {}), queue.consume(() => {})]
    const names = (await joined(fake, 2)).map(({ auth }) => auth.client)
    expect(names).toContain('printer')
    expect(new Set(names).size).toBe(2)
    for (const _ of workers) await consuming(fake)
    await until(() => workers.every(({ status }) => status.state === 'working'))
    await hub.close()
    await until(() => fake.transports === 0)
  })

  it('that is refused for good is over, and a new one can begin in its place', async () => {
    const { fake, queue } = await sender()
    const first = queue.consume(() => {})
    ;(await fake.call('consume')).refuse('forbidden')
    expect(await first.ended).toMatchObject({ code: 'forbidden' })
    const second = queue.consume(() => {})
    await consuming(fake)
    await until(() => second.status.state === 'working')
  })

  it('can be closed again and again, and by a listener of what closes', async () => {
    const { hub, queue } = await sender()
    const worker = queue.consume(() => {})
    const closings: Promise<void>[] = []
    worker.onStatus(() => void closings.push(worker.close(), queue.close(), hub.close()))
    await hub.close()
    await Promise.all(closings)
    expect(await worker.ended).toEqual({ code: 'closed' })
  })
})
