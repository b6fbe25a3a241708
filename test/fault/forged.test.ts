/** What a client claims, true or not, changes nothing for anybody else. */

import { expect, it } from 'vitest'
import type { Published, Subscribed } from '../../shared/protocol.ts'
import { join, type Wire } from '../support/clients/wire.ts'
import { startHub } from '../support/hub/hub.ts'
import { describeStores } from '../support/hub/stores.ts'

const TOPIC = 'orders'
const HUGE = Number.MAX_SAFE_INTEGER

/** Positions that no log ever gave, of an epoch that it has and of others. */
function forgeries(epoch: string): unknown[] {
  return [
    { epoch, offset: 1_000_000 },
    { epoch, offset: HUGE },
    { epoch: 'zzzzzzzz', offset: 0 },
    { epoch: 'zzzzzzzz', offset: 5 },
    { epoch: 'zzzzzzzz', offset: HUGE },
    { epoch: '__proto__', offset: 5 },
  ]
}

/** Values that are no positions. */
const NONSENSE: readonly unknown[] = [
  null,
  true,
  5,
  '5',
  [],
  {},
  { epoch: 'e' },
  { offset: 5 },
  { epoch: 'e', offset: -1 },
  { epoch: 'e', offset: 1.5 },
  { epoch: 'e', offset: '5' },
  { epoch: 'e', offset: null },
  { epoch: 'e', offset: 2 ** 60 },
  { epoch: 'e', offset: 1e308 },
  { epoch: 5, offset: 5 },
  { epoch: '', offset: 5 },
  { epoch: 'e'.repeat(100_000), offset: 5 },
  { epoch: { toString: 'x' }, offset: 5 },
  { epoch: 'e', offset: 5, and: 'more' },
]

describeStores('forged claims to a hub on $name', (store) => {
  it('are refused or are a gap for their client alone; another one hears exactly its events', async () => {
    const { location } = await store.place()
    const { url } = await startHub({ store: location })
    const writer = await join(url, TOPIC, { from: 'none' })
    const honest = await join(url, TOPIC, { client: 'honest', from: 'start' })
    await honest.seen('live')
    const { epoch } = await writer.value<Published>(
      'publish',
      Array.from({ length: 20 }, (_, i) => ({ data: i })),
    )
    await honest.eventsSeen(20)
    const kept = { epoch, offset: 20 }
    expect(await honest.value('ack', kept)).toEqual(kept)
    const mark = honest.packets.length

    for (const [i, forgery] of forgeries(epoch).entries()) {
      // In a handshake without and with a client of its own, by subscribe, by ack, by read.
      const foreign = (forgery as { epoch: string }).epoch !== epoch
      for (const auth of [
        { from: forgery },
        { from: forgery, client: `forger-${i}` },
        { positions: { [TOPIC]: forgery } },
      ]) {
        const wire = await join(url, TOPIC, auth)
        await wire.seen('live')
        const [gap] = wire.all('gap')
        expect(wire.all('gap').length).toBe(1)
        expect(gap?.reason).toBe('reset')
        if (foreign) expect(gap).toMatchObject({ from: null, to: null, count: null })
        else expect(gap).toMatchObject({ from: 21, to: (forgery as { offset: number }).offset })
        expect(wire.events().map(({ offset }) => offset)).toEqual(
          foreign ? Array.from({ length: 20 }, (_, n) => n + 1) : [],
        )
        wire.close()
      }
      const wire = await join(url, TOPIC, { client: `acker-${i}`, from: 'start' })
      await wire.seen('live')
      const code = foreign ? 'stale_epoch' : 'bad_request'
      expect(await wire.call('ack', forgery)).toMatchObject({ ok: false, error: { code } })
      const read = await wire.call('read', { after: forgery })
      if (foreign) expect(read).toMatchObject({ ok: false, error: { code } })
      else expect(read).toMatchObject({ ok: true, value: { events: [], last: 20 } })
      await wire.value('subscribe', { from: forgery })
      await wire.seen('gap')
      wire.close()
      const again = await join(url, TOPIC, { client: `acker-${i}` })
      expect((await again.seen('subscribed')).position.offset).toBe(0)
      again.close()
    }
    expect(honest.packets.length).toBe(mark)
    await undisturbed(honest, writer, url, kept)
  })

  it('that make no sense are refused, and change nothing', async () => {
    const { location } = await store.place()
    const { url } = await startHub({ store: location })
    const writer = await join(url, TOPIC, { from: 'none' })
    const honest = await join(url, TOPIC, { client: 'honest', from: 'start' })
    const { epoch } = await writer.value<Published>('publish', [{ data: 1 }])
    await honest.eventsSeen(1)
    const kept = { epoch, offset: 1 }
    await honest.value('ack', kept)
    const forger = await join(url, TOPIC, { client: 'forger', from: 'end' })
    await forger.seen('live')
    for (const nonsense of NONSENSE) {
      const shown = JSON.stringify(nonsense).slice(0, 60)
      const refused = { ok: false, error: { code: expect.stringMatching(/^(bad_request|unsupported)$/) } }
      expect(await forger.call('ack', nonsense), `ack ${shown}`).toMatchObject(refused)
      if (nonsense !== null) {
        expect(await forger.call('subscribe', { from: nonsense }), `subscribe ${shown}`).toMatchObject(refused)
        expect(await forger.call('read', { after: nonsense }), `read ${shown}`).toMatchObject(
          nonsense === 5 ? { ok: true } : refused,
        )
        await expect(join(url, TOPIC, { from: nonsense }), `handshake ${shown}`).rejects.toMatchObject({
          code: expect.stringMatching(/^(bad_request|unsupported)$/),
        })
      }
    }
    // The refused calls have left the forger's own subscription alone.
    await undisturbed(honest, writer, url, kept)
    await forger.eventsSeen(1)
  })

  it('of the future do not hold up the own cursor of who made them', async () => {
    const { location } = await store.place()
    const { url } = await startHub({ store: location })
    const writer = await join(url, TOPIC, { from: 'none' })
    const { epoch } = await writer.value<Published>('publish', [{ data: 1 }, { data: 2 }])
    const forger = await join(url, TOPIC, { client: 'forger', from: { epoch, offset: 1_000 } })
    const gap = await forger.seen('gap')
    expect(gap).toMatchObject({ from: 3, to: 1_000, position: { epoch, offset: 2 } })
    expect(await forger.value('ack', gap.position)).toEqual({ epoch, offset: 2 })
    await writer.value('publish', [{ data: 3 }, { data: 4 }, { data: 5 }])
    await forger.eventsSeen(3)
    expect(await forger.value('ack', { epoch, offset: 3 })).toEqual({ epoch, offset: 3 })
    forger.close()
    const back = await join(url, TOPIC, { client: 'forger' })
    expect((await back.eventsSeen(2)).map(({ offset }) => offset)).toEqual([4, 5])
    expect(back.all('gap')).toEqual([])
  })

  it('to be another client move nothing of that client but its own session, which the last one has', async () => {
    const { location } = await store.place()
    const { url } = await startHub({ store: location })
    const writer = await join(url, TOPIC, { from: 'none' })
    const victim = await join(url, TOPIC, { client: 'victim', from: 'start' })
    const { epoch } = await writer.value<Published>('publish', [{ data: 1 }, { data: 2 }, { data: 3 }])
    await victim.eventsSeen(3)
    await victim.value('ack', { epoch, offset: 2 })
    // Acks without a client, with another one, of one that only publishes.
    for (const auth of [{ from: 'end' }, { client: 'other', from: 'end' }, { client: 'victim', from: 'none' }]) {
      const wire = await join(url, TOPIC, auth)
      if (auth.from !== 'none') await wire.seen('live')
      const reply = await wire.call('ack', { epoch, offset: 3 })
      expect(reply.ok).toBe(auth.client === 'other')
      if (!reply.ok) expect(reply.error.code).toBe('bad_request')
    }
    expect(victim.socket.connected).toBe(true)
    expect(await victim.value('ack', { epoch, offset: 1 })).toEqual({ epoch, offset: 2 })
    // The name is all there is to a client that nobody authenticates: a second one takes over, the cursor stays.
    const thief = await join(url, TOPIC, { client: 'victim', from: { epoch, offset: 0 } })
    expect((await thief.seen('subscribed')).position).toEqual({ epoch, offset: 2 })
    await victim.disconnected
    expect(victim.all('error').map(({ code }) => code)).toEqual(['taken_over'])
  })
})

/** The honest client's cursor is where it was, and it hears the next event as the very next packet. */
async function undisturbed(honest: Wire, writer: Wire, url: string, kept: { epoch: string; offset: number }) {
  const before = honest.packets.length
  const { offsets } = await writer.value<Published>('publish', [{ data: 'next' }])
  expect(offsets).toEqual([kept.offset + 1])
  await honest.eventsSeen(kept.offset + 1)
  const packets = honest.packets.slice(before)
  expect(packets.map(({ name }) => name)).toEqual(['events'])
  expect(packets[0]?.args[0]).toMatchObject({ epoch: kept.epoch, events: [{ offset: kept.offset + 1, data: 'next' }] })
  expect(honest.all('gap')).toEqual([])
  expect(honest.all('error')).toEqual([])
  honest.close()
  const back = await join(url, TOPIC, { client: 'honest' })
  const info: Subscribed = await back.seen('subscribed')
  expect(info.position).toEqual(kept)
  expect(info.behind).toBe(1)
}
