/** Bytes of kept events that have changed on the disk. */

import { readFile, writeFile } from 'node:fs/promises'
import { join as joinPath } from 'node:path'
import { describe, expect, it } from 'vitest'
import { Life } from '../../../server/core/queues/life/life.ts'
import { DEFAULT_QUEUE_SETTINGS } from '../../../server/core/queues/settings.ts'
import type { ReadPage } from '../../../shared/protocol.ts'
import { lmdbEngine } from '../../store/conformance/fixture.ts'
import { deskOf, named } from '../../store/conformance/queueDesk.ts'
import { join, type Wire } from '../../support/clients/wire.ts'
import { SILENT } from '../../support/core/silent.ts'
import { startHub } from '../../support/hub/hub.ts'
import { diskFolder } from '../../support/temp.ts'
import { until } from '../../support/until.ts'

const TOPIC = 'orders'

/** Flips a bit of each place where the text is, old copies of pages included. */
async function damage(folder: string, texts: readonly string[]): Promise<void> {
  const path = joinPath(folder, 'data.mdb')
  const file = await readFile(path)
  for (const text of texts) {
    let flipped = 0
    for (let at = file.indexOf(text); at >= 0; at = file.indexOf(text, at + 1)) {
      file[at] = (file[at] ?? 0) ^ 1
      flipped += 1
    }
    expect(flipped, text).toBeGreaterThan(0)
  }
  await writeFile(path, file)
}

function story(wire: Wire): string[] {
  return wire.packets.flatMap(({ name, args }) => {
    const [first] = args as [{ events: { offset: number }[]; from: number; to: number; reason: string; code: string }]
    if (name === 'events') return [`${first.events[0]?.offset}-${first.events.at(-1)?.offset}`]
    if (name === 'gap') return [`gap ${first.from}-${first.to} ${first.reason}`]
    return name === 'subscribed' ? [] : [name === 'error' ? `error ${first.code}` : name]
  })
}

describe('a damaged record', () => {
  it('is a gap of exactly itself, between its neighbours, and is never handed out', async () => {
    const folder = await diskFolder()
    let hub = await startHub({ store: folder })
    const writer = await join(hub.url, TOPIC, { from: 'none' })
    const client = await join(hub.url, TOPIC, { client: 'a', from: 'start' })
    // Some in one commit, some in commits of their own.
    for (let n = 1; n <= 300; ) {
      const count = n < 200 ? 50 : 1
      await writer.value(
        'publish',
        Array.from({ length: count }, (_, i) => ({ data: `payload ${n + i}.` })),
      )
      n += count
    }
    await client.eventsSeen(300)
    await hub.close()
    await damage(folder, ['payload 150.', 'payload 151.', 'payload 220.', 'payload 300.'])
    hub = await startHub({ store: folder })
    const { url } = hub

    const all = await join(url, TOPIC, { from: 'start' })
    await all.seen('live')
    const gaps = ['gap 150-151 damaged', 'gap 220-220 damaged', 'gap 300-300 damaged']
    expect(story(all)).toEqual(['1-149', gaps[0], '152-219', gaps[1], '221-299', gaps[2], 'live'])
    for (const { offset, data } of all.events()) expect(data).toBe(`payload ${offset}.`)
    const paced = await join(url, TOPIC, { from: 'start', paced: true }, { transports: ['polling'] })
    await paced.seen('live')
    expect(story(paced)).toEqual(story(all))

    const { epoch } = await all.seen('subscribed')
    const from = { epoch, offset: 100 }
    const end = await join(url, TOPIC, { from, onGap: 'end' })
    await end.seen('live')
    expect(story(end)).toEqual(['101-149', gaps[0], 'live'])
    const fail = await join(url, TOPIC, { from, onGap: 'fail' })
    await fail.disconnected
    expect(story(fail)).toEqual(['101-149', gaps[0], 'error gap'])
    const page = await all.value<ReadPage>('read', { after: 148, limit: 5 })
    expect(page.events.map(({ offset }) => offset)).toEqual([149, 152, 153])

    // Told once: acknowledged, it does not come again.
    const first = await join(url, TOPIC, { client: 'a' })
    const gap = await first.seen('gap')
    await first.seen('live')
    await first.value('ack', gap.position)
    first.close()
    const second = await join(url, TOPIC, { client: 'a' })
    await second.seen('live')
    expect(story(second)).toEqual(['152-219', gaps[1], '221-299', gaps[2], 'live'])
    await second.value('ack', (await second.seen('gap', 2)).position)
    await second.value('publish', [{ data: 'payload 301.' }])
    await second.eventsSeen(148)
    expect(story(second).at(-1)).toBe('301-301')
    second.close()
    const third = await join(url, TOPIC, { client: 'a', onGap: 'fail' })
    await third.seen('live')
    expect(story(third)).toEqual(['301-301', 'live'])
  })

  it('of what happened to a job is left out, and the rest is moved once', async () => {
    const engine = await lmdbEngine(await diskFolder())
    const ids = ['first-job', 'second-job', 'third-job', 'fourth-job', 'fifth-job']
    let store = await engine.open()
    for (const id of ids) await deskOf(store).send([named(id)], { events: true })
    await store.close()
    await damage(
      engine.folder,
      ['second-job', 'fifth-job'].map((id) => `{"kind":"sent","id":"${id}"`),
    )
    store = await engine.open()
    const retain = { events: 100, bytes: 1e9, ageMs: 1e12 }
    const mover = new Life({
      store,
      telemetry: SILENT,
      settings: { forQueue: () => DEFAULT_QUEUE_SETTINGS },
      retainOf: () => retain,
    })
    const isMoved = async () => {
      mover.told('q')
      return (await store.topics.read('$queue.q', 0, { events: 9, bytes: 1e9 })).events.length > 2
    }
    await until(isMoved, { what: 'all to be moved' })
    await mover.close()
    await store.queues.life('q', { limit: 9 })
    await deskOf(store).send([named('sixth-job')], { events: true })
    expect(await store.queues.life('q', { limit: 9 })).toMatchObject({ records: [{ id: 'sixth-job' }] })
    const { events } = await store.topics.read('$queue.q', 0, { events: 9, bytes: 1e9 })
    expect(events.map((event) => 'body' in event && JSON.parse(event.body.json).data.id)).toEqual(
      ids.filter((id) => id !== 'second-job' && id !== 'fifth-job'),
    )
    await engine.destroy()
  })
})
