/** Topics that are dropped, and born again: every reader is told exactly what it had not seen, by each way of reading. */

import { describe, expect, it } from 'vitest'
import { connect } from '../../../client/index.ts'
import type { Position } from '../../../shared/positions.ts'
import type { Gap, OnGap, Published, ReadPage, TopicAuth } from '../../../shared/protocol.ts'
import { join, type Wire } from '../../support/clients/wire.ts'
import { atEnd } from '../../support/ending.ts'
import { startHub } from '../../support/hub/hub.ts'
import { until } from '../../support/until.ts'

type Transport = 'websocket' | 'polling'
const TRANSPORTS = [['websocket'], ['polling']] as const

interface Place {
  readonly url: string
  publish(topic: string, count: number): Promise<string>
  drop(topic: string): Promise<void>
}

async function place(): Promise<Place> {
  const { url } = await startHub()
  const headers = { 'content-type': 'application/json' }
  return {
    url,
    async publish(topic, count) {
      let epoch = ''
      for (let sent = 0; sent < count; sent += 500) {
        const drafts = Array.from({ length: Math.min(500, count - sent) }, (_, i) => ({ data: sent + i }))
        const body = JSON.stringify(drafts)
        const answer = await fetch(`${url}/v1/topics/${topic}/events`, { method: 'POST', headers, body })
        expect(answer.status).toBe(201)
        epoch = ((await answer.json()) as Published).epoch
      }
      return epoch
    },
    async drop(topic) {
      expect((await fetch(`${url}/v1/topics/${topic}`, { method: 'DELETE' })).status).toBe(204)
    },
  }
}

/** `1-3` for events, `gap 4-5 (2)` for a gap, `live`, `error gap`. */
function story(wire: Wire, from = 0): string[] {
  const told: string[] = []
  let run: number[] = []
  const flush = () => {
    if (run.length > 0) told.push(`${run[0]}-${run.at(-1)}`)
    run = []
  }
  for (const { name, args } of wire.packets.slice(from)) {
    if (name === 'events') {
      for (const { offset } of (args[0] as { events: { offset: number }[] }).events) {
        if (run.length > 0 && offset !== (run.at(-1) ?? 0) + 1) flush()
        run.push(offset)
      }
      continue
    }
    flush()
    const gap = args[0] as Gap & { code?: string }
    if (name === 'gap') told.push(`gap ${gap.from}-${gap.to} (${gap.count}) ${gap.reason}`)
    else if (name === 'error') told.push(`error ${gap.code}`)
    else if (name !== 'subscribed') told.push(name)
  }
  flush()
  return told
}

async function visit(url: string, topic: string, auth: TopicAuth, transport: Transport = 'websocket'): Promise<Wire> {
  const wire = await join(url, topic, auth, { transports: [transport] })
  await Promise.race([wire.seen('live'), wire.disconnected])
  wire.close()
  return wire
}

const told = async (...args: Parameters<typeof visit>): Promise<string[]> => story(await visit(...args))

async function cursorAt(url: string, topic: string, client: string, position: Position): Promise<void> {
  const wire = await join(url, topic, { client, from: 'start' })
  await wire.seen('live')
  expect(await wire.value('ack', position)).toEqual(position)
  wire.close()
}

describe('a topic that was dropped', () => {
  it.each(TRANSPORTS)(
    'and born again tells each cursor and each position what it had not seen, over %s',
    async (by) => {
      const { url, publish, drop } = await place()
      const epoch = await publish('t', 5)
      for (let seen = 0; seen <= 5; seen++) await cursorAt(url, 't', `c${seen}`, { epoch, offset: seen })
      await drop('t')
      const born = await publish('t', 2)
      for (let seen = 0; seen <= 5; seen++) {
        const gap = `gap ${seen + 1}-5 (${5 - seen}) reset`
        expect(await told(url, 't', { from: { epoch, offset: seen } }, by), `${seen}`).toEqual([gap, '1-2', 'live'])
        const wire = await visit(url, 't', { client: `c${seen}` }, by)
        expect(story(wire), `${seen}`).toEqual([gap, '1-2', 'live'])
        expect(wire.all('gap')[0]?.position).toEqual({ epoch: born, offset: 0 })
        expect(wire.all('subscribed')[0]).toMatchObject({ epoch: born, first: 1, last: 2, behind: 2 })
      }
      expect(await told(url, 't', { from: { epoch: 'strange', offset: 3 } }, by)).toEqual([
        'gap null-null (null) reset',
        '1-2',
        'live',
      ])
      expect(await told(url, 't', { from: 'start' }, by)).toEqual(['1-2', 'live'])
    },
  )

  it('tells it before the next birth, once it is acknowledged never again, and then what is published', async () => {
    const { url, publish, drop } = await place()
    const epoch = await publish('t', 5)
    await cursorAt(url, 't', 'c', { epoch, offset: 2 })
    await drop('t')
    const wire = await join(url, 't', { client: 'c' })
    await wire.seen('live')
    const [gap] = wire.all('gap')
    expect(await wire.value('ack', gap?.position)).toEqual(gap?.position)
    await publish('t', 1)
    await wire.eventsSeen(1)
    expect(story(wire)).toEqual(['gap 3-5 (3) reset', 'live', '1-1'])
    wire.close()
    expect(await told(url, 't', { client: 'c' })).toEqual(['1-1', 'live'])
  })

  it('twice tells each of its logs, and a cursor from before the first event lacks them all', async () => {
    const { url, publish, drop } = await place()
    const early = await join(url, 't', { client: 'early' })
    const { position } = await early.seen('subscribed')
    early.close()
    const first = await publish('t', 5)
    await drop('t')
    const second = await publish('t', 3)
    await cursorAt(url, 't', 'second', { epoch: second, offset: 1 })
    await drop('t')
    await publish('t', 2)
    const both = ['gap 1-3 (3) reset', '1-2', 'live']
    expect(await told(url, 't', { from: { epoch: first, offset: 4 } })).toEqual(['gap 5-5 (1) reset', ...both])
    expect(await told(url, 't', { client: 'early' })).toEqual(['gap 1-5 (5) reset', ...both])
    expect(await told(url, 't', { from: position })).toEqual(['gap 1-5 (5) reset', ...both])
    expect(await told(url, 't', { client: 'second' })).toEqual(['gap 2-3 (2) reset', '1-2', 'live'])
    expect(await told(url, 't', { from: { epoch: second, offset: 3 } })).toEqual(['gap 4-3 (0) reset', '1-2', 'live'])
  })

  it.each([
    ['end', ['gap 5-5 (1) reset', 'gap 1-3 (3) reset', 'live'], ['gap 4-3 (0) reset', '1-2', 'live']],
    ['fail', ['gap 5-5 (1) reset', 'error gap'], ['gap 4-3 (0) reset', '1-2', 'live']],
  ] as const)('is a gap to onGap %s only where something was missed', async (onGap, missed, nothing) => {
    const { url, publish, drop } = await place()
    const first = await publish('t', 5)
    await drop('t')
    const second = await publish('t', 3)
    await drop('t')
    await publish('t', 2)
    const at = (epoch: string, offset: number): { from: Position; onGap: OnGap } => ({ from: { epoch, offset }, onGap })
    expect(await told(url, 't', at(first, 4))).toEqual(missed)
    expect(await told(url, 't', at(second, 3))).toEqual(nothing)
  })

  it('tells who is live at once, and who is in the midst of catching up what its page has not had', async () => {
    const { url, publish, drop } = await place()
    const epoch = await publish('t', 2_500)
    const live = await join(url, 't', { from: { epoch, offset: 2_500 } })
    await live.seen('live')
    const paced = await join(url, 't', { from: 'start', paced: true }, { holdPages: true })
    await until(() => paced.packets.some(({ name }) => name === 'events'))
    const late = await join(
      url,
      't',
      { client: 'late', from: { epoch, offset: 2_200 }, paced: true },
      { holdPages: true },
    )
    await until(() => late.packets.some(({ name }) => name === 'events'))
    await drop('t')
    await live.seen('gap')
    const born = await publish('t', 2)
    await live.eventsSeen(2)
    expect(story(live)).toEqual(['live', 'gap 2501-2500 (0) reset', '1-2'])
    for (const wire of [paced, late]) {
      const got = wire.events().at(-1)?.offset ?? 0
      let released = 0
      const release = () => {
        for (; released < wire.packets.length; released++) {
          const done = wire.packets[released]?.args.at(-1)
          if (typeof done === 'function') done()
        }
        return wire.all('live').length > 0
      }
      await until(release)
      const gap = wire.all('gap')[0]
      expect(wire.all('gap')).toHaveLength(1)
      expect(gap).toMatchObject({ from: got + 1, to: 2_500, count: 2_500 - got, position: { epoch: born, offset: 0 } })
      expect(wire.events().slice(-2)).toMatchObject([{ offset: 1 }, { offset: 2 }])
    }
    // What was seen of the dropped log counts, also where it is acknowledged late.
    expect(await late.value('ack', { epoch, offset: 2_500 })).toEqual({ epoch, offset: 2_500 })
  })

  it('shows in pages, streams and lists over HTTP', async () => {
    const { url, publish, drop } = await place()
    const epoch = await publish('t', 5)
    await cursorAt(url, 't', 'c', { epoch, offset: 2 })
    await drop('t')
    const born = await publish('t', 2)
    const page = (await (await fetch(`${url}/v1/topics/t/events?after=${epoch}:2`)).json()) as ReadPage
    expect(page).toMatchObject({
      events: [{ offset: 1 }, { offset: 2 }],
      gaps: [{ from: 3, to: 5, count: 3, reason: 'reset', position: { epoch: born, offset: 0 } }],
    })
    const socket = await join(url, 't', { from: 'none' })
    expect(await socket.value('read', { after: { epoch, offset: 2 } })).toMatchObject({ gaps: page.gaps })
    const { cursors } = (await (await fetch(`${url}/v1/topics/t/cursors?behind=1`)).json()) as { cursors: unknown[] }
    expect(cursors).toMatchObject([{ client: 'c', position: { epoch, offset: 2 }, lag: 2 }])
    const abort = new AbortController()
    const headers = { 'last-event-id': `${epoch}:4` }
    const stream = await fetch(`${url}/v1/topics/t/stream`, { headers, signal: abort.signal })
    let text = ''
    const reading = (async () => {
      for await (const chunk of stream.body ?? []) text += Buffer.from(chunk).toString()
    })().catch(() => {})
    await until(() => text.includes('event: live'), { seen: () => text })
    abort.abort()
    await reading
    expect(text).toMatch(
      /event: gap\nid: \S+:0\ndata: \{[^\n]*"from":5,"to":5,"count":1,"reason":"reset"[\s\S]*"offset":1,/,
    )
  })

  it('goes on in the SDK, live and from where it was', async () => {
    const { url, publish, drop } = await place()
    await publish('t', 2)
    const seen: number[] = []
    const gaps: (number | null)[] = []
    const own = connect<{ topics: { t: number } }>(url, { client: 'c' })
    atEnd(() => own.close())
    const subscription = own.topic('t').subscribe(({ offset }) => seen.push(offset), { from: 'start' })
    subscription.onGap(({ count }) => gaps.push(count))
    await until(() => seen.length === 2)
    await drop('t')
    await publish('t', 3)
    await until(() => seen.length === 5)
    await own.close()
    await publish('t', 2)
    await drop('t')
    const born = await publish('t', 1)
    const again = connect<{ topics: { t: number } }>(url, { client: 'c' })
    atEnd(() => again.close())
    const back = again.topic('t').subscribe(({ offset }) => seen.push(offset))
    back.onGap(({ count }) => gaps.push(count))
    await until(() => seen.length === 6)
    expect([seen, gaps]).toEqual([
      [1, 2, 1, 2, 3, 1],
      [0, 2],
    ])
    await again.close()
    const { cursors } = (await (await fetch(`${url}/v1/topics/t/cursors`)).json()) as { cursors: unknown[] }
    expect(cursors).toMatchObject([{ client: 'c', position: { epoch: born, offset: 1 }, lag: 0 }])
  })

  it('stands among the dead letters of a queue that had not copied all of it, and of no other', async () => {
    const { url, publish, drop } = await place()
    const headers = { 'content-type': 'application/json' }
    const put = async (queue: string, settings: object) => {
      const body = JSON.stringify({ from: [{ topic: 't', from: 'start' }], ...settings })
      expect((await fetch(`${url}/v1/queues/${queue}`, { method: 'PUT', headers, body })).status).toBe(200)
    }
    const jobs = async (queue: string, count: number) => {
      let found: { data: unknown }[] = []
      await until(
        async () => {
          const answer = await fetch(`${url}/v1/queues/${queue}/jobs`)
          found = answer.ok ? ((await answer.json()) as { jobs: { data: unknown }[] }).jobs : []
          return found.length === count
        },
        { everyMs: 50, what: `${count} jobs in ${queue}`, seen: () => found },
      )
      return found.map(({ data }) => data)
    }
    await publish('t', 2)
    await put('all', {})
    await put('some', { maxJobs: 2 })
    await Promise.all([jobs('all', 2), jobs('some', 2)])
    await publish('t', 3)
    await jobs('all', 5)
    await drop('t')
    await publish('t', 1)
    await put('some', { maxJobs: 100 })
    expect(await jobs('all', 6)).toEqual([0, 1, 0, 1, 2, 0])
    expect(await jobs('some', 3)).toEqual([0, 1, 0])
    expect(await jobs('all/dead', 0)).toEqual([])
    expect(await jobs('some/dead', 1)).toMatchObject([{ topic: 't', from: 3, to: 5, count: 3, reason: 'reset' }])
  })
})
