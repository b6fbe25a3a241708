import { afterEach, describe, expect, it, vi } from 'vitest'
import { readData, readDraft } from '../../cli/input/drafts.ts'
import { readLines } from '../../cli/input/lines.ts'
import { eventJson, eventText, gapText } from '../../cli/output/events.ts'
import { colours, table } from '../../cli/output/output.ts'
import { readPlace } from '../../shared/places.ts'
import { printable } from '../../shared/printable.ts'
import { runSeed, seededRandom } from '../support/seed.ts'

async function* chunks(...parts: (string | Uint8Array)[]): AsyncGenerator<Uint8Array> {
  for (const part of parts) yield Buffer.from(part)
}

async function linesOf(...parts: (string | Uint8Array)[]) {
  const lines: [number, string][] = []
  for await (const { number, text } of readLines(chunks(...parts))) lines.push([number, text])
  return lines
}

describe('lines', () => {
  it('are numbered, whatever the chunks, and blank ones are left out', async () => {
    expect(await linesOf('a\n\n', 'b', 'c\r\nd', '\n', 'e')).toEqual([
      [1, 'a'],
      [3, 'bc'],
      [4, 'd'],
      [5, 'e'],
    ])
  })

  it('end at a line feed only, and lose a byte order mark', async () => {
    expect(await linesOf('\ufeff"a\u2028b"\n')).toEqual([[1, '"a\u2028b"']])
  })

  it('count every byte of the input', async () => {
    const input = 'ä\n\n \nb\r\nc\n'
    let bytes = 0
    for await (const line of readLines(chunks(input))) bytes += line.bytes
    expect(bytes).toBe(Buffer.byteLength(input))
  })

  it('are refused with their number when they are no UTF-8', async () => {
    await expect(linesOf('a\n', Uint8Array.of(0xc3, 0x28, 0x0a))).rejects.toThrow('line 2 is not UTF-8')
  })

  it('come out the same however the bytes are cut', async () => {
    const random = seededRandom(runSeed('lines cut anywhere'))
    const texts = Array.from({ length: 200 }, (_, i) => `${i}${'ä😀x'.repeat(random.integer(0, 9))}`)
    const all = Buffer.from(`${texts.join('\n')}\n`)
    const parts: Uint8Array[] = []
    for (let at = 0; at < all.length; ) {
      const end = at + random.integer(1, 40)
      parts.push(all.subarray(at, end))
      at = end
    }
    expect((await linesOf(...parts)).map(([, text]) => text)).toEqual(texts)
  })
})

describe('data of the command line', () => {
  it.each([
    ['{"a":1}', { a: 1 }],
    ['12', 12],
    ['null', null],
    ['"x"', 'x'],
    ['hello world', 'hello world'],
  ])('%s is %j', (text, data) => {
    expect(readData(text, false)).toEqual(data)
  })

  it('that begins like JSON and is none is refused, unless it is said to be text', () => {
    for (const text of ['{"a":', '[1', '"x', '12:30', '']) {
      expect(() => readData(text, false), text).toThrow(/^data is not JSON: .*--text/)
      expect(readData(text, true)).toBe(text)
    }
  })
})

describe('a draft', () => {
  it('has data or base64, and may be an event as sub prints it', () => {
    const event = { topic: 't', epoch: 'e', offset: 3, at: 5, id: 'i', key: 'k', headers: { a: 'b' }, data: [1] }
    expect(readDraft(JSON.stringify(event))).toEqual({ data: [1], id: 'i', key: 'k', headers: { a: 'b' } })
    expect(readDraft('{"data":null}')).toEqual({ data: null })
    expect(readDraft('{"base64":"AQI="}').data).toEqual(Buffer.from([1, 2]))
    const binary = eventJson('t', 'e', { offset: 1, at: 1, data: Buffer.from([1, 2]) })
    expect(readDraft(binary).data).toEqual(Buffer.from([1, 2]))
  })

  it.each([
    ['[]', 'a draft is an object with data'],
    ['{}', 'a draft has either data or base64'],
    ['{"data":1,"base64":""}', 'a draft has either data or base64'],
    ['{"data":1,"keys":"k"}', 'keys is no part of a draft; known: data, base64, id, key, headers'],
    ['{"data":1,"key":5}', 'key is not a string'],
    ['{"data":1,"headers":{"a":1}}', 'header a is not a string'],
    ['{"base64":"%"}', 'base64 is not base64'],
    ['{"topic":"t","gap":{}}', 'that is a gap, which cannot be published'],
  ])('%s is refused: %s', (text, message) => {
    expect(() => readDraft(text)).toThrow(message)
  })
})

describe('a place', () => {
  const now = Date.parse('2026-11-21T12:00:00Z')

  it.each([
    ['start', 'start'],
    ['end', 'end'],
    ['cursor', 'cursor'],
    ['a1b2:42', { epoch: 'a1b2', offset: 42 }],
    ['2026-11-21T08:30', { at: Date.parse('2026-11-21T08:30') }],
    ['2026-11-21T08:30:00Z', { at: Date.parse('2026-11-21T08:30:00Z') }],
    ['2026-11-21', { at: Date.parse('2026-11-21') }],
    ['1795000000000', { at: 1_795_000_000_000 }],
    ['last:5', { last: 5 }],
    ['2h', { at: now - 7_200_000 }],
  ])('%s', (text, place) => {
    expect(readPlace(text, now)).toEqual({ place })
  })

  it.each([
    'begin',
    '42',
    ' 42',
    '42 ',
    '2026-13-45',
    '2026-02-30',
    '2026-02-30T01:00:00Z',
    'a:b',
    '',
    '2 hours',
    '2h ',
  ])('is not "%s"', (text) => {
    expect(readPlace(text, now)).toEqual({ fault: expect.stringMatching(/^has to be (start|a time|epoch:offset)/) })
  })
})

describe('colours', () => {
  afterEach(() => void vi.unstubAllEnvs())

  const coloured = (isTTY: boolean, env: Record<string, string> = {}) => {
    for (const name of ['NO_COLOR', 'FORCE_COLOR', 'TERM']) vi.stubEnv(name, env[name])
    return colours({ isTTY }).red('x') !== 'x'
  }

  it('are for terminals, unless NO_COLOR says no or FORCE_COLOR says yes', () => {
    expect(coloured(true, { TERM: 'xterm' })).toBe(true)
    expect(coloured(false, { TERM: 'xterm' })).toBe(false)
    expect(coloured(true, { TERM: 'dumb' })).toBe(false)
    expect(coloured(true, { NO_COLOR: '1' })).toBe(false)
    expect(coloured(true, { NO_COLOR: '1', FORCE_COLOR: '1' })).toBe(false)
    expect(coloured(true, { NO_COLOR: '' })).toBe(true)
    expect(coloured(false, { FORCE_COLOR: '1' })).toBe(true)
  })
})

describe('output', () => {
  it('lets nothing that an event holds steer the terminal', () => {
    const evil = '\u001b]0;owned\u0007\u009b2J\u202eabc\n'
    const shown = eventText({ offset: 1, at: 0, data: { [evil]: evil }, key: evil, headers: { [evil]: evil } })
    expect(printable(shown)).toBe(shown)
    expect(table(['a'], [[evil]]).join('')).not.toContain('\u001b')
  })

  it('shows binary data as base64, at the top and within', () => {
    expect(JSON.parse(eventJson('t', 'e', { offset: 1, at: 2, data: { a: [Buffer.from('x')] } }))).toEqual({
      topic: 't',
      epoch: 'e',
      offset: 1,
      at: 2,
      data: { a: [{ base64: 'eA==' }] },
    })
  })

  it('names what a gap is', () => {
    const position = { epoch: 'e', offset: 9 }
    expect(gapText({ epoch: 'e', from: 4, to: 9, count: 6, reason: 'trimmed', position })).toBe(
      '-- gap: 6 events (4 to 9) can no longer be read: trimmed --',
    )
    expect(gapText({ epoch: 'e', from: null, to: null, count: null, reason: 'reset', position })).toBe(
      '-- gap: events, unknown how many, can no longer be read: reset --',
    )
  })
})
