import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { EXIT } from '../../cli/exit.ts'
import { createTestHub, type TestHub } from '../../server/testing.ts'
import { cliCommand, runCli, startChild } from '../support/hub/process.ts'
import { startRelay } from '../support/network/relay.ts'
import { until, within } from '../support/until.ts'

let hub: TestHub

beforeAll(async () => {
  hub = await createTestHub({ topics: { 'short.*': { retain: { events: 5 } } } })
})

afterAll(async () => {
  await hub.close()
})

type RunOptions = NonNullable<Parameters<typeof runCli>[1]>

function cli(args: readonly string[], options: RunOptions = {}) {
  return runCli(args, { ...options, env: { REPRISE_URL: hub.url, ...options.env } })
}

function start(args: readonly string[]) {
  return startChild([...cliCommand(), ...args], { env: { REPRISE_URL: hub.url } })
}

/** Publishes `count` events with their offset as data, and answers the epoch. */
async function fill(topic: string, count: number, data: (n: number) => unknown = (n) => n): Promise<string> {
  const drafts = Array.from({ length: count }, (_, i) => ({ data: data(i + 1) }))
  return (await hub.hub.topic(topic).publishAll(drafts)).epoch
}

function jsonLines(text: string): Record<string, unknown>[] {
  return text
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Record<string, unknown>)
}

async function listening(server: Server): Promise<string> {
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

const offsets = (text: string) => jsonLines(text).map(({ offset }) => offset)

describe('pub', () => {
  it('prints the offset of an event, with --json its place and durability', async () => {
    const first = await cli(['pub', 'pub.one', '{"id":1}'])
    expect(first).toMatchObject({ code: EXIT.ok, stdout: '1\n', stderr: '' })
    const second = await cli(['pub', 'pub.one', 'word', '--key', 'k', '--header', 'a=b=c', '--id', 'i', '--json'])
    const [receipt] = jsonLines(second.stdout)
    expect(receipt).toEqual({ topic: 'pub.one', epoch: expect.any(String), offset: 2, durability: 'fsync' })
    const again = await cli(['pub', 'pub.one', 'other', '--id', 'i'])
    expect(again.stdout).toBe('2\n')
    const { stdout } = await cli(['tail', 'pub.one', '--json'])
    expect(jsonLines(stdout)).toMatchObject([
      { offset: 1, data: { id: 1 } },
      { offset: 2, data: 'word', key: 'k', headers: { a: 'b=c' }, id: 'i' },
    ])
  })

  it('publishes the lines of its input in order, ten thousand as well', async () => {
    const input = Array.from({ length: 10_000 }, (_, i) => `{"n":${i + 1}}\n`).join('')
    const { code, stdout } = await cli(['pub', 'pub.lines', '--json'], { input })
    expect(code).toBe(EXIT.ok)
    expect(offsets(stdout)).toEqual(Array.from({ length: 10_000 }, (_, i) => i + 1))
    const read = await cli(['sub', 'pub.lines', '--from', 'start', '--count', '10000', '--json'])
    expect(jsonLines(read.stdout).every(({ offset, data }) => (data as { n: number }).n === offset)).toBe(true)
    expect(offsets(read.stdout)).toHaveLength(10_000)
  })

  it('takes text, blank lines aside', async () => {
    const { stdout } = await cli(['pub', 'pub.text', '--text'], { input: 'a "quoted" line\r\n\n  indented\n' })
    expect(stdout).toBe('published 2 events: offsets 1 to 2 of pub.text\n')
    const read = await cli(['tail', 'pub.text', '--json'])
    expect(jsonLines(read.stdout).map(({ data }) => data)).toEqual(['a "quoted" line', '  indented'])
  })

  it('tells the number of a wrong line and sends nothing from it on', async () => {
    const { code, stderr } = await cli(['pub', 'pub.wrong'], { input: '1\n2\nthree\n4\n' })
    expect(code).toBe(EXIT.usage)
    expect(stderr).toMatch(
      /^reprise: line 3 is wrong: .*; published 2 events: offsets 1 to 2 of pub.wrong, nothing from that line on\n$/,
    )
    expect(offsets((await cli(['tail', 'pub.wrong', '--json'])).stdout)).toEqual([1, 2])
  })

  it('tells which line the hub refused', async () => {
    const input = `1\n${JSON.stringify('x'.repeat(300_000))}\n`
    const { code, stderr } = await cli(['pub', 'pub.large'], { input })
    expect(stderr).toMatch(/^reprise: line 2: .*; published 1 event: offset 1 of pub.large, no other line\n$/)
    expect(code).toBe(EXIT.refused)
  })

  it('ends with 3 when the hub refuses, with its code', async () => {
    const { code, stderr } = await cli(['pub', 'pub.large', '--json', '--key', 'k'.repeat(300), '1'])
    expect(code).toBe(EXIT.refused)
    expect(JSON.parse(stderr)).toMatchObject({ error: { code: 'bad_request', retryable: false } })
  })

  it('copies a topic from what sub prints, keys, headers and binary included', async () => {
    await hub.hub
      .topic('copy.from')
      .publishAll([{ data: { a: 1 }, key: 'k', headers: { h: 'v' }, id: 'one' }, { data: Buffer.from([0, 1, 255]) }])
    const read = await cli(['sub', 'copy.from', '--from', 'start', '--count', '2', '--json'])
    expect(jsonLines(read.stdout)[1]).toMatchObject({ offset: 2, base64: 'AAH/' })
    const written = await cli(['pub', 'copy.to', '--drafts'], { input: read.stdout })
    expect(written.stdout).toBe('published 2 events: offsets 1 to 2 of copy.to\n')
    const copy = await cli(['tail', 'copy.to', '--json'])
    expect(jsonLines(copy.stdout)).toMatchObject([
      { data: { a: 1 }, key: 'k', headers: { h: 'v' }, id: 'one' },
      { base64: 'AAH/' },
    ])
  })
})

describe('sub', () => {
  it('goes on where its client was, and acknowledges only what it printed', async () => {
    await fill('sub.client', 10)
    const run = (count: number) =>
      cli(['sub', 'sub.client', '--client', 'me', '--from', 'start', '--count', String(count), '--json'])
    expect(offsets((await run(3)).stdout)).toEqual([1, 2, 3])
    expect(offsets((await run(1)).stdout)).toEqual([4])
    const peek = await cli(['sub', 'sub.client', '--client', 'me', '--no-ack', '--count', '6', '--json'])
    expect(offsets(peek.stdout)).toEqual([5, 6, 7, 8, 9, 10])
    expect(offsets((await run(2)).stdout)).toEqual([5, 6])
  })

  it('starts behind a position, and from a time', async () => {
    const epoch = await fill('sub.from', 4)
    const from = async (place: string, count: number) =>
      offsets((await cli(['sub', 'sub.from', '--from', place, '--count', String(count), '--json'])).stdout)
    expect(await from(`${epoch}:2`, 2)).toEqual([3, 4])
    expect(await from('1h', 4)).toEqual([1, 2, 3, 4])
    expect(await from('2020-01-01', 1)).toEqual([1])
  })

  it('prints gaps in their place, and exits with 4 where that was asked for', async () => {
    const epoch = await fill('short.gap', 20)
    const args = ['sub', 'short.gap', '--from', `${epoch}:2`, '--count', '2']
    const [text, json, fail] = await Promise.all([
      cli(args),
      cli([...args, '--json']),
      cli([...args, '--json', '--on-gap', 'fail']),
    ])
    expect(text.stdout.split('\n')[0]).toBe('-- gap: 13 events (3 to 15) can no longer be read: trimmed --')
    expect(jsonLines(json.stdout)).toMatchObject([
      { topic: 'short.gap', gap: { from: 3, to: 15, count: 13, reason: 'trimmed' } },
      { offset: 16 },
      { offset: 17 },
    ])
    expect(fail.code).toBe(EXIT.gap)
    expect(jsonLines(fail.stdout)).toMatchObject([{ gap: { from: 3, to: 15 } }])
    expect(JSON.parse(fail.stderr)).toMatchObject({ error: { code: 'gap' } })
  })

  it.each(['pub', 'send'])('%s tells of each line when the hub has it, while its input goes on', async (command) => {
    const [program, ...args] = [...cliCommand(), command, `told.${command}`, '--url', hub.url, '--json']
    const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] })
    const exited = once(child, 'exit')
    let text = ''
    child.stdout.setEncoding('utf8').on('data', (part: string) => {
      text += part
    })
    try {
      for (const line of [1, 2]) {
        child.stdin.write(`"line ${line}"\n`)
        await until(() => jsonLines(text).length === line, { what: `line ${line} to be told` })
      }
      child.stdin.end()
      expect(await exited).toEqual([0, null])
      expect(jsonLines(text)).toMatchObject([{ line: 1 }, { line: 2 }])
    } finally {
      child.kill('SIGKILL')
    }
  })

  it.each([
    ['SIGINT', EXIT.interrupted],
    ['SIGTERM', EXIT.terminated],
  ] as const)('ends at %s with %i, what it printed acknowledged', async (signal, code) => {
    const topic = `sub.${signal}`
    await fill(topic, 7)
    const child = start(['sub', topic, '--client', 'me', '--from', 'start', '--json'])
    await until(() => offsets(child.stdout()).length === 7)
    expect(await child.kill(signal)).toEqual({ code, signal: null })
    await fill(topic, 1)
    const next = await cli(['sub', topic, '--client', 'me', '--count', '1', '--json'])
    expect(offsets(next.stdout)).toEqual([8])
  })

  it.each([true, false])(
    'told to stop while its hub is away, waits a moment to acknowledge (%s: it is back)',
    async (back) => {
      const topic = `sub.away.${back}`
      const relay = await startRelay(hub.url)
      await fill(topic, 1)
      const child = start(['sub', topic, '--client', 'me', '--from', 'start', '--url', relay.url])
      await until(() => child.stdout() !== '')
      // What acknowledges the second event does not arrive, however slow this machine is.
      relay.delay(1_500)
      await fill(topic, 1)
      await until(() => child.stdout().split('\n').length === 3)
      relay.refuse(true)
      relay.cut()
      await until(() => child.stderr().includes('connection lost'))
      child.process.kill('SIGINT')
      await until(() => child.stderr().includes('the hub is away; waiting 5000 ms'), { seen: child.stderr })
      relay.delay(0)
      if (back) relay.refuse(false)
      else child.process.kill('SIGINT')
      expect(await within(child.exited, 10_000, 'the end')).toEqual({ code: EXIT.interrupted, signal: null })
      expect(child.stderr()).not.toContain('come again')
      await fill(topic, 1)
      const next = await cli(['sub', topic, '--client', 'me', '--count', '1', '--json'])
      expect(offsets(next.stdout)).toEqual([back ? 3 : 2])
    },
  )

  it('ends with 3 when another run takes its client over', async () => {
    await fill('sub.takeover', 1)
    const first = start(['sub', 'sub.takeover', '--client', 'me', '--from', 'start', '--json'])
    await until(() => first.stdout() !== '')
    const second = start(['sub', 'sub.takeover', '--client', 'me', '--json'])
    expect(await within(first.exited, 10_000, 'the first run to end')).toMatchObject({ code: EXIT.refused })
    expect(JSON.parse(first.stderr())).toMatchObject({ error: { code: 'taken_over' } })
    await second.kill('SIGINT')
  })

  it('acknowledges nothing that its reader has not taken', async () => {
    await fill('sub.slow', 1_000, () => 'x'.repeat(1_000))
    const [program, ...args] = [...cliCommand(), 'sub', 'sub.slow', '--client', 'me', '--from', 'start', '--json']
    const child = spawn(program, args, {
      env: { ...process.env, REPRISE_URL: hub.url },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    // The reader takes one piece and then nothing more, and its writer is killed while it waits.
    await once(child.stdout, 'readable')
    await until(async () => {
      const page = (await (await fetch(`${hub.url}/v1/topics/sub.slow/cursors`)).json()) as Record<string, unknown>
      const [cursor] = page.cursors as { position: { offset: number } }[]
      return cursor !== undefined && cursor.position.offset > 0
    })
    child.kill('SIGKILL')
    let taken = ''
    for await (const piece of child.stdout.setEncoding('utf8')) taken += piece
    const lines = taken.split('\n').length - 1
    expect(lines).toBeLessThan(1_000)
    const next = await cli(['sub', 'sub.slow', '--client', 'me', '--count', '1', '--json'])
    expect(offsets(next.stdout)[0]).toBeGreaterThan(1)
    expect(offsets(next.stdout)[0]).toBeLessThanOrEqual(lines + 1)
  })

  it.runIf(existsSync('/dev/full'))(
    'ends with 1 when what it prints cannot be written, and acknowledges nothing of it',
    async () => {
      await fill('sub.full', 3)
      const full = await open('/dev/full', 'w')
      const [program, ...args] = [...cliCommand(), 'sub', 'sub.full', '--client', 'me', '--from', 'start']
      const env = { ...process.env, REPRISE_URL: hub.url }
      const child = spawn(program, args, { env, stdio: ['ignore', full.fd, 'pipe'] })
      let stderr = ''
      child.stderr?.setEncoding('utf8').on('data', (text: string) => {
        stderr += text
      })
      const [code] = await once(child, 'close')
      await full.close()
      expect(stderr).toMatch(/^reprise: ENOSPC.*\n$/)
      expect(code).toBe(EXIT.failed)
      const next = await cli(['sub', 'sub.full', '--client', 'me', '--count', '1', '--json'])
      expect(offsets(next.stdout)).toEqual([1])
    },
  )

  it('ends quietly with 0 when its reader has gone', async () => {
    for (let i = 0; i < 5; i++) await fill('sub.pipe', 1_000)
    const child = start(['sub', 'sub.pipe', '--from', 'start', '--json'])
    child.process.stdout?.once('data', () => child.process.stdout?.destroy())
    expect(await within(child.exited, 10_000, 'the end')).toEqual({ code: EXIT.ok, signal: null })
    expect(child.stderr()).toBe('')
  })
})

describe('tail', () => {
  it('prints the last events, earliest first, over several pages too', async () => {
    await fill('tail.many', 1_000)
    await fill('tail.many', 1_000)
    expect(offsets((await cli(['tail', 'tail.many', '-n', '3', '--json'])).stdout)).toEqual([1_998, 1_999, 2_000])
    const all = offsets((await cli(['tail', 'tail.many', '-n', '1500', '--json'])).stdout)
    expect(all).toEqual(Array.from({ length: 1_500 }, (_, i) => 501 + i))
    expect((await cli(['tail', 'tail.many', '-n', '1'])).stdout).toMatch(/^ {2}2000 {2}\d{4}-.*Z {2}1000\n$/)
  })

  it('tells that a topic has nothing yet, and waits for it with -f', async () => {
    const sentence = 'reprise: there is no topic tail.unborn: nothing was published to it'
    const refused = { code: EXIT.refused, stdout: '', stderr: `${sentence}\n` }
    expect(await cli(['tail', 'tail.unborn'])).toMatchObject(refused)
    // Its next question reaches the hub when there are events.
    const relay = await startRelay(hub.url)
    relay.delay(150)
    const child = start(['tail', 'tail.unborn', '-n', '0', '-f', '--json', '--url', relay.url])
    await until(() => child.stderr() === `${sentence}; waiting for its first event\n`)
    await fill('tail.unborn', 3)
    await until(() => offsets(child.stdout()).length === 3)
    await child.kill('SIGINT')
  })

  it('goes on with -f, without a seam', async () => {
    await fill('tail.follow', 5)
    const child = start(['tail', 'tail.follow', '-n', '2', '-f', '--json'])
    await until(() => child.stdout() !== '')
    for (let i = 0; i < 20; i++) await fill('tail.follow', 1)
    await until(() => offsets(child.stdout()).length === 22, { seen: () => offsets(child.stdout()) })
    expect(offsets(child.stdout())).toEqual(Array.from({ length: 22 }, (_, i) => 4 + i))
    expect(await child.kill('SIGINT')).toMatchObject({ code: EXIT.interrupted })
  })
})

describe('topics and cursors', () => {
  it('are listed, as a table and as JSON', async () => {
    const epoch = await fill('list.a', 3)
    await fill('list.b', 1)
    await cli(['sub', 'list.a', '--client', 'reader', '--from', 'start', '--count', '1'])
    const [table, json, one, cursors, behind, upToDate] = await Promise.all([
      cli(['topics']),
      cli(['topics', '--json']),
      cli(['topics', 'list.a', '--json']),
      cli(['cursors', 'list.a', '--json']),
      cli(['cursors', 'list.a', '--behind', '2']),
      cli(['cursors', 'list.a', '--behind', '1']),
    ])
    expect(table.stdout).toMatch(/^topic +first +last +events +bytes +subscribers +cursors\n/)
    expect(table.stdout).toMatch(/^list\.a +1 +3 +3 +\d+ /m)
    expect(jsonLines(json.stdout)).toContainEqual(expect.objectContaining({ topic: 'list.b', first: 1, last: 1 }))
    expect(jsonLines(one.stdout)).toMatchObject([{ topic: 'list.a', epoch, events: 3 }])
    expect(jsonLines(cursors.stdout)).toMatchObject([{ client: 'reader', position: { epoch, offset: 1 }, lag: 2 }])
    expect(behind.stdout).toMatch(/^client .*\nreader .* 1 {2}/)
    expect(upToDate.stdout).toBe('no cursors behind that\n')
  })

  it('of a name that is not there are told', async () => {
    const { code, stderr } = await cli(['topics', 'list.none', '--json'])
    expect(JSON.parse(stderr)).toMatchObject({ error: { code: 'not_found' } })
    expect(code).toBe(EXIT.refused)
  })

  it('are listed over several pages', async () => {
    const many = await createTestHub()
    const names = Array.from({ length: 1_203 }, (_, i) => `t${String(i).padStart(4, '0')}`)
    await Promise.all(names.map((name) => many.hub.topic(name).publish(1)))
    const { stdout } = await cli(['topics', '--json'], { env: { REPRISE_URL: many.url } })
    expect(jsonLines(stdout).map(({ topic }) => topic)).toEqual(names)
    await many.close()
  })
})

describe('a server that is no hub', () => {
  it('is told as such within the timeout', async () => {
    const server = createServer(({ url = '' }, response) => {
      if (url.startsWith('/v1/queues')) response.writeHead(301, { location: 'https://hub.example.org/' }).end()
      else response.writeHead(404).end('nothing here')
    })
    const url = await listening(server)
    for (const args of [['topics'], ['sub', 't'], ['tail', 't'], ['pub', 't', '1']]) {
      const { code, stderr } = await cli([...args, '--url', url, '--timeout', '500ms'])
      expect(code, args[0]).toBe(EXIT.failed)
      expect(stderr, args[0]).toMatch(/^reprise: .+\n$/)
    }
    const { stderr } = await cli(['queues', '--url', url])
    expect(stderr).toContain('answers 301 and points to https://hub.example.org/, but not as a hub does')
    server.close()
  })
})

describe('redrive', () => {
  it.each([0, 1])(
    'says how many are back where the hub dies behind %i parts, and how many may be',
    async (answered) => {
      let parts = 0
      const part = { matched: 500, moved: 500, more: true, next: 'x', asOf: 1 }
      const server = createServer(({ method }, response) => {
        if (method !== 'GET' && parts++ === answered) return response.destroy()
        return response.end(JSON.stringify(method === 'GET' ? { queue: 'graves', counts: { dead: 900 } } : part))
      })
      const { code, stderr } = await cli(['redrive', 'graves', '--url', await listening(server)])
      const back = `; ${answered * 500} are back in graves already, and of the last part up to 500 more may be: nobody`
      expect(stderr).toContain(back)
      expect(code).toBe(EXIT.failed)
      server.close()
    },
  )
})
