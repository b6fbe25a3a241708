/** The life of a queue as a topic: what it tells, to whom, and that each step is there once, whatever happens meanwhile. */

import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import { connect, type LifeEvent } from '../../../client/index.ts'
import type { Grant } from '../../../server/core/access.ts'
import { startHub } from '../../support/hub/hub.ts'
import { until } from '../../support/until.ts'

const post = (url: string, path: string, body: unknown, headers: Record<string, string> = {}) =>
  fetch(`${url}/v1/${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  })

test('each step of a job is told once and in order, to handlers and to those who replay it later', async () => {
  const { url } = await startHub({
    queues: { orders: { events: true, maxAttempts: 2, backoffMs: 1, maxBackoffMs: 1 } },
  })
  await using hub = connect(url, { quiet: true })
  const orders = hub.queue('orders')
  const dead: LifeEvent[] = []
  const done: LifeEvent[] = []
  const undo = orders.on('dead', (event) => dead.push(event))
  orders.on('done', (event) => {
    done.push(event)
    throw new Error('a handler that fails takes nothing from the others')
  })
  expect(() => orders.on('finished' as 'done', () => {})).toThrow(/known: sent, started/)
  const progress: LifeEvent[] = []
  orders.on('progress', (event) => progress.push(event))
  orders.consume(async (job) => {
    const { data } = job
    if (data === 'good') {
      expect(await job.progress({ part: 1 })).toBe(true)
      void job.progress({ part: 2, bytes: new Uint8Array([2]) })
      void job.log('on its way')
    }
    if (data === 'bad') throw new Error('no such order')
    return { total: 7, bytes: new Uint8Array([1]) }
  })
  // Handlers hear of what comes after they are there.
  const topicOf = async () => (await (await fetch(`${url}/v1/topics/$queue.orders`)).json()) as { subscribers?: number }
  await orders.send('first', { id: 'first' })
  await until(async () => (await topicOf()).subscribers === 1, { what: 'the subscription of the handlers' })
  await orders.request('good', { id: 'good' })
  await orders.send('bad', { id: 'bad' })
  await until(() => dead.length === 1 && done.some(({ id }) => id === 'good'), { what: 'what happened' })
  expect(dead[0]).toEqual({ kind: 'dead', id: 'bad', attempt: 2, error: 'Error: no such order' })
  expect(done.find(({ id }) => id === 'good')).toMatchObject({ attempt: 1, result: { total: 7 } })
  undo()
  await until(() => progress.length === 2, { what: 'the progress' })
  expect(progress.map(({ id, attempt }) => [id, attempt])).toEqual(Array(2).fill(['good', 1]))
  expect(progress[0]).toMatchObject({ kind: 'progress', value: { part: 1 } })
  expect(await orders.job('good')).toMatchObject({
    progress: { part: 2, bytes: Buffer.from([2]) },
    log: [{ at: expect.any(Number), text: 'on its way' }],
  })

  const told: LifeEvent[] = []
  const topic = hub.topic('$queue.orders')
  topic.subscribe(({ data, key }) => void (key === 'bad' && told.push(data as LifeEvent)), { from: 'start' })
  await until(() => told.at(-1)?.kind === 'dead', { what: 'the life of the bad one' })
  expect(told.map(({ kind, attempt }) => `${kind} ${attempt ?? ''}`)).toEqual([
    ...['sent ', 'started 1', 'failed 1', 'retrying 1', 'started 2', 'failed 2', 'dead 2'],
  ])
  await expect(topic.publish('mine')).rejects.toMatchObject({ code: 'forbidden' })
  expect((await post(url, 'topics/$queue.orders/events', { data: 1 })).status).toBe(403)
  // Of a queue without the setting there is nothing.
  await hub.queue('quiet').send(1)
  expect(await hub.topic('$queue.quiet').read()).toMatchObject({ last: 0 })
})

test('whoever may read the queue may read its life, and nobody else; nobody publishes there', async () => {
  const rights: Record<string, Grant[]> = {
    all: [{ actions: ['*'], names: ['*'] }],
    reader: [{ actions: ['read'], names: ['orders'] }],
    topics: [{ actions: ['subscribe', 'publish', 'send', 'consume'], names: ['*'] }],
  }
  const keyOf = (name: string) => `rk_${name}_${'k'.repeat(43)}`
  const hashOf = (key: string) => `sha256:${createHash('sha256').update(key).digest('hex')}`
  const keys = Object.entries(rights).map(([name, grants]) => ({ name, hash: hashOf(keyOf(name)), grants }))
  const { url } = await startHub({
    auth: { keys },
    queues: { orders: { events: true } },
  })
  const statusOf = async (name: string, method: string, path: string, body?: unknown) => {
    const headers = { authorization: `Bearer ${keyOf(name)}`, 'content-type': 'application/json' }
    return (
      await fetch(`${url}/v1/topics/$queue.orders${path}`, { method, headers, body: JSON.stringify(body) ?? null })
    ).status
  }
  for (const [name, status] of [
    ['all', 200],
    ['reader', 200],
    ['topics', 403],
  ] as const) {
    expect([name, await statusOf(name, 'GET', '/events')]).toEqual([name, status])
    expect([name, await statusOf(name, 'POST', '/events', { data: 1 })]).toEqual([name, 403])
  }
  expect(await statusOf('reader', 'DELETE', '')).toBe(403)
})
