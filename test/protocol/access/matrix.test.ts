/** Who may do what: every call over HTTP and Socket.IO, with the one action that it needs, with all others, and without a token. */

import { beforeAll, describe, expect, it } from 'vitest'
import { ACTIONS, type Action } from '../../../server/core/access.ts'
import { type Ask, asking } from '../../support/clients/ask.ts'
import { SECRET, tokenOf } from '../../support/clients/tokens.ts'
import { join, joinNamespace } from '../../support/clients/wire.ts'
import { startHub } from '../../support/hub/hub.ts'

interface Needed {
  /** None: for whoever is known. */
  readonly action?: Action
  readonly body?: unknown
}

/** Every operation of the OpenAPI document has to be here. */
const HTTP: Readonly<Record<string, Needed>> = {
  'GET /me': {},
  'POST /tickets': {},
  'POST /revocations': { action: 'admin', body: { tokenId: 'nobody' } },
  'GET /revocations': { action: 'admin' },
  'DELETE /revocations/{id}': { action: 'admin' },
  'POST /topics/{topic}/events': { action: 'publish', body: { data: 1 } },
  'GET /topics/{topic}/events': { action: 'read' },
  'GET /topics/{topic}/stream': { action: 'subscribe' },
  'GET /topics': { action: 'admin' },
  'GET /topics/{topic}': { action: 'read' },
  'PUT /topics/{topic}': { action: 'admin', body: {} },
  'DELETE /topics/{topic}': { action: 'admin' },
  'GET /topics/{topic}/settings': { action: 'read' },
  'GET /topics/{topic}/cursors': { action: 'admin' },
  'PUT /topics/{topic}/cursors/{client}': { action: 'admin', body: { from: 'end' } },
  'DELETE /topics/{topic}/cursors/{client}': { action: 'admin' },
  'POST /queues/{queue}/jobs': { action: 'send', body: { data: 1 } },
  'GET /queues/{queue}/jobs': { action: 'read' },
  'GET /queues/{queue}/jobs/{id}': { action: 'read' },
  'DELETE /queues/{queue}/jobs/{id}': { action: 'admin' },
  'POST /queues/{queue}/claims': { action: 'consume', body: {} },
  'POST /queues/{queue}/settlements': { action: 'consume', body: [{ id: 'x', lease: 'y', as: 'done' }] },
  'POST /queues/{queue}/redrive': { action: 'admin', body: {} },
  'POST /queues/{queue}/pause': { action: 'admin' },
  'POST /queues/{queue}/resume': { action: 'admin' },
  'POST /queues/{queue}/purge': { action: 'admin' },
  'GET /queues': { action: 'admin' },
  'GET /queues/{queue}': { action: 'read' },
  'PUT /queues/{queue}': { action: 'admin', body: {} },
  'GET /queues/{queue}/settings': { action: 'read' },
}

let url: string
let ask: Ask

beforeAll(async () => {
  const hub = await startHub({ auth: { jwt: { secret: SECRET } } })
  url = hub.url
  ask = asking(url)
  await hub.hub.topic('t').publish(1)
  await hub.hub.queue('q').send(1)
})

const only = (action: Action) => tokenOf('ann', { grants: [{ actions: [action], names: ['*'] }] })
/** Whoever manages something may look at it. */
const isEnough = (one: Action, action: Action) => one === action || (action === 'read' && one === 'admin')
const allBut = (action: Action) =>
  tokenOf('bob', { grants: [{ actions: ACTIONS.filter((one) => !isEnough(one, action)), names: ['*'] }] })
const elsewhere = (action: Action) => tokenOf('eve', { grants: [{ actions: [action], names: ['other'] }] })

describe('over HTTP', () => {
  it('every operation says what it needs', async () => {
    const { body } = await ask<{ paths: Record<string, object> }>('GET', '/openapi.json')
    const operations = Object.entries(body.paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
    )
    expect(Object.keys(HTTP).sort()).toEqual(operations.sort())
  })

  it.each(Object.entries(HTTP))('%s', async (operation, { action, body }) => {
    const [method = '', path = ''] = operation.split(' ')
    const place = path
      .replace('{topic}', 't')
      .replace('{queue}', 'q')
      .replace(/\{\w+\}/, 'x')
    const status = async (token?: string) => {
      const headers = token === undefined ? {} : { authorization: `Bearer ${token}` }
      const cancel = new AbortController()
      const init = { method, headers: { ...headers, 'content-type': 'application/json' }, signal: cancel.signal }
      const response = await fetch(
        `${url}/v1${place}`,
        body === undefined ? init : { ...init, body: JSON.stringify(body) },
      )
      // A stream goes on.
      cancel.abort()
      return response.status
    }
    expect(await status()).toBe(401)
    if (action === undefined) {
      expect(await status(await tokenOf('ann', { grants: [] }))).toBeLessThan(300)
      return
    }
    expect(await status(await allBut(action))).toBe(403)
    expect(await status(await elsewhere(action))).toBe(403)
    expect([401, 403]).not.toContain(await status(await only(action)))
  })
})

describe('over Socket.IO', () => {
  const QUEUES: Readonly<Record<string, { readonly action: Action; readonly args: readonly unknown[] }>> = {
    send: { action: 'send', args: [[{ data: 1 }]] },
    consume: { action: 'consume', args: [{ credit: 1 }] },
    settle: { action: 'consume', args: [[{ id: 'x', lease: 'y', as: 'done' }]] },
    request: { action: 'request', args: [{ data: 1 }, { timeoutMs: 1 }] },
    remove: { action: 'admin', args: ['x'] },
  }

  it.each(Object.entries(QUEUES))('%s of a queue', async (call, { action, args }) => {
    const codeWith = async (token: string) => {
      const wire = await joinNamespace(url, '/queues', { token })
      const reply = await wire.call(call, 'q', ...args)
      wire.close()
      return reply.ok ? 'ok' : reply.error.code
    }
    expect(await codeWith(await allBut(action))).toBe('forbidden')
    expect(await codeWith(await elsewhere(action))).toBe('forbidden')
    expect(await codeWith(await only(action))).not.toBe('forbidden')
    await expect(joinNamespace(url, '/queues')).rejects.toMatchObject({ code: 'unauthorized' })
  })

  const TOPICS: Readonly<Record<string, { readonly action: Action; readonly args: readonly unknown[] }>> = {
    publish: { action: 'publish', args: [[{ data: 1 }]] },
    read: { action: 'read', args: [{}] },
    subscribe: { action: 'subscribe', args: [{ from: 'end' }] },
  }

  it.each(Object.entries(TOPICS))('%s of a topic', async (call, { action, args }) => {
    const codeWith = async (token: string) => {
      const wire = await join(url, 't', { token, from: 'none' })
      const reply = await wire.call(call, ...args)
      wire.close()
      return reply.ok ? 'ok' : reply.error.code
    }
    expect(await codeWith(await allBut(action))).toBe('forbidden')
    expect(await codeWith(await elsewhere(action))).toBe('forbidden')
    expect(await codeWith(await only(action))).toBe('ok')
    await expect(join(url, 't', { from: 'none' })).rejects.toMatchObject({ code: 'unauthorized' })
  })

  it('a subscription in the handshake', async () => {
    await expect(join(url, 't', { token: await allBut('subscribe') })).rejects.toMatchObject({ code: 'forbidden' })
    const wire = await join(url, 't', { token: await only('subscribe'), client: 'c' })
    const { position } = await wire.seen('subscribed')
    expect(await wire.value('ack', position)).toEqual(position)
  })
})
