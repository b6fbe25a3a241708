import { describe, expect, it } from 'vitest'
import { asking } from '../support/clients/ask.ts'
import { join } from '../support/clients/wire.ts'
import { startHub } from '../support/hub/hub.ts'

const hub = await startHub()
const ask = asking(hub.url)

interface Cursors {
  readonly cursors: readonly { client: string; subject: string; position: { offset: number }; lag: number }[]
  readonly next?: string
}

async function publish(topic: string, count: number) {
  return await hub.hub.topic(topic).publishAll(Array.from({ length: count }, (_, i) => ({ data: i + 1 })))
}

const clients = ({ cursors }: Cursors) => cursors.map(({ client }) => client)

describe('topics', () => {
  it('are listed by name, page by page, without the hub’s own', async () => {
    for (const name of ['Zeta', 'b', 'a.1', 'a', 'c']) await publish(name, 1)
    const names: string[] = []
    let after: string | undefined
    let pages = 0
    do {
      const query = after === undefined ? '' : `&after=${after}`
      const { body } = await ask<{ topics: { topic: string }[]; next?: string }>('GET', `/v1/topics?limit=2${query}`)
      names.push(...body.topics.map(({ topic }) => topic))
      after = body.next
      pages += 1
    } while (after !== undefined)
    expect(names).toEqual(['Zeta', 'a', 'a.1', 'b', 'c'])
    expect(pages).toBe(3)
    expect((await ask<{ next?: string }>('GET', '/v1/topics?limit=5')).body.next).toBeUndefined()
  })

  it('show range, size, subscribers, cursors and the settings in force', async () => {
    const { epoch } = await publish('shown', 3)
    const reader = await join(hub.url, 'shown', { client: 'me' })
    await reader.seen('live')
    const { body } = await ask('GET', '/v1/topics/shown')
    expect(body).toEqual({
      topic: 'shown',
      epoch,
      first: 1,
      last: 3,
      events: 3,
      bytes: expect.any(Number),
      subscribers: 1,
      cursors: 1,
      settings: { retain: { events: 1_000_000, bytes: 2 ** 30, ageMs: 604_800_000 } },
    })
    expect((await ask<{ topics: unknown[] }>('GET', '/v1/topics')).body.topics).toContainEqual(
      expect.objectContaining({ topic: 'shown', subscribers: 1, cursors: 1 }),
    )
  })

  it('and what else is listed are not asked for behind what is longer than any name', async () => {
    const long = 'x'.repeat(5_000)
    for (const list of ['/topics', '/queues', '/queues/q/schedules', '/topics/t/cursors']) {
      const after = list.endsWith('cursors') ? `a/${long}` : long
      const { status, body } = await ask('GET', `/v1${list}?after=${after}`)
      expect({ status, body }, list).toMatchObject({ status: 400, body: { code: 'bad_request' } })
    }
  })

  it('that nobody published to are not found', async () => {
    expect(await ask('GET', '/v1/topics/unborn')).toMatchObject({ status: 404, body: { code: 'not_found' } })
    expect(await ask('DELETE', '/v1/topics/unborn')).toMatchObject({ status: 404 })
  })

  it('are dropped', async () => {
    await publish('dropped', 2)
    expect(await ask('DELETE', '/v1/topics/dropped')).toMatchObject({ status: 204, body: '' })
    expect((await ask('GET', '/v1/topics/dropped')).status).toBe(404)
  })
})

describe('settings', () => {
  it('of a name go before those of a pattern, and are removed with {}', async () => {
    await publish('kept.a', 10)
    const put = await ask('PUT', '/v1/topics/kept.*', { retain: { events: 5, age: '2h' } })
    expect(put).toMatchObject({
      status: 200,
      body: { topic: 'kept.*', settings: { retain: { events: 5, ageMs: 7_200_000 } } },
    })
    await ask('PUT', '/v1/topics/kept.a', { retain: { events: 3, bytes: 'unlimited' } })
    await publish('kept.a', 1)
    expect((await ask('GET', '/v1/topics/kept.a')).body).toMatchObject({
      first: 9,
      events: 3,
      settings: { retain: { events: 3, bytes: 'unlimited', ageMs: 7_200_000 } },
    })
    await ask('PUT', '/v1/topics/kept.a', {})
    expect((await ask('GET', '/v1/topics/kept.a')).body).toMatchObject({
      settings: { retain: { events: 5, bytes: 2 ** 30 } },
    })
  })

  it('are what a GET shows, and can be put back', async () => {
    const { body } = await ask<{ settings: unknown }>('GET', '/v1/topics/kept.a')
    expect(await ask('PUT', '/v1/topics/kept.a', body.settings)).toMatchObject({
      status: 200,
      body: { settings: body.settings },
    })
  })

  it.each([
    ['kept.a', { retain: { event: 5 } }, 'did you mean events'],
    ['kept.a', { retain: { events: 0 } }, 'retain.events'],
    ['kept.a', { retain: { age: 'long' } }, 'retain.age'],
    ['kept.a', [], 'settings'],
    ['.kept', { retain: { events: 5 } }, 'name pattern'],
  ])('of %s as %j are refused', async (topic, settings, message) => {
    const { status, body } = await ask<{ detail: string }>('PUT', `/v1/topics/${topic}`, settings)
    expect([status, body.detail]).toEqual([400, expect.stringContaining(message)])
  })
})

describe('cursors', () => {
  it('are listed page by page: who is where, and who lacks an offset', async () => {
    const { epoch } = await publish('read', 10)
    for (const [index, client] of ['a', 'b', 'c', 'd'].entries()) {
      const seek = await ask('PUT', `/v1/topics/read/cursors/${client}`, { position: { epoch, offset: index * 3 } })
      expect(seek.body).toEqual({ subject: 'anonymous', client, position: { epoch, offset: index * 3 } })
    }
    const all = (await ask<Cursors>('GET', '/v1/topics/read/cursors')).body
    expect(all.cursors.map(({ client, position, lag }) => [client, position.offset, lag])).toEqual([
      ['a', 0, 10],
      ['b', 3, 7],
      ['c', 6, 4],
      ['d', 9, 1],
    ])
    const first = (await ask<Cursors>('GET', '/v1/topics/read/cursors?limit=3')).body
    expect([clients(first), first.next]).toEqual([['a', 'b', 'c'], 'anonymous/c'])
    expect(clients((await ask<Cursors>('GET', `/v1/topics/read/cursors?after=${first.next}`)).body)).toEqual(['d'])
    for (const [behind, lacking] of [
      [1, ['a']],
      [3, ['a']],
      [4, ['a', 'b']],
      [10, ['a', 'b', 'c', 'd']],
      [11, ['a', 'b', 'c', 'd']],
    ] as const) {
      const { body } = await ask<Cursors>('GET', `/v1/topics/read/cursors?behind=${behind}`)
      expect(clients(body), `behind ${behind}`).toEqual(lacking)
    }
    expect((await ask('GET', '/v1/topics/read/cursors?after=c')).status).toBe(400)
    expect((await ask('GET', '/v1/topics/read/cursors?behind=0')).status).toBe(400)
  })

  it('are put where words say, as a new session that the open one hears of', async () => {
    const { epoch } = await publish('seek', 5)
    const [event] = (await ask<{ events: { at: number }[] }>('GET', '/v1/topics/seek/events')).body.events
    for (const [from, offset] of [
      ['start', 0],
      ['end', 5],
      [{ last: 2 }, 3],
      [{ at: event?.at }, 0],
      [{ epoch, offset: 4 }, 4],
    ] as const) {
      const { body } = await ask('PUT', '/v1/topics/seek/cursors/me', { from })
      expect(body).toMatchObject({ position: { epoch, offset } })
    }
    const open = await join(hub.url, 'seek', { client: 'me' })
    await open.seen('live')
    await ask('PUT', '/v1/topics/seek/cursors/me', { from: 'start' })
    expect(await open.seen('error')).toMatchObject({ code: 'taken_over' })
    const back = await join(hub.url, 'seek', { client: 'me' })
    expect(await back.eventsSeen(5)).toHaveLength(5)
  })

  it('of other subjects are named', async () => {
    const { epoch } = await publish('others', 1)
    const query = '?subject=team%2Fa'
    await ask('PUT', `/v1/topics/others/cursors/me${query}`, { from: 'end' })
    const { body } = await ask<Cursors>('GET', '/v1/topics/others/cursors')
    expect(body.cursors).toMatchObject([{ subject: 'team/a', client: 'me', position: { epoch, offset: 1 } }])
    expect((await ask<Cursors>('GET', '/v1/topics/others/cursors?after=team/a/me')).body.cursors).toEqual([])
    expect((await ask('DELETE', '/v1/topics/others/cursors/me')).status).toBe(404)
    expect((await ask('DELETE', `/v1/topics/others/cursors/me${query}`)).status).toBe(204)
  })

  it.each([
    [{}, 400, 'bad_request'],
    [{ from: 'cursor' }, 400, 'bad_request'],
    [{ position: { epoch: 'foreign', offset: 1 } }, 409, 'stale_epoch'],
    [{ from: { last: -1 } }, 400, 'bad_request'],
  ])('are not put at %j', async (body, status, code) => {
    expect(await ask('PUT', '/v1/topics/seek/cursors/me', body)).toMatchObject({ status, body: { code } })
  })

  it('are not put beyond the head, and not under what is no name', async () => {
    const { epoch } = await publish('seek', 1)
    const ahead = { position: { epoch, offset: 999 } }
    expect(await ask('PUT', '/v1/topics/seek/cursors/me', ahead)).toMatchObject({ status: 400 })
    expect(await ask('PUT', '/v1/topics/seek/cursors/.me', { from: 'end' })).toMatchObject({ status: 400 })
  })
})

describe('a dry run of settings', () => {
  it('says what would hold and how much would go, and changes nothing', async () => {
    await publish('tried', 20)
    const body = { retain: { events: 5, bytes: 'unlimited' } }
    const tried = await ask('PUT', '/v1/topics/tried?dryRun=true', body)
    expect(tried.body).toMatchObject({ trims: 15, settings: { retain: { events: 5, bytes: 'unlimited' } } })
    expect((await ask('PUT', '/v1/topics/tried?dryRun=true', { retain: { age: '1h' } })).body).toMatchObject({
      trims: 0,
    })
    expect((await ask('PUT', '/v1/topics/tried?dryRun=true', { retain: { bytes: 60 } })).body).toMatchObject({
      trims: expect.toSatisfy((trims: number) => trims > 10 && trims < 20),
    })
    expect((await ask('GET', '/v1/topics/tried/settings')).body).toMatchObject({ stored: {} })
    expect((await ask('GET', '/v1/topics/tried')).body).toMatchObject({ events: 20 })
  })
})
