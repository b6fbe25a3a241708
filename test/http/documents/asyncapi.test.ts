/** The AsyncAPI document against the hub: its calls and packets, both ways, and what really comes. */

import { readdirSync, readFileSync } from 'node:fs'
import { Ajv } from 'ajv'
import { describe, expect, it } from 'vitest'
import type { ClientRow, ClientsPage, QueueSeen, Summary } from '../../../shared/console/protocol.ts'
import { asking } from '../../support/clients/ask.ts'
import { SECRET, tokenOf } from '../../support/clients/tokens.ts'
import { join, joinNamespace, type Wire } from '../../support/clients/wire.ts'
import { startHub } from '../../support/hub/hub.ts'
import { until } from '../../support/until.ts'
import { closed } from './closed.ts'

interface Document {
  readonly asyncapi: string
  readonly channels: Readonly<Record<Channel, { readonly messages: Readonly<Record<string, object>> }>>
  readonly operations: Readonly<
    Record<string, { readonly action: string; readonly messages: readonly object[]; readonly reply?: object }>
  >
  readonly components: {
    readonly messages: Readonly<Record<string, { readonly payload: object }>>
    readonly schemas: object
  }
}

type Channel = 'topic' | 'queues' | 'console' | 'demo'

const { url } = await startHub({ auth: { jwt: { secret: SECRET } } })
const { body: document } = await asking(url)<Document>('GET', '/asyncapi.json')
const token = await tokenOf('ann')

const ajv = new Ajv({ strict: false, inlineRefs: false, validateSchema: false })
ajv.addSchema(closed(document), 'document')

function faultOf(message: string, payload: unknown): unknown {
  const fits = ajv.compile({ $ref: `document#/components/messages/${message}/payload` })
  return fits(payload) ? undefined : fits.errors
}

function operationsOf(channel: Channel, action: 'send' | 'receive'): string[] {
  return Object.entries(document.operations)
    .filter(([id, operation]) => id.startsWith(`${channel}.`) && operation.action === action)
    .map(([id]) => id.replace(/^\w+\.(on\.)?/, ''))
    .sort()
}

const enter = (channel: Channel, auth: object): Promise<Wire> =>
  channel === 'topic' ? join(url, 'orders', { token, ...auth }) : joinNamespace(url, `/${channel}`, { token, ...auth })

describe('the AsyncAPI document', () => {
  it('refers to what is there, and every message is used', () => {
    expect(document.asyncapi).toBe('3.0.0')
    const text = JSON.stringify(document)
    for (const [, pointer = ''] of text.matchAll(/"\$ref":"#([^"]+)"/g)) {
      const steps = pointer.split('/').slice(1)
      const found = steps.reduce<unknown>((at, step) => (at as Record<string, unknown> | undefined)?.[step], document)
      expect(found, pointer).toBeDefined()
    }
    for (const channel of ['topic', 'queues', 'console', 'demo'] as const) {
      for (const message of Object.keys(document.channels[channel].messages)) {
        expect(text).toContain(`{"$ref":"#/channels/${channel}/messages/${message}"}`)
      }
    }
    for (const name of Object.keys(document.components.messages))
      expect(text).toContain(`#/components/messages/${name}"`)
  })

  it.each(['topic', 'queues', 'console', 'demo'] as const)(
    'names the calls of the namespace of a %s, and no others',
    async (channel) => {
      const wire = await enter(channel, { from: 'none' })
      const reply = await wire.call('nothing')
      const known = reply.ok ? '' : reply.error.message.split('there are ')[1]
      expect(operationsOf(channel, 'receive')).toEqual([...(known?.split(', ') ?? []), 'connect'].sort())
      const some = { topic: 'publish', queues: 'send', console: 'history', demo: 'auth' }[channel]
      expect(faultOf(`${channel}.${some}.reply`, reply)).toBeUndefined()
    },
  )

  it('names the packets that the hub sends, and no others', () => {
    const folder = new URL('../../../server/socket/', import.meta.url)
    const sent = readdirSync(folder)
      .filter((name) => name.endsWith('.ts'))
      .flatMap((name) => [...readFileSync(new URL(name, folder), 'utf8').matchAll(/\bemit\('(\w+)'/g)])
      .map(([, name = '']) => name)
    const named = (['topic', 'queues', 'console', 'demo'] as const).flatMap((channel) => operationsOf(channel, 'send'))
    expect([...new Set(named)].sort()).toEqual([...new Set(sent)].sort())
  })

  it('describes what is sent and what comes', async () => {
    const faults: unknown[] = []
    const check = (message: string, payload: unknown) => {
      const fault = faultOf(message, payload)
      if (fault !== undefined) faults.push({ message, payload, fault })
    }
    const seen = new Map<string, Wire>()
    const handshakes = {
      topic: { client: 'c', from: 'start', limits: true },
      queues: { client: 'w', limits: true },
      console: { limits: true },
      demo: { topic: 'demo.one', limits: true },
    } as const
    const called = async (wire: Wire, channel: Channel, call: string, ...args: unknown[]) => {
      check(`${channel}.${call}`, args)
      const reply = await wire.call(call, ...args)
      check(`${channel}.${call}.reply`, reply)
      return reply.ok ? reply.value : undefined
    }
    for (const channel of ['topic', 'queues', 'console', 'demo'] as const) {
      check(`${channel}.connect`, { token, ...handshakes[channel] })
      seen.set(channel, await enter(channel, handshakes[channel]))
    }
    const [topic, queues, console, demo] = [...seen.values()] as [Wire, Wire, Wire, Wire]
    await demo.seen('live')
    const publisher = await join(url, 'demo.one', { token, from: 'none' })
    await publisher.value('publish', [{ data: { n: 1 } }])
    await demo.seen('events')
    await called(topic, 'topic', 'publish', [{ data: { n: 1 }, id: 'one', key: 'k', headers: { a: 'b' } }])
    await called(topic, 'topic', 'publish', [{ data: { n: 2 } }], { producer: 'p', seq: 1 })
    await topic.eventsSeen(2)
    const { position } = await topic.seen('subscribed')
    await called(topic, 'topic', 'ack', { ...position, offset: 1 })
    await called(topic, 'topic', 'read', { after: 0, limit: 1 })
    await called(topic, 'topic', 'subscribe', { from: 'start' })
    await enter('topic', { client: 'gone' })
    const lost = await enter('topic', { from: { epoch: 'unknown', offset: 9 } })
    check('topic.on.gap', [await lost.seen('gap')])
    await called(topic, 'topic', 'unsubscribe')
    const sent = await called(queues, 'queues', 'send', 'emails', [{ data: 1, priority: 9, key: 'k' }, { data: 2 }])
    await called(queues, 'queues', 'consume', 'emails', { credit: 1, leaseMs: 100 })
    await until(() => queues.packets.find(({ name }) => name === 'lost'), { what: 'a lapsed lease' })
    await called(queues, 'queues', 'settle', 'emails', [{ id: 'x', lease: 'y', as: 'extend', leaseMs: 1_000 }])
    await called(queues, 'queues', 'remove', 'emails', (sent as { ids: string[] }).ids[1])
    await called(queues, 'queues', 'cancel', 'emails')
    await called(queues, 'queues', 'request', 'questions', { data: 1 }, { timeoutMs: 1 })
    await until(() => console.packets.some(({ args }) => (args[0] as Summary).whole?.point.length), { what: 'a point' })
    await called(console, 'console', 'history')
    const lists = (['topics', 'queues', 'clients', 'activity'] as const).map((call) =>
      called(console, 'console', call, {}),
    )
    await Promise.all(lists)
    await called(console, 'console', 'queue', { queue: 'emails' })
    await until(async () => (await console.value<QueueSeen>('queue', { queue: 'emails' })).points.length, {
      what: 'points',
    })
    await called(console, 'console', 'queue', { queue: 'emails' })
    const { rows } = await console.value<ClientsPage>('clients')
    for (const { id } of rows) await called(console, 'console', 'client', { id })
    const { id } = rows.find(({ clients }) => clients.includes('gone')) as ClientRow
    await called(console, 'console', 'disconnectClient', { id })
    await called(topic, 'topic', 'auth', { token: 'nonsense' })
    const short = await tokenOf('ann', { ttlMs: 1_000 })
    await Promise.all([
      called(topic, 'topic', 'auth', { token: short }),
      called(queues, 'queues', 'auth', { token: short }),
      called(console, 'console', 'auth', { token: short }),
      called(demo, 'demo', 'auth', { token: short }),
    ])
    await Promise.all([...seen.values()].map(({ disconnected }) => disconnected))
    for (const [channel, wire] of seen) {
      for (const { name, args } of wire.packets) {
        check(
          `${channel}.on.${name}`,
          args.filter((one) => typeof one !== 'function'),
        )
      }
    }
    expect(faults).toEqual([])
    const names = (wire: Wire) => new Set(wire.packets.map(({ name }) => name))
    expect([...names(topic), 'gap', 'behind'].sort()).toEqual(operationsOf('topic', 'send'))
    expect([...names(queues)].sort()).toEqual(operationsOf('queues', 'send'))
    expect([...names(console)].sort()).toEqual(operationsOf('console', 'send'))
    expect([...names(demo)].sort()).toEqual(operationsOf('demo', 'send'))
  })
})
