/** Keys of tokens over the minutes, by a clock of the test's own: when a change is noticed, and what goes on without them. */

import { generateKeyPairSync } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { exportJWK, SignJWT } from 'jose'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { openCredentials } from '../../../server/auth/credentials.ts'
import { atEnd } from '../../support/ending.ts'
import { until } from '../../support/until.ts'

const SECOND = 1_000
const MINUTE = 60 * SECOND
const keys = { one: newKey(), two: newKey(), three: newKey() }
type Kid = keyof typeof keys

function newKey() {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' })
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'Date', 'performance'] })
})

afterEach(() => {
  vi.useRealTimers()
})

/** Tokens that are read with the keys of an address, which is ours to change. */
async function reading(...first: Kid[]) {
  const source = { kids: first, away: false, asked: 0 }
  const server = createServer(async (_request, response) => {
    source.asked++
    if (source.away) return void response.writeHead(503).end()
    const set = source.kids.map(async (kid) => ({ ...(await exportJWK(keys[kid].publicKey)), kid, alg: 'ES256' }))
    response.end(JSON.stringify({ keys: await Promise.all(set) }))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  atEnd(() => void server.close())
  const jwks = { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/keys` }
  const warnings: string[] = []
  const warn = (message: string) => void warnings.push(message)
  const credentials = await openCredentials({ jwt: { jwks }, keys: [], roles: {} }, warn)
  atEnd(() => credentials.close())
  let tokens = 0
  return {
    source,
    warnings,
    /** What becomes of a token that was signed with this key and was not seen before. */
    async told(key: Kid, kid: string = key): Promise<string> {
      const exp = Math.floor(Date.now() / SECOND) + 3_600
      const claims = { sub: `subject-${++tokens}`, exp }
      const token = await new SignJWT(claims).setProtectedHeader({ alg: 'ES256', kid }).sign(keys[key].privateKey)
      return await credentials.read(token).then(
        ({ subject }) => (subject === claims.sub ? 'good' : subject),
        ({ code, message }) => `${code}: ${message}`,
      )
    },
    /** Lets time pass until the address was asked again. */
    async asksAgain(afterMs: number): Promise<void> {
      const { asked } = source
      vi.advanceTimersByTime(afterMs - SECOND)
      expect(source.asked).toBe(asked)
      vi.advanceTimersByTime(SECOND)
      await until(() => source.asked === asked + 1, { what: 'the address to be asked' })
    },
  }
}

const UNKNOWN = "unauthorized: the token's key is not known"
const UNAVAILABLE = "unavailable: the token's key is not known, and the keys cannot be read now"

it('a key that is taken out of the set is noticed after five minutes, though no token names a new one', async () => {
  const { source, told, asksAgain } = await reading('one')
  source.kids = ['two']
  expect(await told('one')).toBe('good')
  await asksAgain(5 * MINUTE)
  await until(async () => (await told('one')) === UNKNOWN, { what: 'the old key to be refused' })
  expect(await told('two')).toBe('good')
  // A look for the old one found the new set: it is no reason to ask for the next five seconds.
  const { asked } = source
  expect([await told('one'), await told('three'), source.asked]).toEqual([UNKNOWN, UNKNOWN, asked])
  source.kids = ['two', 'three']
  vi.advanceTimersByTime(5 * SECOND)
  expect([await told('three'), await told('two'), source.asked]).toEqual(['good', 'good', asked + 1])
})

it.each(['../../etc/passwd', '/dev/null', 'http://127.0.0.1:9/', "' OR 1=1", '__proto__', '', 'x'.repeat(4_000)])(
  'a key that is called %j is looked for in the set alone',
  async (kid) => {
    const { source, told } = await reading('two')
    const { asked } = source
    expect(await told('one', kid)).toBe(UNKNOWN)
    expect(source.asked).toBe(asked + 1)
    expect(await told('two')).toBe('good')
  },
)

it('while the set is away for minutes, its keys go on, an unknown one is unavailable, and the set counts when it is back', async () => {
  const { source, told, warnings, asksAgain } = await reading('one')
  source.away = true
  for (let failed = 1; failed <= 3; failed++) {
    await asksAgain(5 * MINUTE)
    await until(() => warnings.length === failed, { what: 'a line of the log' })
    expect(warnings.at(-1)).toMatch(/cannot be read from http.*; the last ones stay$/)
    expect([await told('one'), await told('two')]).toEqual(['good', UNAVAILABLE])
  }
  source.away = false
  source.kids = ['two']
  // Whoever was just told so asks again in vain for five seconds.
  expect(await told('two')).toBe(UNAVAILABLE)
  vi.advanceTimersByTime(5 * SECOND)
  expect([await told('two'), await told('one')]).toEqual(['good', UNKNOWN])
})
