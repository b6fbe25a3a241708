/** Several hubs on one Redis behave as one: order, replay, takeover and producers across nodes. */

import { beforeAll, describe, expect, it } from 'vitest'
import type { TestHub } from '../../server/testing.ts'
import type { Position } from '../../shared/positions.ts'
import type { Published } from '../../shared/protocol.ts'
import { join } from '../support/clients/wire.ts'
import { startHub } from '../support/hub/hub.ts'
import { startRedis } from '../support/redis/redis.ts'
import { has } from '../support/tools.ts'

describe.runIf(has('redis-server'))('hubs on one Redis', () => {
  let nodes: TestHub[] = []
  const at = (index: number) => nodes[index % nodes.length]?.url ?? ''

  beforeAll(async () => {
    const { url } = await startRedis({ appendonly: 'yes', appendfsync: 'always' })
    nodes = await Promise.all([0, 1, 2].map(() => startHub({ store: url })))
  })

  it('show every reader one dense order while all of them publish to one topic', async () => {
    const readers = await Promise.all([0, 1, 2, 0, 1, 2].map((node) => join(at(node), 'order', { from: 'start' })))
    await Promise.all(
      nodes.map(async (node, n) => {
        for (let i = 0; i < 100; i++) await node.hub.topic('order').publishAll([{ data: `${n}:${i}` }, { data: null }])
      }),
    )
    const [first = [], ...others] = await Promise.all(readers.map((reader) => reader.eventsSeen(600)))
    expect(first.map(({ offset }) => offset)).toEqual(Array.from({ length: 600 }, (_, i) => i + 1))
    for (const events of others) expect(events).toEqual(first)
  })

  it('lead a client that moves in the middle of a replay on without a seam', async () => {
    for (let i = 0; i < 5; i++) {
      await nodes[i % 3]?.hub
        .topic('move')
        .publishAll(Array.from({ length: 1_000 }, (_, n) => ({ data: i * 1_000 + n })))
    }
    const seen: unknown[] = []
    let position: Position | undefined
    for (let visit = 0; seen.length < 5_000; visit++) {
      const auth = position === undefined ? { from: 'start', paced: true } : { from: position, paced: true }
      const wire = await join(at(visit), 'move', auth, { holdPages: true })
      const { epoch, events } = await wire.seen('events')
      seen.push(...events.map(({ data }) => data))
      position = { epoch, offset: events.at(-1)?.offset ?? 0 }
      wire.cut()
    }
    expect(seen).toEqual(Array.from({ length: 5_000 }, (_, i) => i))
  })

  it('end a session that was taken over on another node, and fence it', async () => {
    const published = await nodes[0]?.hub.topic('takeover').publishAll([{ data: 1 }, { data: 2 }])
    const epoch = published?.epoch
    const older = await join(at(0), 'takeover', { client: 'c', from: 'start' })
    await older.eventsSeen(2)
    const newer = await join(at(1), 'takeover', { client: 'c' })
    await newer.seen('live')
    expect(await older.seen('error')).toMatchObject({ code: 'taken_over' })
    expect(await older.disconnected).toBe('io server disconnect')
    expect(await newer.value('ack', { epoch, offset: 2 })).toEqual({ epoch, offset: 2 })
  })

  it('store a publish once whose number comes again at another node', async () => {
    const row = { producer: 'p', seq: 1 }
    const drafts = [{ data: 'a' }, { data: 'b' }]
    const one = await join(at(0), 'again', { from: 'none' })
    const two = await join(at(1), 'again', { from: 'none' })
    const first = await one.value<Published>('publish', drafts, row)
    expect(await two.value<Published>('publish', drafts, row)).toMatchObject({ offsets: first.offsets, duplicates: 2 })
  })

  it('have settings in force everywhere that were stored at one', async () => {
    const response = await fetch(`${at(0)}/v1/topics/set.*`, {
      method: 'PUT',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ retain: { events: 2 } }),
    })
    expect(response.ok).toBe(true)
    await expect
      .poll(async () => {
        await nodes[2]?.hub.topic('set.a').publish(1)
        const page = await (await fetch(`${at(1)}/v1/topics/set.a/events`)).json()
        return (page as { events: unknown[] }).events.length < (page as { last: number }).last
      })
      .toBe(true)
  })
})
