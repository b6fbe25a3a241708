import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import * as theirs from 'socket.io-parser'
import { describe, expect, it } from 'vitest'
import * as ours from '../../build/script/parser.ts'
import { withoutPrivate } from '../../build/script/plain.ts'
import { runSeed } from '../support/seed.ts'

type Decoding = { readonly packets: unknown[]; readonly refused: boolean }

/** What a decoder makes of the frames of one packet. */
function decoded(decoder: ours.Decoder | theirs.Decoder, frames: readonly unknown[]): Decoding {
  const packets: unknown[] = []
  const keep = (packet: unknown) => packets.push(structuredClone(packet))
  if (decoder instanceof ours.Decoder) decoder.on('decoded', keep)
  else decoder.on('decoded', keep)
  try {
    for (const frame of frames) decoder.add(frame)
    return { packets: packets.map((packet) => ({ data: undefined, id: undefined, ...Object(packet) })), refused: false }
  } catch {
    return { packets: [], refused: true }
  }
}

function both(frames: readonly unknown[]): [Decoding, Decoding] {
  return [decoded(new ours.Decoder(), frames), decoded(new theirs.Decoder(), frames)]
}

/** Socket.IO's loses this one in a packet with binary. */
const name = fc.string().filter((one) => one !== '__proto__')
const bytes = fc.uint8Array({ maxLength: 5 })
const value = fc.letrec((tie) => ({
  any: fc.oneof(
    { depthSize: 'small' },
    fc.constant(null),
    fc.boolean(),
    fc.integer(),
    fc.string(),
    bytes,
    fc.date({ noInvalidDate: true }),
    fc.array(tie('any'), { maxLength: 3 }),
    fc.dictionary(name, tie('any'), { maxKeys: 3 }),
  ),
})).any
const call = fc.record({
  type: fc.constantFrom(theirs.PacketType.EVENT, theirs.PacketType.ACK),
  nsp: fc.constantFrom('/', '/queues', '/topics/a.b:c', '/topics/a#2'),
  id: fc.option(fc.nat(), { nil: undefined }),
  data: fc.array(value, { maxLength: 3 }).map((args) => ['publish', ...args]),
})
const other = fc.constantFrom(
  { type: theirs.PacketType.CONNECT, nsp: '/', data: { token: 'x', protocol: 1 } },
  { type: theirs.PacketType.CONNECT, nsp: '/queues' },
  { type: theirs.PacketType.DISCONNECT, nsp: '/topics/a' },
  { type: theirs.PacketType.CONNECT_ERROR, nsp: '/topics/a', data: { message: 'no', data: { code: 'forbidden' } } },
)

describe('the parser of the script for browsers', () => {
  it('writes and reads packets as the one of Socket.IO does', () => {
    const property = fc.property(fc.oneof({ weight: 9, arbitrary: call }, other), (packet) => {
      const { id, ...rest } = packet as typeof packet & { readonly id?: number }
      const given = id === undefined ? rest : { ...rest, id }
      const frames = new theirs.Encoder().encode(structuredClone(given) as theirs.Packet)
      expect(new ours.Encoder().encode(given)).toEqual(frames)
      const [own, known] = both(frames)
      expect(own).toEqual(known)
      expect(own.refused).toBe(frames.length > 11)
    })
    fc.assert(property, { seed: runSeed('packets of Socket.IO'), numRuns: 500 })
  })

  it('refuses what the one of Socket.IO refuses', () => {
    const texts = [
      '7',
      'x',
      '2',
      '0',
      '1',
      '3',
      '4"no"',
      '4{}',
      '2["a"]',
      '2{}',
      '2[]',
      '2[null]',
      '2["connect"]',
      '2[1]',
    ]
    const more = [
      '1[]',
      '0[]',
      '0"x"',
      '0null',
      '3{}',
      '3[]',
      '2/a',
      '2/a,',
      '2/a,1["b"]',
      '212["b"]',
      '2[',
      '41',
      '2-["a"]',
    ]
    const binary = [
      '5["a"]',
      '50-["a"]',
      '511-["a"]',
      '5x-["a"]',
      '21-["a"]',
      '51-[',
      '51-{}',
      '61-[]',
      '51-["connect"]',
    ]
    const marks = ['"x"', '1', '-1', '"length"', 'null'].map((num) => `51-["a",{"_placeholder":true,"num":${num}}]`)
    for (const text of [...texts, ...more, ...binary, ...marks]) {
      const [own, known] = both([text, ...(/^[56]\d/.test(text) ? [new Uint8Array(1)] : [])])
      expect(own, text).toEqual(known)
    }
    const half = '51-["a",{"_placeholder":true,"num":0}]'
    for (const frames of [[new Uint8Array(1)], [half, half], [half, new Uint8Array(1), new Uint8Array(1)]]) {
      const [own, known] = both(frames)
      expect(own).toEqual(known)
    }
  })

  it('forgets a packet that is not whole', () => {
    const decoder = new ours.Decoder()
    decoder.add('51-["a",{"_placeholder":true,"num":0}]')
    decoder.destroy()
    expect(decoded(decoder, ['2["b"]']).packets).toMatchObject([{ data: ['b'] }])
  })
})

describe('private members in the script for browsers', () => {
  it('get short names, each class its own, and mean the same', () => {
    const text = `(() => {
      class Outer {
        #count = 1; #unset; static #made = 0
        get #next() { return ++this.#count }
        set #next(value) { this.#count = value }
        static { Outer.#made++ }
        #inner(other) { return class { #count = 10; sum() { return this.#count + other.#next + Outer.#made } } }
        run() { this.#next = 5; return [this.#next, this.#unset, new (this.#inner(this))().sum()] }
      }
      return new Outer().run()
    })()`
    const plain = withoutPrivate(text, 'x.ts')
    expect(plain).not.toContain('#')
    const run = (code: string): unknown => runInNewContext(code)
    expect(run(plain)).toEqual(run(text))
  })

  it('are refused where they could meet those of another class, or where others ask for them', () => {
    expect(() => withoutPrivate('class A extends B { #a = 1 }', 'x.ts')).toThrow('x.ts')
    expect(() => withoutPrivate('class A { #a = 1; static is(x) { return #a in x } }', 'x.ts')).toThrow('#a in x')
  })
})
