/** Acknowledging, taking over, positions that cannot be. No SDK. */

import { beforeAll, describe, expect, it } from 'vitest'
import type { Hub } from '../../../server/api.ts'
import type { Position } from '../../../shared/positions.ts'
import { join } from '../../support/clients/wire.ts'
import { startHub } from '../../support/hub/hub.ts'
import { until } from '../../support/until.ts'

let url: string
let hub: Hub
let number = 0
const nextTopic = () => `cursors-${++number}`

beforeAll(async () => {
  ;({ url, hub } = await startHub())
})

async function publish(topic: string, count: number): Promise<string> {
  const { epoch } = await hub.topic(topic).publishAll(Array.from({ length: count }, (_, data) => ({ data })))
  return epoch
}

describe('an acknowledgement', () => {
  it('is cumulative, never goes back, and says where the cursor is', async () => {
    const topic = nextTopic()
    const epoch = await publish(topic, 10)
    const wire = await join(url, topic, { client: 'c', from: 'start' })
    await wire.eventsSeen(10)
    expect(await wire.value('ack', { epoch, offset: 7 })).toEqual({ epoch, offset: 7 })
    expect(await wire.value('ack', { epoch, offset: 3 })).toEqual({ epoch, offset: 7 })
    expect(await wire.value('ack', { epoch, offset: 7 })).toEqual({ epoch, offset: 7 })
    expect(await wire.value('ack', { epoch, offset: 0 })).toEqual({ epoch, offset: 7 })
  })

  it('that cannot be is refused and changes nothing', async () => {
    const topic = nextTopic()
    const epoch = await publish(topic, 10)
    const wire = await join(url, topic, { client: 'c', from: 'start' })
    await wire.eventsSeen(10)
    await wire.value('ack', { epoch, offset: 4 })
    const cases = [
      [{ epoch, offset: 11 }, 'bad_request'],
      [{ epoch, offset: -1 }, 'bad_request'],
      [{ epoch, offset: 1.5 }, 'bad_request'],
      [{ epoch, offset: Number.MAX_SAFE_INTEGER }, 'bad_request'],
      [{ epoch: 'unknown', offset: 5 }, 'stale_epoch'],
      [{ offset: 5 }, 'bad_request'],
      [5, 'bad_request'],
      [null, 'bad_request'],
    ] as const
    for (const [position, code] of cases) {
      const reply = await wire.call('ack', position)
      expect(reply, JSON.stringify(position)).toMatchObject({ ok: false, error: { code } })
    }
    expect(await wire.value('ack', { epoch, offset: 0 })).toEqual({ epoch, offset: 4 })
    const nameless = await join(url, topic, { from: 'start' })
    expect(await nameless.call('ack', { epoch, offset: 5 })).toMatchObject({ error: { code: 'bad_request' } })
    const reader = await join(url, topic, { client: 'c', from: 'none' })
    expect(await reader.call('ack', { epoch, offset: 5 })).toMatchObject({ error: { code: 'bad_request' } })
  })

  it('that was kept back while the client was away counts for the session it comes with', async () => {
    const topic = nextTopic()
    const epoch = await publish(topic, 5)
    const first = await join(url, topic, { client: 'c', from: 'start' })
    await first.eventsSeen(5)
    first.socket.disconnect()
    const late = first.value<Position>('ack', { epoch, offset: 4 })
    first.socket.connect()
    expectOffset(await late, 4)
  })

  it('belongs to its topic and client', async () => {
    const [one, two] = [nextTopic(), nextTopic()]
    const epoch = await publish(one, 5)
    await publish(two, 5)
    const wire = await join(url, one, { client: 'c', from: 'start' })
    await wire.eventsSeen(5)
    await wire.value('ack', { epoch, offset: 5 })
    const elsewhere = await join(url, two, { client: 'c', from: 'start' })
    expect((await elsewhere.seen('subscribed')).position.offset).toBe(0)
    const other = await join(url, one, { client: 'd', from: 'start' })
    expect((await other.seen('subscribed')).position.offset).toBe(0)
  })
})

describe('a newer session of a client', () => {
  it('ends the older one, whose acknowledgements are fenced', async () => {
    const topic = nextTopic()
    const epoch = await publish(topic, 5)
    const older = await join(url, topic, { client: 'c', from: 'start' })
    await older.eventsSeen(5)
    const newer = await join(url, topic, { client: 'c' })
    await newer.seen('live')
    expect(await older.seen('error')).toMatchObject({ code: 'taken_over', retryable: false })
    expect(await older.disconnected).toBe('io server disconnect')
    expectOffset(await newer.value<Position>('ack', { epoch, offset: 2 }), 2)
  })

  it('takes over although the hub has not seen the older transport die', async () => {
    const topic = nextTopic()
    const epoch = await publish(topic, 5)
    const older = await join(url, topic, { client: 'c', from: 'start' }, { holdPages: true })
    await older.seen('events')
    // It stops without a word: nothing is read from its connection any more.
    const raw = older.socket.io.engine?.transport as unknown as { ws?: { _socket?: { pause(): void } } }
    raw.ws?._socket?.pause()
    const newer = await join(url, topic, { client: 'c' })
    expectOffset((await newer.seen('subscribed')).position, 0)
    await newer.eventsSeen(5)
    expectOffset(await newer.value<Position>('ack', { epoch, offset: 5 }), 5)
  })

  it('on the same connection by subscribe takes nothing from itself', async () => {
    const topic = nextTopic()
    const epoch = await publish(topic, 5)
    const wire = await join(url, topic, { client: 'c', from: 'start' })
    await wire.seen('live')
    for (let i = 0; i < 3; i++) await wire.value('subscribe', {})
    await wire.seen('subscribed', 4)
    // One that is started anew before it was live does not become live.
    const last = (name: string) => wire.packets.findLastIndex((packet) => packet.name === name)
    await until(() => last('live') > last('subscribed'), { what: 'the last one to be live' })
    expect(wire.all('error')).toEqual([])
    expectOffset(await wire.value<Position>('ack', { epoch, offset: 5 }), 5)
  })

  it('asked for before the last one is open takes nothing from itself: the last one counts', async () => {
    const topic = nextTopic()
    const epoch = await publish(topic, 5)
    for (let round = 0; round < 10; round++) {
      const wire = await join(url, topic, { client: `c${round}`, from: 'start' })
      const replies = await Promise.all([
        wire.call('subscribe', {}),
        wire.call('subscribe', {}),
        wire.call('subscribe', {}),
      ])
      expect(replies.at(-1)).toMatchObject({ ok: true, value: { position: { epoch } } })
      await wire.seen('live')
      expectOffset(await wire.value<Position>('ack', { epoch, offset: 5 }), 5)
      expect(wire.all('error')).toEqual([])
      wire.close()
    }
  })

  it('leaves publishers of the same name alone', async () => {
    const topic = nextTopic()
    const subscriber = await join(url, topic, { client: 'c' })
    await subscriber.seen('live')
    const publisher = await join(url, topic, { client: 'c', from: 'none' })
    await publisher.value('publish', [{ data: 1 }])
    await subscriber.eventsSeen(1)
    expect(subscriber.all('error')).toEqual([])
  })

  it('wins when many come at once: one is left, the others are told', async () => {
    const topic = nextTopic()
    const wires = await Promise.all(Array.from({ length: 10 }, () => join(url, topic, { client: 'c' })))
    await Promise.all(wires.slice(0, 10).map((wire) => Promise.race([wire.disconnected, wire.seen('live')])))
    await publish(topic, 1)
    const left = []
    for (const wire of wires) {
      if (wire.all('error').length === 0) left.push(wire)
      else expect(wire.all('error')[0]).toMatchObject({ code: 'taken_over' })
    }
    expect(left.length).toBe(1)
    await left[0]?.eventsSeen(1)
  })
})

describe('a position that cannot be', () => {
  it.each([
    [
      'of an unknown epoch',
      (_epoch: string) => ({ epoch: 'forged', offset: 3 }),
      { from: null, to: null, count: null },
      1,
    ],
    ['beyond the head', (epoch: string) => ({ epoch, offset: 12 }), { from: 6, to: 12, count: 7 }, 6],
  ])('%s gets a reset gap first, for this client alone', async (_what, forge, numbers, next) => {
    const topic = nextTopic()
    const epoch = await publish(topic, 5)
    const other = await join(url, topic, { client: 'honest', from: 'start' })
    await other.eventsSeen(5)
    const wire = await join(url, topic, { from: forge(epoch) })
    await wire.seen('live')
    expect(wire.packets.slice(0, 2).map(({ name }) => name)).toEqual(['subscribed', 'gap'])
    expect(wire.all('gap')).toEqual([{ epoch, ...numbers, reason: 'reset', position: { epoch, offset: next - 1 } }])
    await publish(topic, 1)
    await wire.eventsSeen(6 - next + 1)
    expect(wire.events()[0]?.offset).toBe(next)
    await other.eventsSeen(6)
    expect(other.packets.map(({ name }) => name)).toEqual(['subscribed', 'events', 'live', 'events'])
  })

  it('with a cursor goes on from the cursor', async () => {
    const topic = nextTopic()
    const epoch = await publish(topic, 5)
    const first = await join(url, topic, { client: 'c', from: 'start' })
    await first.eventsSeen(5)
    await first.value('ack', { epoch, offset: 3 })
    const wire = await join(url, topic, { client: 'c', from: { epoch: 'forged', offset: 2 } })
    await wire.seen('live')
    expect(wire.all('gap')).toMatchObject([{ from: null, reason: 'reset', position: { epoch, offset: 3 } }])
    expect(wire.events().map(({ offset }) => offset)).toEqual([4, 5])
  })

  it('beyond the head leaves the cursor of a new client at the head', async () => {
    const topic = nextTopic()
    const epoch = await publish(topic, 2)
    const eager = await join(url, topic, { client: 'eager', from: { epoch, offset: 9 } })
    await eager.seen('live')
    expect(eager.all('gap')).toMatchObject([{ from: 3, to: 9, reason: 'reset', position: { epoch, offset: 2 } }])
    eager.close()
    await publish(topic, 1)
    const again = await join(url, topic, { client: 'eager' })
    expect((await again.eventsSeen(1))[0]?.offset).toBe(3)
    expect(again.all('gap')).toEqual([])
  })

  it("ends the subscription with onGap: 'fail', after telling it", async () => {
    const topic = nextTopic()
    await publish(topic, 5)
    const wire = await join(url, topic, { from: { epoch: 'forged', offset: 3 }, onGap: 'fail' })
    expect(await wire.disconnected).toBe('io server disconnect')
    expect(wire.packets.map(({ name }) => name)).toEqual(['subscribed', 'gap', 'error'])
    expect(wire.all('error')[0]).toMatchObject({ code: 'gap' })
  })

  it("goes on live with onGap: 'end', after telling it", async () => {
    const topic = nextTopic()
    const epoch = await publish(topic, 5)
    const wire = await join(url, topic, { from: { epoch: 'forged', offset: 3 }, onGap: 'end' })
    await wire.seen('live')
    expect(wire.all('gap')).toMatchObject([{ reason: 'reset', position: { epoch, offset: 5 } }])
    expect(wire.events()).toEqual([])
  })
})

describe('events that retention removed', () => {
  it.each(['continue', 'end', 'fail'] as const)('are told as an exact gap, once, onGap: %s', async (onGap) => {
    const { url, hub } = await startHub({ topics: { '*': { retain: { events: 10 } } } })
    const topic = nextTopic()
    const publishAll = (count: number) =>
      hub.topic(topic).publishAll(Array.from({ length: count }, (_, data) => ({ data })))
    const { epoch } = await publishAll(5)
    const first = await join(url, topic, { client: 'c', from: 'start' })
    await first.eventsSeen(5)
    await first.value('ack', { epoch, offset: 5 })
    first.cut()
    await publishAll(25)
    const wire = await join(url, topic, { client: 'c', onGap })
    const gap = await wire.seen('gap')
    const position = { epoch, offset: onGap === 'end' ? 30 : 20 }
    expect(gap).toEqual({ epoch, from: 6, to: 20, count: 15, reason: 'trimmed', position })
    if (onGap === 'fail') {
      await wire.disconnected
      expect(wire.events()).toEqual([])
      return
    }
    await wire.seen('live')
    expect(wire.packets.map(({ name }) => name).slice(0, 2)).toEqual(['subscribed', 'gap'])
    expect(wire.events().map(({ offset }) => offset)).toEqual(
      onGap === 'end' ? [] : Array.from({ length: 10 }, (_, i) => 21 + i),
    )
    await wire.value('ack', gap.position)
    const again = await join(url, topic, { client: 'c' })
    await again.seen('live')
    expect(again.all('gap')).toEqual([])
  })
})

function expectOffset(position: Position, offset: number): void {
  expect(position.offset).toBe(offset)
}
