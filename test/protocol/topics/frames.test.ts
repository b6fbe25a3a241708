/** Pages leave as the bytes that are stored: whole in each length of a frame, and the same over every transport. */

import { beforeAll, expect, it } from 'vitest'
import * as ws from 'ws'
import { Packet } from '../../../server/core/topics/packet.ts'
import { PreparedText } from '../../../server/socket/prepared.ts'
import { parser } from '../../../server/socket/transport/encoder.ts'
import { encodeBody, readPassingBody } from '../../../server/store/codec.ts'
import { type JoinOptions, join } from '../../support/clients/wire.ts'
import { startHub } from '../../support/hub/hub.ts'

let hub: Awaited<ReturnType<typeof startHub>>

beforeAll(async () => {
  hub = await startHub()
})

/** What ws has and does not declare. */
const { Sender } = ws as unknown as { Sender: { frame(data: Buffer, options: object): Buffer[] } }

const TRANSPORTS: readonly JoinOptions[] = [
  { transports: ['websocket'] },
  { transports: ['polling'] },
  { transports: ['polling', 'websocket'] },
]

async function readBy(topic: string, count: number, options: JoinOptions): Promise<unknown[]> {
  const wire = await join(hub.url, topic, { from: 'start', paced: true }, options)
  const events = await wire.eventsSeen(count)
  wire.close()
  return events.map(({ data }) => data)
}

it.each(TRANSPORTS)('arrive as they were published: $transports', async (options) => {
  const topic = `texts-${options.transports?.join('-')}`
  const data = [
    '',
    'é'.repeat(70_000),
    '𝄞"\\\n',
    { nested: [null, 1.5, 'ü'] },
    'x'.repeat(200_000),
    '\u2028'.repeat(30_000),
  ]
  await hub.hub.topic(topic).publishAll(data.map((one) => ({ data: one })))
  expect(await readBy(topic, data.length, options)).toEqual(data)
})

it('have the frames that ws makes of the same text, in each length', () => {
  for (const length of [...Array(200).keys(), 65_400, 65_534, 65_535, 65_536, 65_537, 300_000]) {
    for (const head of ['', '2/topics/ä,["events",']) {
      const prepared = new PreparedText(head, Buffer.alloc(length, 'x'))
      const whole = Buffer.from(`4${prepared}`)
      const options = { fin: true, opcode: 1, mask: false, readOnly: true, rsv1: false }
      expect(Buffer.concat(prepared.frame).equals(Buffer.concat(Sender.frame(whole, options)))).toBe(true)
    }
  }
})

it('are encoded once for all who get them', () => {
  const kept = [1, 9, 10, 99, 100, 123_456_789, 2 ** 32, Number.MAX_SAFE_INTEGER].map((n, i) => {
    const body = readPassingBody(encodeBody({ json: `{"data":${n}}` }))
    if (body?.utf8 === undefined) throw new Error('no bytes at hand')
    return { offset: n, at: i < 3 ? 5 : 1_700_000_000_000 + i, body }
  })
  const packet = new Packet('e', kept, 30, false)
  const encoder = new parser.Encoder()
  const [first, second] = [7, 8].map((id) => {
    const [text] = encoder.encode({ type: 2, nsp: '/topics/t', id, data: ['events', packet] })
    if (!((text as unknown) instanceof PreparedText)) throw new Error('no prepared text')
    return text as unknown as PreparedText
  })
  const events = kept.map(({ offset, at }) => ({ offset, at, data: offset }))
  expect(`${second}`).toBe(`2/topics/t,8["events",${JSON.stringify({ epoch: 'e', events })}]`)
  expect(first?.frame[1]).toBe(second?.frame[1])
  // What a store has told of has no bytes at hand, and is the same text.
  const live = new Packet(
    'e',
    kept.map(({ body: { json }, ...rest }) => ({ ...rest, body: { json } })),
    30,
    false,
  )
  expect(live.utf8(']').equals(packet.utf8(']'))).toBe(true)
})
