/** Input that is large, deep or strange: what is wrong is found before it costs anything, and the hub serves on. */

import { beforeAll, describe, expect, it } from 'vitest'
import { connectRaw } from '../support/clients/rawSocket.ts'
import { join, joinNamespace, type Wire } from '../support/clients/wire.ts'
import { startHub } from '../support/hub/hub.ts'
import { NUMBERS_CHANGED, NUMBERS_KEPT } from '../support/numbers.ts'

/** Work that grows with the square takes longer than this, work that is linear a hundredth of it. */
const PROMPT_MS = 5_000

let url: string
let number = 0
const nextName = () => `limits-${++number}`

async function topic(): Promise<Wire> {
  return await join(url, nextName(), { from: 'none' })
}

async function promptly<T>(work: () => Promise<T>): Promise<T> {
  const began = performance.now()
  const value = await work()
  expect(performance.now() - began).toBeLessThan(PROMPT_MS)
  return value
}

const refused = (code: string, message: string) => ({
  ok: false,
  error: { code, message: expect.stringContaining(message), retryable: false },
})

describe('input at its limits', () => {
  beforeAll(async () => {
    ;({ url } = await startHub())
  })

  it('takes data that is wide at a great depth, and costs no more than its size', async () => {
    const wire = await topic()
    let data: unknown = Array.from({ length: 80_000 }, () => [])
    for (let depth = 0; depth < 900; depth++) data = [data]
    await promptly(() => wire.value('publish', [{ data }]))
    const queues = await joinNamespace(url, '/queues')
    await promptly(() => queues.value('send', nextName(), [{ data }]))
  })

  it('refuses data that is far too large before it walks it, wherever data stands', async () => {
    const wire = await topic()
    const queues = await joinNamespace(url, '/queues')
    const nested = Array.from({ length: 150_000 }, () => [])
    const tooLarge = refused('too_large', 'more than 262144 bytes')
    expect(await promptly(() => wire.call('publish', [{ data: nested }]))).toMatchObject(tooLarge)
    expect(await promptly(() => queues.call('send', nextName(), [{ data: nested }]))).toMatchObject(tooLarge)
    expect(await promptly(() => queues.call('request', nextName(), { data: nested }))).toMatchObject(tooLarge)
    const settled = await promptly(() =>
      queues.call('settle', nextName(), [{ id: 'x', lease: 'y', as: 'done', reply: nested }]),
    )
    expect(settled).toMatchObject(tooLarge)
    const told = await promptly(() => queues.call('progress', nextName(), [{ id: 'x', lease: 'y', value: nested }]))
    expect(told).toMatchObject(refused('too_large', 'the value of report 0 has more than 65536 bytes'))
    expect(await wire.call('publish', [{ data: 1 }])).toMatchObject({ ok: true })
  })

  it('refuses depth in data, in settings and in a handshake without a stack of its own', async () => {
    const deep = `${'['.repeat(100_000)}${']'.repeat(100_000)}`
    const raw = await connectRaw(url, `/topics/${nextName()}`, { from: 'none' })
    expect(await raw.call(`["publish",[{"data":${deep}}]]`)).toMatchObject(refused('bad_request', 'nested deeper'))
    expect(await raw.call(`["read",${deep}]`)).toMatchObject(refused('bad_request', 'read'))
    expect(await raw.call(`["publish",[{"data":1,"headers":${deep}}]]`)).toMatchObject(
      refused('bad_request', 'headers'),
    )
    expect(await raw.refusal(`/topics/${nextName()}`, `{"protocol":${deep}}`)).toMatchObject({ code: 'unsupported' })
    expect(await raw.refusal(`/topics/${nextName()}`, `{"from":${deep}}`)).toMatchObject({ code: 'bad_request' })
    expect(await raw.refusal('/queues', `{"protocol":{"a":${deep}}}`)).toMatchObject({ code: 'unsupported' })
  })

  it('counts lists before it looks at what is in them', async () => {
    const wire = await topic()
    const queues = await joinNamespace(url, '/queues')
    const queue = nextName()
    const many = Array.from({ length: 150_000 }, () => ({}))
    const tooMany = refused('too_large', '150000 drafts in one call; at most 1000')
    expect(await promptly(() => wire.call('publish', many))).toMatchObject(tooMany)
    expect(await promptly(() => queues.call('send', queue, many))).toMatchObject(tooMany)
    const settle = await promptly(() => queues.call('settle', queue, many))
    expect(settle).toMatchObject(refused('bad_request', '150000 settlements in one call; at most 10000'))
    const told = await promptly(() => queues.call('progress', queue, many))
    expect(told).toMatchObject(refused('bad_request', '150000 reports in one call; at most 10000'))
    const consume = await promptly(() => queues.call('consume', queue, { credit: 1, holding: many }))
    expect(consume).toMatchObject(refused('bad_request', 'at most 10000 leases'))
    const wrong = Array.from({ length: 1_000 }, () => ({}))
    expect(await wire.call('publish', wrong)).toMatchObject(refused('bad_request', 'drafts: [0]'))
  })

  it('counts headers before it looks at them, and says how many there may be', async () => {
    const wire = await topic()
    const queues = await joinNamespace(url, '/queues')
    const headers = Object.fromEntries(Array.from({ length: 50_000 }, (_, i) => [`h${i}`, i]))
    const tooMany = refused('bad_request', 'at most 64 headers')
    expect(await promptly(() => wire.call('publish', [{ data: 1, headers }]))).toMatchObject(tooMany)
    expect(await queues.call('send', nextName(), [{ data: 1, headers }])).toMatchObject(tooMany)
    expect(await queues.call('request', nextName(), { data: 1, headers })).toMatchObject(tooMany)
    const few = Object.fromEntries(Array.from({ length: 64 }, (_, i) => [`h${i}`, 'v']))
    expect(await wire.call('publish', [{ data: 1, headers: few }])).toMatchObject({ ok: true })
  })

  it('keeps a key of data that is called __proto__, and refuses such a header', async () => {
    const name = nextName()
    const raw = await connectRaw(url, `/topics/${name}`, { from: 'none' })
    const draft = '{"data":{"__proto__":{"a":1}},"headers":{"b":"c"}}'
    expect(await raw.call(`["publish",[${draft}]]`)).toMatchObject({ ok: true })
    expect(await raw.callText('["read",{}]')).toContain(draft.slice(1))
    expect(await raw.call('["publish",[{"data":1,"headers":{"__proto__":"x"}}]]')).toMatchObject(
      refused('bad_request', 'no header is called __proto__'),
    )
    expect(await raw.call('["publish",[{"data":1,"__proto__":5}]]')).toMatchObject({ ok: false })
  })

  it('refuses numbers that a double does not hold, and keeps all others', async () => {
    const raw = await connectRaw(url, `/topics/${nextName()}`, { from: 'none' })
    for (const text of NUMBERS_CHANGED) {
      const reply = await raw.call(`["publish",[{"data":{"n":[${text}]}}]]`)
      expect(reply, text).toMatchObject(refused('bad_request', 'number'))
    }
    for (const text of NUMBERS_KEPT) {
      expect(await raw.call(`["publish",[{"data":{"n":[${text}]}}]]`), text).toMatchObject({ ok: true })
    }
    const queues = await connectRaw(url, '/queues', {})
    const queue = JSON.stringify(nextName())
    for (const args of [
      `["send",${queue},[{"data":9007199254740993}]]`,
      `["request",${queue},{"data":1e400}]`,
      `["settle",${queue},[{"id":"a","lease":"b","as":"done","reply":9007199254740993}]]`,
    ]) {
      expect(await queues.call(args), args).toMatchObject(refused('bad_request', 'number'))
    }
  })
})
