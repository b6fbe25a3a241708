/** Every refusal is told to the telemetry once, with its code, whatever way the caller came. */

import { describe, expect, it } from 'vitest'
import type { TelemetryEvent } from '../../../server/core/telemetry.ts'
import { buildHub } from '../../../server/hub.ts'
import { resolveHubOptions } from '../../../server/options/hub.ts'
import { Metrics } from '../../../server/telemetry/metrics.ts'
import { connectRaw } from '../../support/clients/rawSocket.ts'
import { join, joinNamespace } from '../../support/clients/wire.ts'
import { SILENT } from '../../support/core/silent.ts'
import { serveAttached } from '../../support/hub/attached.ts'
import { tempFolder } from '../../support/temp.ts'

const refused: string[] = []
const happened = (event: TelemetryEvent) => {
  if (event.kind === 'refused') refused.push(event.code)
}
const log = { telemetry: { ...SILENT, happened }, metrics: new Metrics(), close: () => {} }
const options = { store: await tempFolder(), limits: { namespacesPerSocket: 1, connectionsPerAddress: 6 } }
const hub = buildHub(resolveHubOptions(options), log)
const url = await serveAttached(hub)
const polling = `${url}/socket.io/?EIO=4&transport=polling`
const foreign = { headers: { origin: 'https://evil.example' } }

describe('a refusal is counted once, with its code,', () => {
  it.each<[way: string, code: string, ask: () => Promise<unknown>]>([
    ['of a call', 'bad_request', async () => (await join(url, 'a')).call('publish', 5)],
    ['of a call in the queues', 'bad_request', async () => (await joinNamespace(url, '/queues')).call('send', 'q', 5)],
    ['of a handshake', 'unsupported', () => join(url, 'a', { protocol: 9 }).catch(() => {})],
    ['of a place that is none', 'not_found', () => joinNamespace(url, '/nowhere').catch(() => {})],
    ['of a namespace too many', 'too_many', namespaceTooMany],
    ['of a request', 'not_found', () => fetch(`${url}/v1/nothing`)],
    ['of a body', 'bad_request', () => fetch(`${url}/v1/topics/a/events`, { method: 'POST', body: 'x' })],
    ['of a page over HTTP', 'forbidden', () => fetch(`${url}/v1/topics`, foreign)],
    ['of a page over Socket.IO', 'forbidden', () => fetch(polling, foreign)],
    ['of JSONP', 'bad_request', () => fetch(`${polling}&j=0`)],
    ['of a connection too many', 'too_many', connectionTooMany],
  ])('%s', async (_way, code, ask) => {
    refused.length = 0
    await ask()
    expect(refused).toEqual([code])
  })
})

async function namespaceTooMany(): Promise<void> {
  const raw = await connectRaw(url, '/topics/a', {})
  expect(await raw.refusal('/topics/b', '{}')).toMatchObject({ code: 'too_many' })
}

async function connectionTooMany(): Promise<void> {
  for (;;) if ((await fetch(polling)).status === 429) return
}
