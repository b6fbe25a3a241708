/** Events that are gone: trimmed by retention, lost with the data folder, forgotten by an older copy of it. */

import { cp, rm } from 'node:fs/promises'
import { join as joinPath } from 'node:path'
import { describe, expect, it } from 'vitest'
import { RepriseError } from '../../../shared/errors.ts'
import type { Position } from '../../../shared/positions.ts'
import type { Gap, Published, TopicAuth } from '../../../shared/protocol.ts'
import { join, type Wire } from '../../support/clients/wire.ts'
import { startHub } from '../../support/hub/hub.ts'
import { describeStores } from '../../support/hub/stores.ts'
import { diskFolder } from '../../support/temp.ts'

const TOPIC = 'orders'

async function publish(url: string, count: number, topic = TOPIC): Promise<Position> {
  const wire = await join(url, topic, { from: 'none' })
  let position = { epoch: '', offset: 0 }
  for (let sent = 0; sent < count; ) {
    const drafts = Array.from({ length: Math.min(100, count - sent) }, (_, i) => ({ data: sent + i }))
    const { epoch, offsets } = await wire.value<Published>('publish', drafts)
    position = { epoch, offset: offsets.at(-1) ?? 0 }
    sent += drafts.length
  }
  wire.close()
  return position
}

/** What came, in order: `12-20` for events, `gap 1-5 trimmed` for a gap, the names of other packets. */
function story(wire: Wire): string[] {
  const told: string[] = []
  let run: number[] = []
  const flush = () => {
    if (run.length > 0) told.push(`${run[0]}-${run.at(-1)}`)
    run = []
  }
  for (const { name, args } of wire.packets) {
    if (name === 'events') {
      for (const { offset } of (args[0] as { events: { offset: number }[] }).events) {
        if (run.length > 0 && offset !== (run.at(-1) ?? 0) + 1) flush()
        run.push(offset)
      }
      continue
    }
    flush()
    const gap = args[0] as Gap & { code?: string }
    if (name === 'gap') told.push(`gap ${gap.from}-${gap.to} ${gap.reason}`)
    else if (name === 'error') told.push(`error ${gap.code}`)
    else if (name !== 'subscribed') told.push(name)
  }
  flush()
  return told
}

/** Comes, hears everything up to `live` (or the end), tells the story and goes. */
async function visit(url: string, auth: TopicAuth, ack: 'gap' | 'no' = 'no'): Promise<string[]> {
  const wire = await join(url, TOPIC, auth)
  await Promise.race([wire.seen('live'), wire.disconnected])
  if (ack === 'gap') {
    const gap = wire.all('gap').at(-1)
    expect(await wire.value('ack', gap?.position)).toEqual(gap?.position)
  }
  wire.close()
  return story(wire)
}

async function cursorAt(url: string, client: string, position: Position): Promise<void> {
  const wire = await join(url, TOPIC, { client, from: 'start' })
  await wire.seen('live')
  expect(await wire.value('ack', position)).toEqual(position)
  wire.close()
}

describeStores('events of $name that retention has removed', (store) => {
  it('are told exactly, before any later event, as onGap has it', async () => {
    const { location } = await store.place()
    const hub = await startHub({ store: location, topics: { '*': { retain: { events: 100 } } } })
    const { epoch } = await publish(hub.url, 300)
    const at = (offset: number) => ({ epoch, offset })
    expect(await visit(hub.url, { from: at(50) })).toEqual(['gap 51-200 trimmed', '201-300', 'live'])
    expect(await visit(hub.url, { from: at(50), paced: true })).toEqual(['gap 51-200 trimmed', '201-300', 'live'])
    expect(await visit(hub.url, { from: at(0) })).toEqual(['gap 1-200 trimmed', '201-300', 'live'])
    expect(await visit(hub.url, { from: at(50), onGap: 'end' })).toEqual(['gap 51-200 trimmed', 'live'])
    expect(await visit(hub.url, { from: at(50), onGap: 'fail' })).toEqual(['gap 51-200 trimmed', 'error gap'])
    expect(await visit(hub.url, { from: at(199) })).toEqual(['gap 200-200 trimmed', '201-300', 'live'])
    expect(await visit(hub.url, { from: at(200), onGap: 'fail' })).toEqual(['201-300', 'live'])
    expect(await visit(hub.url, { from: at(300), onGap: 'fail' })).toEqual(['live'])
  })

  it('are told to a cursor until the gap is acknowledged, and not again', async () => {
    const { location } = await store.place()
    const hub = await startHub({ store: location, topics: { '*': { retain: { events: 100 } } } })
    const { epoch } = await publish(hub.url, 60)
    for (const client of ['a', 'b', 'c']) await cursorAt(hub.url, client, { epoch, offset: 50 })
    await publish(hub.url, 240)
    for (const transports of [['websocket'], ['polling']] as const) {
      const wire = await join(hub.url, TOPIC, { client: 'a' }, { transports })
      await wire.seen('live')
      expect(story(wire)).toEqual(['gap 51-200 trimmed', '201-300', 'live'])
      wire.close()
    }
    expect(await visit(hub.url, { client: 'a' }, 'gap')).toEqual(['gap 51-200 trimmed', '201-300', 'live'])
    expect(await visit(hub.url, { client: 'a' })).toEqual(['201-300', 'live'])
    expect(await visit(hub.url, { client: 'b', onGap: 'end' }, 'gap')).toEqual(['gap 51-200 trimmed', 'live'])
    expect(await visit(hub.url, { client: 'b' })).toEqual(['live'])
    expect(await visit(hub.url, { client: 'c', onGap: 'fail' })).toEqual(['gap 51-200 trimmed', 'error gap'])
    expect(await visit(hub.url, { client: 'c', onGap: 'fail' })).toEqual(['gap 51-200 trimmed', 'error gap'])
  })

  it('does not tell a gap to a client at the head of a topic that has been emptied, through restarts', async () => {
    const { location } = await store.place()
    const topics = { '*': { retain: { ageMs: 1 } } }
    let hub = await startHub({ store: location, topics })
    const position = await publish(hub.url, 300)
    await cursorAt(hub.url, 'a', position)
    for (let restart = 0; restart < 3; restart++) {
      await hub.close()
      hub = await startHub({ store: location, topics })
      expect(await visit(hub.url, { from: position, onGap: 'fail' })).toEqual(['live'])
      expect(await visit(hub.url, { client: 'a', onGap: 'fail' })).toEqual(['live'])
    }
    const wire = await join(hub.url, TOPIC, { from: position, onGap: 'fail' })
    await wire.value('publish', [{ data: 'again' }])
    await wire.eventsSeen(1)
    expect(story(wire).filter((told) => told !== 'live')).toEqual(['301-301'])
    wire.close()
  })
})

describeStores('a restart of a hub on $name', (store) => {
  it('is no gap to clients that lost nothing, wherever they stood', async () => {
    const { location } = await store.place()
    let hub = await startHub({ store: location })
    const first = await publish(hub.url, 100)
    await cursorAt(hub.url, 'a', { ...first, offset: 40 })
    const quiet = await join(hub.url, 'never-used', { client: 'a', from: 'end' })
    const { position: unborn } = await quiet.seen('subscribed')
    for (let restart = 1; restart <= 4; restart++) {
      await hub.close()
      hub = await startHub({ store: location })
      const head = restart * 100
      const { epoch } = await join(hub.url, TOPIC, {}).then((wire) => wire.seen('subscribed'))
      expect(await visit(hub.url, { from: { epoch, offset: head } })).toEqual(['live'])
      expect(await visit(hub.url, { from: first, onGap: 'fail' })).toEqual(
        head === 100 ? ['live'] : [`101-${head}`, 'live'],
      )
      expect(await visit(hub.url, { client: 'a', onGap: 'fail' })).toEqual([`41-${head}`, 'live'])
      const still = await join(hub.url, 'never-used', { from: unborn, onGap: 'fail' })
      await still.seen('live')
      expect(still.packets.map(({ name }) => name)).toEqual(['subscribed', 'live'])
      await publish(hub.url, 100)
    }
    const { epoch } = await publish(hub.url, 1, 'never-used')
    if (store.name === 'lmdb') expect(epoch).not.toBe(unborn.epoch)
    for (const auth of [{ from: unborn }, { client: 'a' }]) {
      const wire = await join(hub.url, 'never-used', { ...auth, onGap: 'fail' })
      await wire.eventsSeen(1)
      expect(wire.all('gap')).toEqual([])
    }
  })
})

describe('a hub whose data folder is lost', () => {
  it('tells everyone who had seen events, once, and goes on', async () => {
    const folder = await diskFolder()
    let hub = await startHub({ store: folder })
    const position = await publish(hub.url, 300)
    await cursorAt(hub.url, 'a', position)
    await cursorAt(hub.url, 'b', position)
    await hub.close()
    await rm(folder, { recursive: true })
    hub = await startHub({ store: folder })

    expect(await visit(hub.url, { from: position })).toEqual(['gap null-null reset', 'live'])
    expect(await visit(hub.url, { from: position, onGap: 'end' })).toEqual(['gap null-null reset', 'live'])
    expect(await visit(hub.url, { from: position, onGap: 'fail' })).toEqual(['gap null-null reset', 'error gap'])
    const follower = await join(hub.url, TOPIC, { from: position })
    await follower.seen('live')
    const after = await publish(hub.url, 5)
    await follower.eventsSeen(5)
    expect(story(follower)).toEqual(['gap null-null reset', 'live', '1-5'])
    // Back with the positions of before, now that there are events again; one of them is beyond the head.
    expect(await visit(hub.url, { from: { ...position, offset: 3 } })).toEqual(['gap null-null reset', '1-5', 'live'])
    expect(await visit(hub.url, { from: position })).toEqual(['gap null-null reset', '1-5', 'live'])
    expect(await visit(hub.url, { from: after })).toEqual(['live'])
    // The cursors are lost too; a client that knows where it was is told.
    expect(await visit(hub.url, { client: 'a', from: position }, 'gap')).toEqual(['gap null-null reset', '1-5', 'live'])
    expect(await visit(hub.url, { client: 'a' })).toEqual(['1-5', 'live'])
    expect(await visit(hub.url, { client: 'a', from: position })).not.toContain('error')
    const wire = await join(hub.url, TOPIC, { client: 'b', from: position })
    await wire.seen('subscribed')
    expect(await wire.call('ack', position)).toMatchObject({ ok: false, error: { code: 'stale_epoch' } })
  })
})

describe('a data folder that is restored from an older copy', () => {
  async function restored(): Promise<{ hub: Awaited<ReturnType<typeof startHub>>; epoch: string }> {
    const folder = await diskFolder()
    const copy = joinPath(await diskFolder(), 'copy')
    let hub = await startHub({ store: folder })
    const { epoch } = await publish(hub.url, 400)
    for (const [client, offset] of [
      ['at390', 390],
      ['at501', 395],
      ['gone', 400],
    ] as const) {
      await cursorAt(hub.url, client, { epoch, offset })
    }
    // A copy of a running store, as a person would make it at a quiet moment.
    await cp(folder, copy, { recursive: true, filter: (path) => !path.endsWith('.sock') })
    expect(await publish(hub.url, 101)).toEqual({ epoch, offset: 501 })
    const late = await join(hub.url, TOPIC, { client: 'at501' })
    await late.seen('subscribed')
    await late.value('ack', { epoch, offset: 501 })
    late.close()
    await hub.close()
    await rm(folder, { recursive: true })
    await cp(copy, folder, { recursive: true })
    hub = await startHub({ store: folder })
    return { hub, epoch }
  }

  it('tells a client at 501 that exactly 401 to 501 are gone, and one at 390 nothing', async () => {
    const { hub, epoch } = await restored()
    const { url } = hub
    const at = (offset: number) => ({ epoch, offset })
    expect(await visit(url, { from: at(501) })).toEqual(['gap 401-501 reset', 'live'])
    expect(await visit(url, { from: at(390), onGap: 'fail' })).toEqual(['391-400', 'live'])
    expect(await visit(url, { from: at(400), onGap: 'fail' })).toEqual(['live'])
    expect(await visit(url, { client: 'at390', onGap: 'fail' })).toEqual(['391-400', 'live'])
    expect(await visit(url, { client: 'at501', from: at(501) }, 'gap')).toEqual(['gap 401-501 reset', 'live'])
    expect(await visit(url, { client: 'at501' })).toEqual(['live'])
    const wire = await join(url, TOPIC, { client: 'gone' })
    await wire.seen('subscribed')
    expect(await wire.call('ack', at(501))).toMatchObject({ ok: false, error: { code: 'bad_request' } })
    // Its cursor was made after the copy, so the copy does not know it.
    expect(await visit(url, { client: 'unknown', from: at(501) }, 'gap')).toEqual(['gap 401-501 reset', 'live'])
    // Who is live across the first new event, which begins another epoch.
    const follower = await join(url, TOPIC, { from: at(501) })
    await follower.seen('live')
    const next = await publish(url, 200)
    expect(next.offset).toBe(600)
    expect(next.epoch).not.toBe(epoch)
    await follower.eventsSeen(200)
    expect(story(follower)).toEqual(['gap 401-501 reset', 'live', '401-600'])
    expect(await visit(url, { client: 'unknown' })).toEqual(['401-600', 'live'])
    // A claim that is older than what the client has acknowledged since is not heard any more.
    await cursorAt(url, 'at501', next)
    expect(await visit(url, { client: 'at501', from: at(501) })).toEqual(['live'])
  })

  it('does so after new events have taken the same offsets, per onGap', async () => {
    const { hub, epoch } = await restored()
    const { url } = hub
    const at = (offset: number) => ({ epoch, offset })
    const next = await publish(url, 200)
    expect(next).toEqual({ epoch: expect.not.stringContaining(epoch), offset: 600 })
    expect(await visit(url, { from: at(501) })).toEqual(['gap 401-501 reset', '401-600', 'live'])
    expect(await visit(url, { from: at(501), onGap: 'end' })).toEqual(['gap 401-501 reset', 'live'])
    expect(await visit(url, { from: at(501), onGap: 'fail' })).toEqual(['gap 401-501 reset', 'error gap'])
    expect(await visit(url, { from: at(390), onGap: 'fail' })).toEqual(['391-600', 'live'])
    expect(await visit(url, { from: next })).toEqual(['live'])
    expect(await visit(url, { client: 'at390', onGap: 'fail' })).toEqual(['391-600', 'live'])
    expect(await visit(url, { client: 'at501', from: at(501) }, 'gap')).toEqual([
      'gap 401-501 reset',
      '401-600',
      'live',
    ])
    expect(await visit(url, { client: 'at501', onGap: 'fail' })).toEqual(['401-600', 'live'])
    const wire = await join(url, TOPIC, { client: 'gone' })
    await wire.seen('subscribed')
    await expect(wire.value('ack', at(450))).rejects.toThrow(RepriseError)
    expect(await wire.call('ack', at(450))).toMatchObject({ ok: false, error: { code: 'bad_request' } })
    expect(await wire.value('ack', next)).toEqual(next)
  })
})
