import { describe, expect, it } from 'vitest'
import { asking } from '../support/clients/ask.ts'
import { startHub } from '../support/hub/hub.ts'
import { NUMBERS_CHANGED, NUMBERS_KEPT } from '../support/numbers.ts'

const hub = await startHub()
const ask = asking(hub.url)

const EVENTS = '/v1/topics/t/events'
const JOBS = '/v1/queues/q/jobs'

const deep = `${'['.repeat(100_000)}${']'.repeat(100_000)}`

describe('bodies at their limits', () => {
  it('are counted before they are looked at', async () => {
    const many = JSON.stringify(Array.from({ length: 120_000 }, () => ({})))
    const tooMany = { status: 413, body: { message: '120000 drafts in one call; at most 1000' } }
    expect(await ask('POST', EVENTS, many)).toMatchObject(tooMany)
    expect(await ask('POST', JOBS, many)).toMatchObject(tooMany)
    const settled = await ask('POST', '/v1/queues/q/settlements', many)
    expect(settled).toMatchObject({
      status: 400,
      body: { message: expect.stringContaining('120000 settlements in one call') },
    })
    const headers = Object.fromEntries(Array.from({ length: 40_000 }, (_, i) => [`h${i}`, i]))
    for (const path of [EVENTS, JOBS]) {
      const refused = await ask('POST', path, { data: 1, headers })
      expect(refused).toMatchObject({ status: 400, body: { message: expect.stringContaining('at most 64 headers') } })
    }
    const ids = Array.from({ length: 200_000 }, () => 1)
    const redriven = await ask('POST', '/v1/queues/q/redrive', { filter: { ids } })
    expect(redriven).toMatchObject({ status: 400, body: { message: expect.stringContaining('1 to 1000 ids') } })
  })

  it('are refused where they are nested too deeply, by whatever reads them', async () => {
    for (const [method, path, body] of [
      ['POST', EVENTS, `{"data":${deep}}`],
      ['POST', EVENTS, deep],
      ['POST', JOBS, `{"data":1,"headers":${deep}}`],
      ['POST', '/v1/queues/q/settlements', `[{"id":"a","lease":"b","as":"done","reply":${deep}}]`],
      ['PUT', '/v1/topics/t', deep],
      ['PUT', '/v1/topics/t', `{"retain":{"events":${deep}}}`],
      ['PUT', '/v1/queues/q', `{"from":${deep}}`],
      ['POST', '/v1/queues/q/redrive', deep],
      ['PUT', '/v1/topics/t/cursors/c', `{"from":${deep}}`],
    ] as const) {
      expect(await ask(method, path, body), `${method} ${path}`).toMatchObject({ status: 400 })
    }
  })

  it('name no option of a million characters, and look for none that is near', async () => {
    const began = performance.now()
    const { status, body } = await ask<{ detail: string }>('PUT', '/v1/topics/t', { ['x'.repeat(1_000_000)]: 1 })
    expect([status, body.detail.length < 400]).toEqual([400, true])
    expect(performance.now() - began).toBeLessThan(5_000)
  })

  it('keep a key that is called __proto__, and refuse such a header', async () => {
    const draft = '{"data":{"__proto__":1},"headers":{"a":"kept"}}'
    expect(await ask('POST', '/v1/topics/proto/events', draft)).toMatchObject({ status: 201 })
    const response = await fetch(`${hub.url}/v1/topics/proto/events`)
    expect(await response.text()).toContain(draft.slice(1))
    expect(await ask('POST', '/v1/queues/proto/jobs', draft)).toMatchObject({ status: 201 })
    const claimed = await fetch(`${hub.url}/v1/queues/proto/claims`, { method: 'POST' })
    const job = await claimed.text()
    expect(job).toContain('"data":{"__proto__":1}')
    expect(job).toContain('"headers":{"a":"kept"}')
    for (const path of ['/v1/topics/proto/events', '/v1/queues/proto/jobs']) {
      const refused = await ask('POST', path, '{"data":1,"headers":{"__proto__":"x"}}')
      expect(refused).toMatchObject({ status: 400, body: { message: expect.stringContaining('no header is called') } })
    }
  })

  it('are refused with numbers that a double does not hold', async () => {
    for (const path of [EVENTS, JOBS]) {
      for (const text of NUMBERS_CHANGED) {
        const refused = await ask('POST', path, `{"data":{"a":"9","n":${text}}}`)
        expect(refused, text).toMatchObject({ status: 400, body: { message: expect.stringContaining('the number') } })
      }
      const kept = `{"data":["\\"9007199254740993",${NUMBERS_KEPT.join(',')}]}`
      expect(await ask('POST', path, kept)).toMatchObject({ status: 201 })
    }
    await expect(hub.hub.topic('t').publish({ n: [Number.NaN] })).rejects.toMatchObject({ code: 'bad_request' })
    await expect(hub.hub.topic('t').publish(Number.POSITIVE_INFINITY)).rejects.toMatchObject({ code: 'bad_request' })
    await expect(hub.hub.queue('q').send([1, -Number.POSITIVE_INFINITY])).rejects.toMatchObject({ code: 'bad_request' })
  })
})
