/** Who gets in and who is told why not. */

import { beforeAll, describe, expect, it } from 'vitest'
import { join, joinNamespace } from '../support/clients/wire.ts'
import { startHub } from '../support/hub/hub.ts'
import { until } from '../support/until.ts'

let url: string

describe('a handshake', () => {
  beforeAll(async () => {
    ;({ url } = await startHub())
  })

  const refused: [string, Record<string, unknown>, string][] = [
    ['/topics/no%20spaces', {}, 'bad_request'],
    ['/topics/.dot', {}, 'bad_request'],
    ['/topics/', {}, 'bad_request'],
    [`/topics/${'x'.repeat(129)}`, {}, 'bad_request'],
    ['/nowhere', {}, 'not_found'],
    ['/topics/t', { protocol: 2 }, 'unsupported'],
    ['/topics/t', { protocol: '1' }, 'unsupported'],
    ['/topics/t', { client: '' }, 'bad_request'],
    ['/topics/t', { client: 5 }, 'bad_request'],
    ['/topics/t', { client: 'a b' }, 'bad_request'],
    ['/topics/t', { from: 'cursor' }, 'bad_request'],
    ['/topics/t', { from: 'somewhere' }, 'bad_request'],
    ['/topics/t', { from: { epoch: 'e', offset: -1 } }, 'bad_request'],
    ['/topics/t', { from: { epoch: 'e', offset: 1.5 } }, 'bad_request'],
    ['/topics/t', { from: { last: -1 } }, 'bad_request'],
    ['/topics/t', { onGap: 'explode' }, 'bad_request'],
    ['/topics/t', { paced: 'yes' }, 'bad_request'],
    ['/topics/t', { positions: { t: 7 } }, 'bad_request'],
  ]

  it.each(refused)('to %s with %j is refused with %s in err.data', async (namespace, auth, code) => {
    await expect(joinNamespace(url, namespace, auth)).rejects.toMatchObject({
      name: 'RepriseError',
      code,
      message: expect.stringMatching(/.{10}/),
    })
  })

  it('with keys for other libraries passes', async () => {
    const wire = await join(url, 't', { token: 'unused', somebodyElse: 1, protocol: 1, positions: { other: 7 } })
    await wire.seen('subscribed')
  })

  it('takes the position of its topic from positions', async () => {
    const writer = await join(url, 'p', { from: 'none' })
    const { epoch } = await writer.value<{ epoch: string }>(
      'publish',
      [1, 2, 3].map((data) => ({ data })),
    )
    const wire = await join(url, 'p', { positions: { p: { epoch, offset: 2 } } })
    expect((await wire.eventsSeen(1)).map(({ data }) => data)).toEqual([3])
  })

  it('to a further place is one more of the same connection: its own client, subscription and calls', async () => {
    const first = await join(url, 'places', { client: 'one' })
    await first.seen('subscribed')
    const { io } = first.socket
    const second = io.socket('/topics/places#2', { auth: { client: 'two' } })
    const got: number[] = []
    second.on('events', ({ events }) => got.push(...events.map(({ data }: { data: number }) => data)))
    second.connect()
    await new Promise((resolve) => second.once('live', resolve))
    await first.value('publish', [{ data: 7 }])
    const { value } = await second.emitWithAck('publish', [{ data: 8 }])
    expect(value.offsets).toEqual([2])
    expect((await first.eventsSeen(2)).map(({ data }) => data)).toEqual([7, 8])
    await until(() => got.length === 2, { what: 'the events at the second place' })
    await first.value('ack', { epoch: value.epoch, offset: 2 })
    const { cursors } = await (await fetch(`${url}/v1/topics/places/cursors`)).json()
    expect(cursors).toMatchObject([
      { client: 'one', position: { offset: 2 } },
      { client: 'two', position: { offset: 0 } },
    ])
    const queues = [io.socket('/queues'), io.socket('/queues#999')]
    await Promise.all(
      queues.map((socket) => new Promise((resolve) => socket.once('connect', () => resolve(socket)).connect())),
    )
    for (const namespace of [
      '/topics/places#1',
      '/topics/places#02',
      '/topics/places#1000',
      '/topics/#2',
      '/queues#0',
    ]) {
      const refusal = await new Promise<Error & { data?: { code: string } }>((resolve) => {
        io.socket(namespace).once('connect_error', resolve).connect()
      })
      expect(refusal.data?.code, namespace).toBe(namespace.startsWith('/queues') ? 'not_found' : 'bad_request')
    }
  })

  it('for a topic whose name every object has passes, positions or not', async () => {
    for (const topic of ['constructor', 'toString', 'hasOwnProperty']) {
      const wire = await join(url, topic, { client: topic, positions: {} })
      expect(await wire.seen('subscribed')).toMatchObject({ topic, position: { offset: 0 } })
    }
  })

  it('that is refused leaves no namespace behind, nor does a client that left', async () => {
    const { hub, url } = await startHub()
    const { Server } = await import('socket.io')
    const io = new Server()
    hub.attach(io)
    const { createServer } = await import('node:http')
    const http = createServer()
    io.attach(http)
    await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve))
    const address = http.address()
    const own = `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`
    try {
      for (let i = 0; i < 20; i++) {
        await expect(join(own, `bad name ${i}`)).rejects.toMatchObject({ code: 'bad_request' })
        const wire = await join(own, `good-${i}`)
        wire.close()
      }
      await until(() => io._nsps.size === 1, { what: 'only the main namespace', seen: () => [...io._nsps.keys()] })
      const both = await join(own, 'shared')
      await both.seen('live')
      const elsewhere = await join(url, 'shared', { from: 'none' })
      await elsewhere.value('publish', [{ data: 1 }])
      expect((await both.eventsSeen(1))[0]?.data).toBe(1)
    } finally {
      await io.close()
    }
  })

  it('from a page of another origin is refused, from this host or a program it passes', async () => {
    await expect(join(url, 't', {}, { headers: { origin: 'https://evil.example' } })).rejects.toThrow()
    const wire = await join(url, 't', {}, { headers: { origin: url } })
    await wire.seen('live')
    const polling = join(url, 't', {}, { transports: ['polling'], headers: { origin: 'https://evil.example' } })
    await expect(polling).rejects.toThrow()
  })
})
