/** A client that was away gets exactly what it missed, in order, then what is new, with no seam. No SDK. */

import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { beforeAll, describe, expect, it } from 'vitest'
import type { Hub } from '../../../server/api.ts'
import type { Position } from '../../../shared/positions.ts'
import type { Event, Published } from '../../../shared/protocol.ts'
import { join, type Wire } from '../../support/clients/wire.ts'
import { startHub } from '../../support/hub/hub.ts'
import { until } from '../../support/until.ts'

let url: string
let hub: Hub
let number = 0
const nextTopic = () => `replay-${++number}`

beforeAll(async () => {
  ;({ url, hub } = await startHub())
})

async function publish(topic: string, count: number, from = 0): Promise<void> {
  for (let i = 0; i < count; i += 1_000) {
    const drafts = Array.from({ length: Math.min(1_000, count - i) }, (_, n) => ({ data: from + i + n }))
    await hub.topic(topic).publishAll(drafts)
  }
}

function expectDense(events: readonly Event[], first: number, last: number): void {
  const wrong = events.findIndex((event, index) => event.offset !== first + index)
  expect(wrong === -1 ? 'dense' : `index ${wrong} has offset ${events[wrong]?.offset}`).toBe('dense')
  expect(events.length).toBe(last - first + 1)
}

const modes = [
  { transports: ['websocket'], paced: true },
  { transports: ['websocket'], paced: false },
  { transports: ['polling'], paced: true },
  { transports: ['polling'], paced: false },
] as const

describe.each(modes)('a client over $transports, paced: $paced', ({ transports, paced }) => {
  it.each([0, 1, 300, 1_001])('that was away while %i events came gets them, then live ones', async (missed) => {
    const topic = nextTopic()
    const auth = { client: 'c', paced }
    const before = await join(url, topic, auth, { transports })
    await before.seen('live')
    await publish(topic, 2)
    const seen = await before.eventsSeen(2)
    const epoch = before.all('events').at(-1)?.epoch ?? ''
    await before.value('ack', { epoch, offset: seen.at(-1)?.offset })
    before.cut()
    await publish(topic, missed, 2)
    const after = await join(url, topic, auth, { transports })
    expect(await after.seen('subscribed')).toMatchObject({ position: { epoch, offset: 2 }, behind: missed })
    await after.seen('live')
    expectDense(after.events(), 3, missed + 2)
    await publish(topic, 3, missed + 2)
    expectDense(await after.eventsSeen(missed + 3), 3, missed + 5)
    expect(after.packets[0]?.name).toBe('subscribed')
    expect(after.all('gap')).toEqual([])
    expect(after.events().map(({ data }) => data)).toEqual(Array.from({ length: missed + 3 }, (_, i) => i + 2))
  })

  it('catches up while publishing goes on at full rate', async () => {
    const topic = nextTopic()
    await publish(topic, 3_000)
    let going = true
    let published = 3_000
    const publisher = (async () => {
      while (going && published < 60_000) {
        await hub.topic(topic).publishAll(Array.from({ length: 100 }, () => ({ data: published++ })))
      }
    })()
    const wire = await join(url, topic, { from: 'start', paced }, { transports })
    await wire.seen('live', 1, 20_000)
    going = false
    await publisher
    expectDense(await wire.eventsSeen(published, 20_000), 1, published)
    expect(wire.events().every(({ data, offset }) => data === offset - 1)).toBe(true)
  })
})

describe('a subscription', () => {
  it('replays 40,000 events in order', async () => {
    const topic = nextTopic()
    await publish(topic, 40_000)
    const wire = await join(url, topic, { from: 'start', paced: true })
    expectDense(await wire.eventsSeen(40_000, 30_000), 1, 40_000)
    await wire.seen('live')
  })

  it('works in a session that never received anything', async () => {
    const topic = nextTopic()
    const first = await join(url, topic, { client: 'quiet' })
    expect(await first.seen('subscribed')).toMatchObject({ position: { offset: 0 }, first: 1, last: 0, behind: 0 })
    await first.seen('live')
    first.cut()
    await publish(topic, 5)
    const second = await join(url, topic, { client: 'quiet' })
    await second.seen('live')
    expectDense(second.events(), 1, 5)
    expect(second.all('gap')).toEqual([])
  })

  it('with the position as last heard of, and no client, misses nothing over several drops', async () => {
    const topic = nextTopic()
    let position: Position | undefined
    let total = 0
    for (let round = 0; round < 6; round++) {
      const wire: Wire = await join(url, topic, position === undefined ? { from: 'end' } : { from: position })
      const { position: start } = await wire.seen('subscribed')
      position ??= start
      await wire.seen('live')
      expectDense(wire.events(), position.offset + 1, total)
      if (round % 2 === 0) {
        await publish(topic, 3, total)
        total += 3
        await wire.eventsSeen(total - position.offset)
      }
      const last = wire.all('events').at(-1)
      if (last !== undefined) position = { epoch: last.epoch, offset: last.events.at(-1)?.offset ?? 0 }
      wire.cut()
      if (round % 3 === 0) {
        await publish(topic, 2, total)
        total += 2
      }
    }
  })

  it('gets nothing twice after several drops with no traffic between', async () => {
    const topic = nextTopic()
    await publish(topic, 10)
    let wire = await join(url, topic, { client: 'c', from: 'start' })
    const events = await wire.eventsSeen(10)
    await wire.value('ack', { epoch: wire.all('events')[0]?.epoch, offset: events.at(-1)?.offset })
    for (let i = 0; i < 4; i++) {
      wire.cut()
      wire = await join(url, topic, { client: 'c' })
      await wire.seen('live')
      expect(wire.events()).toEqual([])
      expect(wire.all('gap')).toEqual([])
    }
  })

  it('starts where from says', async () => {
    const topic = nextTopic()
    await publish(topic, 10)
    const writer = await join(url, topic, { from: 'none' })
    const { events, epoch } = await writer.value<{ events: Event[]; epoch: string }>('read', {})
    const cases = [
      [{ from: 'start' }, 1],
      [{ from: 'end' }, 11],
      [{}, 11],
      [{ from: { last: 3 } }, 8],
      [{ from: { last: 0 } }, 11],
      [{ from: { last: 99 } }, 1],
      [{ from: { epoch, offset: 4 } }, 5],
      [{ from: { epoch, offset: 0 } }, 1],
      [{ from: { at: 0 } }, 1],
      [{ from: { at: (events[0]?.at ?? 0) + 60_000 } }, 11],
    ] as const
    for (const [auth, first] of cases) {
      const wire = await join(url, topic, auth)
      const subscribed = await wire.seen('subscribed')
      expect(subscribed, JSON.stringify(auth)).toMatchObject({ topic, epoch, first: 1, last: 10, behind: 11 - first })
      await wire.seen('live')
      expectDense(wire.events(), first, 10)
      wire.close()
    }
  })

  it('with a cursor takes the words for a new cursor only, a position when it is further', async () => {
    const topic = nextTopic()
    await publish(topic, 10)
    const first = await join(url, topic, { client: 'c', from: { last: 6 } })
    await first.eventsSeen(6)
    const { epoch } = await first.value<Position>('ack', { epoch: first.all('events')[0]?.epoch, offset: 6 })
    const starts = [
      ['start', 6],
      ['end', 6],
      [{ epoch, offset: 2 }, 6],
      [{ epoch, offset: 8 }, 8],
      [{ at: 0 }, 6],
    ] as const
    for (const [from, offset] of starts) {
      const wire = await join(url, topic, { client: 'c', from })
      expect((await wire.seen('subscribed')).position, JSON.stringify(from)).toEqual({ epoch, offset })
    }
    const back = await join(url, topic, { client: 'c' })
    await back.seen('live')
    const again = await back.value<{ position: Position }>('subscribe', { from: 'start' })
    expect(again.position).toEqual({ epoch, offset: 0 })
    await back.eventsSeen(4 + 10)
    expect(await back.value('ack', { epoch, offset: 3 })).toEqual({ epoch, offset: 6 })
  })

  it('that waits for done gets one page at a time', async () => {
    const topic = nextTopic()
    await publish(topic, 2_500)
    const wire = await join(url, topic, { from: 'start', paced: true }, { holdPages: true })
    await wire.seen('events')
    await wire.value('read', { limit: 1 })
    let pages = 1
    while (wire.all('live').length === 0) {
      expect(wire.all('events').length).toBe(pages)
      const done = wire.packets
        .filter(({ name }) => name === 'events')
        .at(-1)
        ?.args.at(-1) as () => void
      done()
      pages += 1
      await Promise.race([wire.seen('events', pages), wire.seen('live')])
    }
    expectDense(wire.events(), 1, 2_500)
  })

  it('that begins anew again and again without a done costs the hub no page each time', async () => {
    setFlagsFromString('--expose-gc')
    const gc: () => void = runInNewContext('gc')
    const topic = nextTopic()
    await hub.topic(topic).publishAll(Array.from({ length: 40 }, () => ({ data: 'x'.repeat(10_000) })))
    const { socket, value, seen } = await join(url, topic, { from: 'none', paced: true }, { holdPages: true })
    const begin = async (from: number, to: number) => {
      for (let i = from; i < to; i++) {
        await value('subscribe', { from: 'start' })
        await seen('events', i + 1)
      }
    }
    const megabytes = () => {
      gc()
      return process.memoryUsage().arrayBuffers / 2 ** 20
    }
    await begin(0, 20)
    const before = megabytes()
    await begin(20, 120)
    await until(() => megabytes() < before + 10)
    socket.disconnect()
  })

  it('can be ended and started again by calls', async () => {
    const topic = nextTopic()
    const wire = await join(url, topic, { from: 'none' })
    await publish(topic, 3)
    await wire.value('read', {})
    expect(wire.packets).toEqual([])
    const info = await wire.value('subscribe', { from: 'start' })
    expect(info).toMatchObject({ topic, behind: 3, limits: { payload: 262_144, batch: 1_000, packet: 2_097_152 } })
    await wire.seen('live')
    expect(await wire.value('unsubscribe')).toBeNull()
    await publish(topic, 2, 3)
    const info2 = await wire.value<{ position: Position }>('subscribe', { from: { last: 1 } })
    expect(info2.position.offset).toBe(4)
    await wire.seen('live', 2)
    expect(wire.events().map(({ offset }) => offset)).toEqual([1, 2, 3, 5])
  })

  it('of two hundred clients sees the same order from several publishers', async () => {
    const topic = nextTopic()
    const readers = await Promise.all(Array.from({ length: 200 }, () => join(url, topic, { from: 'start' })))
    const writers = await Promise.all(Array.from({ length: 4 }, () => join(url, topic, { from: 'none' })))
    await Promise.all(
      writers.map(async (wire, w) => {
        for (let i = 0; i < 50; i++) await wire.value<Published>('publish', [{ data: `${w}:${i}` }])
      }),
    )
    const first = (await readers[0]?.eventsSeen(200))?.map(({ data }) => data)
    for (const reader of readers) {
      const events = await reader.eventsSeen(200)
      expectDense(events, 1, 200)
      expect(events.map(({ data }) => data)).toEqual(first)
    }
  })
})
