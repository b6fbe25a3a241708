/** What no client should send, and clients that leave at any moment: the hub answers with known errors and lives. */

import fc from 'fast-check'
import { Manager } from 'socket.io-client'
import { describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { isErrorCode } from '../../shared/errors.ts'
import type { Reply } from '../../shared/protocol.ts'
import { join } from '../support/clients/wire.ts'
import { Witness } from '../support/clients/witness.ts'
import { type HubProcess, spawnHub } from '../support/hub/process.ts'
import { memoryMb } from '../support/memory.ts'
import { runSeed, seededRandom } from '../support/seed.ts'
import { soak } from '../support/tools.ts'
import { until, within } from '../support/until.ts'

const TOPIC = 'orders'

/** A client that must not notice anything. */
async function bystander(hub: HubProcess): Promise<() => Promise<void>> {
  const witness = new Witness(hub.url, TOPIC, 'bystander', { client: 'bystander' })
  const writer = await join(hub.url, TOPIC, { from: 'none' })
  await until(() => witness.live === 1, { what: 'the bystander to be live' })
  return async () => {
    const { epoch, offsets } = await writer.value<{ epoch: string; offsets: number[] }>('publish', [{ data: 'still' }])
    await witness.reaches(offsets[0] ?? 0)
    expect(witness.faults).toEqual([])
    expect(witness.gaps).toEqual([])
    expect(witness.errors).toEqual([])
    expect(witness.connections).toBe(1)
    expect(witness.epochs).toEqual(new Set([...witness.epochs, epoch]))
    expect(hub.process.exitCode).toBe(null)
    expect(hub.stderr()).not.toMatch(/"level":"(error|fatal)"|Error|at .*:\d+:\d+/)
  }
}

describe('a hub that is sent garbage', () => {
  it('answers arbitrary arguments of every call with a known error, never with `internal`', async () => {
    const hub = await spawnHub()
    const unharmed = await bystander(hub)
    const seed = runSeed('arbitrary arguments')
    const wire = await join(hub.url, 'garbage', { client: 'garbage', from: 'start' })
    await wire.seen('live')
    const names = [
      'publish',
      'ack',
      'read',
      'subscribe',
      'unsubscribe',
      'auth',
      'no-such-call',
      '__proto__',
      'constructor',
    ]
    const shaped = fc.oneof(
      fc.record(
        {
          epoch: fc.oneof(fc.string(), fc.integer()),
          offset: fc.oneof(fc.integer(), fc.double(), fc.maxSafeInteger(), fc.string()),
        },
        { requiredKeys: [] },
      ),
      fc.record(
        {
          from: fc.oneof(
            fc.constantFrom('start', 'end', 'cursor', 'none', 'nowhere'),
            fc.record({ at: fc.oneof(fc.double(), fc.maxSafeInteger()) }),
            fc.record({ last: fc.oneof(fc.integer(), fc.maxSafeInteger()) }),
            fc.jsonValue(),
          ),
          onGap: fc.oneof(fc.constantFrom('continue', 'end', 'fail'), fc.jsonValue()),
        },
        { requiredKeys: [] },
      ),
      fc.record(
        {
          after: fc.oneof(fc.maxSafeInteger(), fc.jsonValue()),
          before: fc.oneof(fc.maxSafeInteger(), fc.jsonValue()),
          limit: fc.oneof(fc.maxSafeInteger(), fc.jsonValue()),
        },
        { requiredKeys: [] },
      ),
      fc.array(
        fc.record(
          { data: fc.anything(), id: fc.jsonValue(), key: fc.jsonValue(), headers: fc.jsonValue() },
          { requiredKeys: [] },
        ),
        { maxLength: 3 },
      ),
      fc.record({
        producer: fc.oneof(fc.constantFrom('p', 'q'), fc.jsonValue()),
        seq: fc.oneof(fc.nat(9), fc.jsonValue()),
      }),
      fc.jsonValue(),
      fc.uint8Array(),
    )
    const calls = fc.tuple(fc.constantFrom(...names), fc.array(shaped, { maxLength: 4 }))
    for (const [name, args] of fc.sample(calls, { seed, numRuns: soak ? 100_000 : 600 })) {
      // What JSON cannot say arrives as what is left of it.
      const sent = args.map((arg) => (arg instanceof Uint8Array ? arg : (JSON.parse(safeJson(arg)) as unknown)))
      const reply = await wire.call(name, ...sent)
      const shown = `${name} ${safeJson(sent)}`.slice(0, 300)
      if (reply.ok) continue
      expect(isErrorCode(reply.error.code), shown).toBe(true)
      expect(reply.error.code, shown).not.toBe('internal')
      expect(reply.error.message.length, shown).toBeLessThan(1_000)
    }
    // What was sent is not sent back.
    const long = 'x'.repeat(1_000_000)
    for (const [name, arg] of [
      ['read', new Uint8Array(1_000_000)],
      ['read', { [long]: 1 }],
      ['subscribe', { from: long }],
      ['publish', [{ data: 1, [long]: 1 }]],
      ['publish', [{ data: 1, headers: { [long]: 1 } }]],
      ['publish', [{ data: 1, id: long }]],
      ['ack', { epoch: long, offset: 1 }],
      [long, 1],
    ] as const) {
      const reply = await wire.call(name, arg)
      if (reply.ok) throw new Error(`${name.slice(0, 20)} was taken`)
      expect(reply.error.message.length, reply.error.message.slice(0, 100)).toBeLessThan(500)
    }
    // Calls without a callback, and callbacks where arguments belong.
    for (const name of names) wire.socket.emit(name)
    const reply = await new Promise<Reply<unknown>>((resolve) => wire.socket.emit('publish', () => {}, resolve))
    expect(reply.ok).toBe(false)
    expect(wire.socket.connected).toBe(true)
    await unharmed()
  })

  it('survives arbitrary handshakes', async () => {
    const hub = await spawnHub()
    const unharmed = await bystander(hub)
    const seed = runSeed('arbitrary handshakes')
    const auth = fc.oneof(
      fc.jsonValue(),
      fc.record(
        {
          token: fc.jsonValue(),
          client: fc.oneof(fc.constantFrom('a', ' ', 'ü', 'x'.repeat(129)), fc.jsonValue()),
          protocol: fc.oneof(fc.constantFrom(0, 1, 2, '1'), fc.jsonValue()),
          from: fc.jsonValue(),
          positions: fc.oneof(fc.dictionary(fc.constantFrom(TOPIC, '__proto__', 'x'), fc.jsonValue()), fc.jsonValue()),
          paced: fc.jsonValue(),
          onGap: fc.jsonValue(),
        },
        { requiredKeys: [] },
      ),
    )
    const manager = new Manager(hub.url, { transports: ['websocket'], reconnection: false, autoConnect: false })
    // Holds the connection, whatever becomes of the others.
    const hold = manager.socket('/topics/hold', {})
    hold.connect()
    await new Promise<void>((resolve) => hold.once('connect', resolve))
    const samples = fc.sample(auth, { seed, numRuns: soak ? 20_000 : 250 })
    const names = [
      '/topics/a',
      '/topics/',
      '/topics',
      '/',
      '/topics/ü',
      '/topics/a/b',
      '/queues',
      '/topics/__proto__',
      '/x',
    ]
    await within(
      Promise.all(
        samples.map(
          (auth, i) =>
            new Promise<void>((resolve) => {
              const name = names[i % names.length] ?? '/'
              const socket = manager.socket(i < names.length ? name : `/topics/handshake-${i}`, {
                auth: { ...Object(auth) },
              })
              socket.once('connect', () => resolve())
              socket.once('connect_error', (error: Error & { data?: { code?: unknown } }) => {
                expect(isErrorCode(error.data?.code), error.message).toBe(true)
                expect(error.data?.code, JSON.stringify(auth)).not.toBe('internal')
                resolve()
              })
              socket.connect()
            }),
        ),
      ),
      20_000,
      'an answer to each handshake',
    )
    manager._close()
    await unharmed()
  })

  it('survives frames that are no packets, and packets that are too large', async () => {
    const random = seededRandom(runSeed('raw frames'))
    const hub = await spawnHub()
    const unharmed = await bystander(hub)
    const socketUrl = `${hub.url.replace('http', 'ws')}/socket.io/?EIO=4&transport=websocket`
    const frames: (string | Uint8Array)[] = [
      '',
      '9',
      '4',
      '49',
      '40',
      '40/topics/orders',
      '40/topics/orders,',
      '40/topics/orders,[',
      '40/topics/orders,{"from":',
      '42/topics/orders,["publish"',
      '42["publish",[{"data":1}]]',
      '42/topics/orders,7["publish",[{"data":1}]]',
      '43/topics/orders,7[]',
      '44/topics/orders,{}',
      '45/topics/orders,3-["publish"]',
      '451-/topics/orders,["publish",{"_placeholder":true,"num":5}]',
      '459999999-/topics/orders,["publish",{"_placeholder":true,"num":0}]',
      '451-["publish",{"_placeholder":true,"num":-1}]',
      '42/topics/orders,99999999999999999999["ack"]',
      '42/topics/orders,[5]',
      '42/topics/orders,[]',
      '42/topics/orders,{}',
      '42/topics/orders,["connect"]',
      '42/topics/orders,["disconnect"]',
      '42/topics/orders,["newListener"]',
      '41/topics/orders,',
      '40/topics/\u0000,',
      '4'.repeat(1_000_000),
      `40/topics/${'x'.repeat(100_000)},`,
      `42/topics/orders,["publish",${'['.repeat(50_000)}`,
      'b!!!!',
      new Uint8Array([0]),
      new Uint8Array(1_000),
      new Uint8Array(3_000_000),
      'x'.repeat(3_000_000),
    ]
    const tries = soak ? 20_000 : 150
    for (let i = 0; i < tries; i += 20) {
      await Promise.all(
        Array.from({ length: 20 }, async (_, j) => {
          const socket = new WebSocket(socketUrl)
          socket.on('error', () => {})
          const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()))
          await Promise.race([new Promise((resolve) => socket.once('message', resolve)), closed])
          if (random.chance(0.5)) socket.send('40/topics/orders,{"from":"none"}')
          const frame =
            frames[i + j] ?? (random.chance(0.5) ? random.pick(frames) : random.bytes(random.integer(0, 300)))
          socket.send(random.chance(0.2) && typeof frame !== 'string' ? Buffer.from(frame).toString('latin1') : frame)
          if (frame.length > 2_097_152) await within(closed, 5_000, 'the end of a transport that sent too much')
          else socket.close()
          await closed
        }),
      )
    }
    // Too much by long polling.
    const open = await fetch(`${hub.url}/socket.io/?EIO=4&transport=polling`).then((answer) => answer.text())
    const { sid } = JSON.parse(open.slice(1)) as { sid: string }
    const over = await fetch(`${hub.url}/socket.io/?EIO=4&transport=polling&sid=${sid}`, {
      method: 'POST',
      body: 'x'.repeat(3_000_000),
    }).catch(() => undefined)
    expect(over?.ok ?? false).toBe(false)
    await unharmed()
  })

  it('keeps nothing of clients that come and go at any moment of their handshake', {
    timeout: soak ? 1_800_000 : 60_000,
  }, async () => {
    const random = seededRandom(runSeed('come and go'))
    const hub = await spawnHub({ env: { NODE_OPTIONS: '--max-old-space-size=128 --max-semi-space-size=2' } })
    const unharmed = await bystander(hub)
    const come = async (count: number, base: number) => {
      for (let i = 0; i < count; i += 50) {
        await Promise.all(
          Array.from({ length: 50 }, async (_, j) => {
            const socket = new WebSocket(`${hub.url.replace('http', 'ws')}/socket.io/?EIO=4&transport=websocket`)
            socket.on('error', () => {})
            const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()))
            await Promise.race([new Promise((resolve) => socket.once('message', resolve)), closed])
            // Several enter the same topic at once, some alone, some with a cursor on one topic of all.
            const topic = random.pick([`alone-${base + i + j}`, `shared-${base + i}`, 'one-of-all', 'bad name'])
            for (let k = random.integer(1, 4); k > 0; k--) {
              socket.send(`40/topics/${topic}-${k},${random.pick(['', '{}', '{"from":"start"}', '{"paced":5}'])}`)
              if (random.chance(0.3)) socket.send(`41/topics/${topic}-${k},`)
            }
            const moment = random.integer(0, 3)
            if (moment === 1) await new Promise((resolve) => setImmediate(resolve))
            if (moment === 2) await new Promise((resolve) => setTimeout(resolve, random.integer(0, 20)))
            if (moment === 3) await Promise.race([new Promise((resolve) => socket.once('message', resolve)), closed])
            if (random.chance(0.5)) socket.terminate()
            else socket.close()
            await closed
          }),
        )
      }
    }
    await come(300, 0)
    await new Promise((resolve) => setTimeout(resolve, 300))
    const before = memoryMb(hub.pid)
    await come(soak ? 100_000 : 1_000, 500)
    await until(() => memoryMb(hub.pid) < before + 12, { deadlineMs: 5_000, what: 'the memory to come back' }).catch(
      () => {},
    )
    const after = memoryMb(hub.pid)
    expect(after - before).toBeLessThan(soak ? 24 : 20)
    console.info(`memory ${before.toFixed(0)} → ${after.toFixed(0)} MB`)
    // Who enters a topic while others leave it is really in.
    const rounds = soak ? 2_000 : 15
    for (let i = 0; i < rounds; i++) {
      const topic = `crossing-${i}`
      const leaving = await join(hub.url, topic, {})
      const entering = join(hub.url, topic, { from: 'end' })
      if (i % 3 === 0) leaving.close()
      else if (i % 3 === 1) setImmediate(() => leaving.close())
      else setTimeout(() => leaving.close(), random.integer(0, 5))
      const wire = await entering
      await wire.seen('live')
      await wire.value('publish', [{ data: i }])
      expect((await wire.eventsSeen(1))[0]?.data).toBe(i)
      wire.close()
    }
    await unharmed()
  })
})

/** JSON text of anything; what it cannot say is null. */
function safeJson(value: unknown): string {
  try {
    return JSON.stringify(value, (_, inner: unknown) => (typeof inner === 'bigint' ? Number(inner) : inner)) ?? 'null'
  } catch {
    return 'null'
  }
}
