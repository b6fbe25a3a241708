/**
 * Who may do what: every call with every grant, on the named topic or queue and on another one, and without a token, over
 * Socket.IO (WebSocket, long polling) and HTTP, at a hub of its own and at one within a program.
 */

import { readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import express from 'express'
import { Server } from 'socket.io'
import { beforeAll, describe, expect, it } from 'vitest'
import { ACTIONS, type Action } from '../../../server/core/access.ts'
import { createHub } from '../../../server/index.ts'
import { asking } from '../../support/clients/ask.ts'
import { SECRET, tokenOf } from '../../support/clients/tokens.ts'
import { join, joinNamespace, type Wire } from '../../support/clients/wire.ts'
import { serveWith } from '../../support/hub/attached.ts'
import { startHub } from '../../support/hub/hub.ts'
import { tempFolder } from '../../support/temp.ts'
import { type HttpCall, NEEDS, type Need, needsTable, type SocketCall } from './needs.ts'

const auth = { jwt: { secret: SECRET } }
const PAPER = new URL('../../../docs/security.md', import.meta.url)
const TRANSPORTS = ['websocket', 'polling'] as const

/** One token: an action, or all, on some names. */
interface Bearer {
  readonly name: string
  readonly token: string | undefined
  may(need: Need): boolean
}

type Place = 'of its own' | 'within a program'
const places = {} as Record<Place, string>
const bearers: Bearer[] = []
beforeAll(async () => {
  const own = await startHub({ auth })
  places['of its own'] = own.url
  places['within a program'] = await embedded()
  for (const url of Object.values(places)) {
    const admin = { authorization: `Bearer ${await tokenOf('root')}` }
    await asking(url)('POST', '/v1/topics/t/events', { data: 1 }, admin)
  }
  const granted: [readonly (Action | '*')[], readonly string[]][] = [
    ...[...ACTIONS, '*' as const].map((action) => [[action], ['t', 'q']] as [(Action | '*')[], string[]]),
    [['admin'], ['*']],
    [ACTIONS, ['other', 'tt', 'q.t', 'u*']],
  ]
  for (const [actions, names] of granted) {
    const name = `${actions} on ${names}`
    const token = await tokenOf(name, { grants: [{ actions, names }] })
    bearers.push({ name, token, may: (need) => actions.some((action) => isGranted(action, names, need)) })
  }
  bearers.push({ name: 'no token', token: undefined, may: () => false })
  bearers.push({
    name: 'nothing',
    token: await tokenOf('nobody', { grants: [] }),
    may: (need) => need.action === undefined,
  })
})

function isGranted(action: Action | '*', names: readonly string[], need: Need): boolean {
  if (need.action === undefined) return true
  if (names.includes('other') || (need.on === '*' && names[0] !== '*')) return false
  // Whoever manages something may look at it.
  return action === '*' || action === need.action || (action === 'admin' && need.action === 'read')
}

/** A hub as the program around it has it: its handler in Express, its namespaces in the program's Socket.IO. */
async function embedded(): Promise<string> {
  const hub = createHub({ store: await tempFolder(), logLevel: 'silent', auth })
  const app = express().use(hub.handler)
  const server = createServer(app)
  const io = new Server(server)
  const url = await serveWith(hub, server, io)
  await hub.ready
  return url
}

const callsOf = <Kind extends string>(...kinds: Kind[]) =>
  NEEDS.flatMap((need) =>
    need.calls.filter(({ kind }) => (kinds as string[]).includes(kind)).map((call) => ({ need, call })),
  )

describe('the table', () => {
  it('names every operation over HTTP', async () => {
    const { body } = await asking(places['of its own'])<{ paths: Record<string, object> }>('GET', '/openapi.json')
    const operations = Object.entries(body.paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
    )
    expect(
      callsOf('http')
        .map(({ call }) => call.call)
        .sort(),
    ).toEqual(operations.sort())
  })

  it.each(['topic', 'queues', 'console'] as const)('names every call in the namespace of a %s', async (kind) => {
    const wire = await enter(places['of its own'], kind, await tokenOf('root'))
    const reply = await wire.call('nothing')
    const known = reply.ok ? '' : reply.error.message.split('there are ')[1]
    expect(
      callsOf(kind)
        .map(({ call }) => call.call)
        .sort(),
    ).toEqual(known?.split(', ').sort())
  })

  it('is the one in docs/security.md', () => {
    const text = readFileSync(PAPER, 'utf8')
    const made = text.replace(/(?<=^## Every call\n\n(?:(?!\|).*\n)*)(?:\|.*\n)+/m, `${needsTable()}\n`)
    if (process.env.REPRISE_WRITE === '1') writeFileSync(PAPER, made)
    else expect(text, 'REPRISE_WRITE=1 with this test writes it').toBe(made)
    expect(made).toContain(needsTable())
  })
})

describe.each(['of its own', 'within a program'] as const)('at a hub %s', (place) => {
  it('over HTTP and streams', async () => {
    const wrong: string[] = []
    await Promise.all(
      bearers.map(async (bearer) => {
        for (const { need, call } of callsOf('http')) {
          const status = await statusOf(places[place], call as HttpCall, bearer.token)
          if (!isRight(need, bearer, status === 401 ? 'unauthorized' : status === 403 ? 'forbidden' : `${status}`)) {
            wrong.push(`${call.call} with ${bearer.name}: ${status}`)
          }
        }
      }),
    )
    expect(wrong).toEqual([])
  })

  it('over reads that would wait, also where there is something to read', async () => {
    const [reads, subscribes] = ['read a page', 'subscribe'].map((what) => NEEDS.find((need) => need.what === what))
    for (const bearer of bearers) {
      const headers = bearer.token === undefined ? {} : { authorization: `Bearer ${bearer.token}` }
      const status = await statusAt(`${places[place]}/v1/topics/t/events?waitMs=1`, { headers })
      const may = bearer.may(reads as Need) && bearer.may(subscribes as Need)
      expect(status, bearer.name).toBe(bearer.token === undefined ? 401 : may ? 200 : 403)
    }
  })

  it('over streams that a ticket opens', async () => {
    const url = places[place]
    const stream = NEEDS.find(({ what }) => what === 'subscribe') as Need
    for (const bearer of bearers.filter(({ token }) => token !== undefined)) {
      const headers = { authorization: `Bearer ${bearer.token}` }
      const { body } = await asking(url)<{ ticket: string }>('POST', '/v1/tickets', undefined, headers)
      const opened = await statusAt(`${url}/v1/topics/t/stream?ticket=${body.ticket}`, {})
      expect(opened, bearer.name).toBe(bearer.may(stream) ? 200 : 403)
    }
    expect(await statusAt(`${url}/v1/topics/t/stream?ticket=1.x`, {})).toBe(401)
  })

  it.each(TRANSPORTS)('over Socket.IO by %s', async (transport) => {
    const wrong: string[] = []
    await Promise.all(
      bearers.map(async (bearer) => {
        for (const kind of ['topic', 'queues', 'console'] as const) {
          const wire = await enter(places[place], kind, bearer.token, transport).catch((error) => error.code as string)
          if (typeof wire === 'string') {
            if (bearer.token !== undefined || wire !== 'unauthorized')
              wrong.push(`${kind} with ${bearer.name}: ${wire}`)
            continue
          }
          const look = async ({ need, call }: { readonly need: Need; readonly call: HttpCall | SocketCall }) => {
            const code = await codeOf(wire, call as SocketCall, bearer)
            if (!isRight(need, bearer, code)) wrong.push(`${call.call} of a ${kind} with ${bearer.name}: ${code}`)
          }
          // `away` ends the place.
          const isLast = ({ call }: { readonly call: HttpCall | SocketCall }) => call.call === 'away'
          const all = callsOf(kind)
          await Promise.all(all.filter((one) => !isLast(one)).map(look))
          await Promise.all(all.filter(isLast).map(look))
          wire.close()
        }
      }),
    )
    expect(wrong).toEqual([])
  })

  it('in the handshake of a topic', async () => {
    const stream = NEEDS.find(({ what }) => what === 'subscribe') as Need
    for (const bearer of bearers) {
      const handshake = bearer.token === undefined ? {} : { token: bearer.token }
      const code = await join(places[place], 't', handshake).then(
        (wire) => {
          wire.close()
          return 'ok'
        },
        (error) => error.code as string,
      )
      expect(isRight(stream, bearer, code), `${bearer.name}: ${code}`).toBe(true)
    }
  })
})

function isRight(need: Need, bearer: Bearer, answer: string): boolean {
  if (bearer.token === undefined) return answer === 'unauthorized'
  return bearer.may(need) ? !['unauthorized', 'forbidden'].includes(answer) : answer === 'forbidden'
}

function enter(
  url: string,
  kind: SocketCall['kind'],
  token?: string,
  transport: (typeof TRANSPORTS)[number] = 'websocket',
): Promise<Wire> {
  const handshake = { ...(token === undefined ? {} : { token }), from: 'none' }
  return joinNamespace(url, kind === 'topic' ? '/topics/t' : `/${kind}`, handshake, { transports: [transport] })
}

async function codeOf(wire: Wire, { kind, call, args }: SocketCall, { token }: Bearer): Promise<string> {
  const given = call === 'auth' ? [{ token }] : args
  const reply = await wire.call(call, ...(kind === 'queues' && call !== 'auth' ? ['q'] : []), ...given)
  return reply.ok ? 'ok' : reply.error.code
}

async function statusOf(url: string, { call, body }: HttpCall, token: string | undefined): Promise<number> {
  const [method = '', path = ''] = call.split(' ')
  const place = path
    .replace('{topic}', 't')
    .replace('{queue}', 'q')
    .replace(/\{\w+\}/, 'x')
  const headers = {
    ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    'content-type': 'application/json',
  }
  return await statusAt(`${url}/v1${place}`, {
    method,
    headers,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
}

/** A stream goes on, and is left. */
async function statusAt(url: string, init: RequestInit): Promise<number> {
  const leave = new AbortController()
  const response = await fetch(url, { ...init, signal: leave.signal })
  // A connection that is left in the middle cannot be used again.
  if (response.headers.get('content-type')?.startsWith('text/event-stream')) leave.abort()
  else await response.arrayBuffer()
  return response.status
}
