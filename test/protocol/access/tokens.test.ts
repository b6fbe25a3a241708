/** Which tokens let somebody in, and what the others are told. */

import { createHmac, generateKeyPairSync } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { exportJWK, SignJWT } from 'jose'
import { beforeAll, describe, expect, it } from 'vitest'
import { hashOf } from '../../../server/auth/keys.ts'
import { asking } from '../../support/clients/ask.ts'
import { ALL, SECRET } from '../../support/clients/tokens.ts'
import { join } from '../../support/clients/wire.ts'
import { atEnd } from '../../support/ending.ts'
import { startHub } from '../../support/hub/hub.ts'

const KEY = 'rk_backend_0123456789abcdef0123456789abcdef'
const rsa = generateKeyPairSync('rsa', { modulusLength: 2_048 })
const other = generateKeyPairSync('rsa', { modulusLength: 2_048 })
const PEM = rsa.publicKey.export({ type: 'spki', format: 'pem' }).toString()

const seconds = (fromNow: number) => Math.floor(Date.now() / 1_000) + fromNow
const base64 = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')

/** Whatever is claimed, signed with HMAC over any text as the secret. */
function handmade(header: object, payload: object, secret: string): string {
  const text = `${base64(header)}.${base64(payload)}`
  return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`
}

const payload = (over: object = {}) => ({ sub: 'ann', exp: seconds(60), reprise: { grants: ALL }, ...over })

describe('a hub with a secret, a public key and API keys', () => {
  let url: string

  beforeAll(async () => {
    const auth = {
      jwt: { secret: SECRET, publicKey: PEM, issuer: 'https://id.example.org', audience: 'reprise' },
      keys: [{ name: 'backend', hash: hashOf(KEY), grants: [{ actions: ['publish'], names: ['orders.*'] }] as const }],
    }
    ;({ url } = await startHub({ auth }))
  })

  const claims = { iss: 'https://id.example.org', aud: 'reprise' }
  const good = (over: object = {}) => handmade({ alg: 'HS256' }, payload({ ...claims, ...over }), SECRET)

  it('lets in who shows a token, over Socket.IO and HTTP', async () => {
    const wire = await join(url, 'orders', { token: good() })
    expect(wire.socket.connected).toBe(true)
    const { body } = await asking(url)('GET', '/v1/me', undefined, { authorization: `Bearer ${good()}` })
    expect(body).toMatchObject({ subject: 'ann', grants: ALL })
    const { body: key } = await asking(url)('GET', '/v1/me', undefined, { authorization: `Bearer ${KEY}` })
    expect(key).toEqual({ subject: 'backend', grants: [{ actions: ['publish'], names: ['orders.*'] }] })
  })

  it('takes a token whose issuer is a minute ahead', async () => {
    await join(url, 'orders', { token: good({ iat: seconds(59), nbf: seconds(59) }) })
  })

  const bad: [string, () => Promise<string> | string, RegExp][] = [
    ['none', () => '', /a token is needed/],
    ['expired', () => good({ exp: seconds(-1) }), /has expired/],
    ['not yet valid', () => good({ nbf: seconds(600) }), /not valid yet/],
    ['of another issuer', () => good({ iss: 'https://elsewhere.example.org' }), /another issuer/],
    ['for another audience', () => good({ aud: 'other' }), /another audience/],
    ['without exp', () => good({ exp: undefined }), /no exp/],
    ['without sub', () => good({ sub: undefined }), /sub is missing/],
    ['with a sub that no name may be', () => good({ sub: 'ann\u0000' }), /sub has characters/],
    ['with a client that is no name', () => good({ reprise: { client: 'a b' } }), /reprise\.client/],
    ['with a sub of the hub', () => good({ sub: 'anonymous' }), /of the hub's own/],
    ['with the name of a key as sub', () => good({ sub: 'backend' }), /of the hub's own/],
    [
      'with grants that are none',
      () => good({ reprise: { grants: [{ actions: ['fly'], names: ['*'] }] } }),
      /no action/,
    ],
    ['with another signature', () => handmade({ alg: 'HS256' }, payload(claims), 'guessed'), /signature is not right/],
    ['with alg none', () => `${base64({ alg: 'none' })}.${base64(payload(claims))}.`, /algorithm is none of/],
    ['signed with the public key as the secret', () => handmade({ alg: 'HS256' }, payload(claims), PEM), /signature/],
    [
      'signed by another private key',
      () => new SignJWT(payload(claims)).setProtectedHeader({ alg: 'RS256' }).sign(other.privateKey),
      /signature is not right/,
    ],
    ['of 1 MB', () => good({ text: 'x'.repeat(1_000_000) }), /more than 8192 characters/],
    ['that is no token', () => 'hello', /no JWT/],
    ['with an API key that is not known', () => 'rk_backend_ffffffffffffffffffffffffffffffff', /not known/],
  ]

  it.each(bad)('refuses a token %s', async (_name, make, message) => {
    const token = await make()
    await expect(join(url, 'orders', { token })).rejects.toMatchObject({
      code: 'unauthorized',
      retryable: false,
      message: expect.stringMatching(message),
    })
    if (token.length > 10_000) return
    const { status, headers, body } = await asking(url)('GET', '/v1/topics/orders', undefined, {
      ...(token === '' ? {} : { authorization: `Bearer ${token}` }),
    })
    expect(status).toBe(401)
    expect(headers.get('www-authenticate')).toBe('Bearer')
    expect(body).toMatchObject({ code: 'unauthorized', message: expect.stringMatching(message) })
  })

  it('takes a token that the private key has signed', async () => {
    const token = await new SignJWT(payload(claims)).setProtectedHeader({ alg: 'RS256' }).sign(rsa.privateKey)
    await join(url, 'orders', { token })
  })
})

describe('keys of tokens that change', () => {
  const jwkOf = async (key: typeof rsa, kid: string) => ({ ...(await exportJWK(key.publicKey)), kid, alg: 'RS256' })
  const signed = (key: typeof rsa, kid: string, sub = 'ann') =>
    new SignJWT(payload({ sub })).setProtectedHeader({ alg: 'RS256', kid }).sign(key.privateKey)

  /** A hub that has got its keys from an address, which is ours to change. */
  async function hubWithKeys() {
    const source = { keys: [await jwkOf(rsa, 'one')], away: false, asked: 0 }
    const server = createServer((_request, response) => {
      source.asked++
      if (source.away) response.writeHead(500).end()
      else response.end(JSON.stringify({ keys: source.keys }))
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    atEnd(() => void server.close())
    const jwks = `http://127.0.0.1:${(server.address() as AddressInfo).port}/keys`
    const { url } = await startHub({ auth: { jwt: { jwks } } })
    await join(url, 'orders', { token: await signed(rsa, 'one') })
    return { url, source }
  }

  it('are looked at when a token shows a new one, and those that are gone are refused', async () => {
    const { url, source } = await hubWithKeys()
    source.keys = [await jwkOf(other, 'two')]
    await join(url, 'orders', { token: await signed(other, 'two') })
    await expect(join(url, 'orders', { token: await signed(rsa, 'one', 'bob') })).rejects.toMatchObject({
      code: 'unauthorized',
      message: "the token's key is not known",
    })
  })

  it('go on while their address is away, where no token is called wrong that may be right', async () => {
    const { url, source } = await hubWithKeys()
    source.away = true
    const asked = source.asked
    await join(url, 'orders', { token: await signed(rsa, 'one', 'bob') })
    for (const sub of ['ann', 'bob', 'eve']) {
      await expect(join(url, 'orders', { token: await signed(other, 'two', sub) })).rejects.toMatchObject({
        code: 'unavailable',
        retryable: true,
      })
    }
    // A flood of unknown keys is no flood there.
    expect(source.asked).toBe(asked + 1)
  })

  it('that could never be read are no reason to call a token wrong', async () => {
    const { url } = await startHub({ auth: { jwt: { jwks: 'http://127.0.0.1:9/keys' } } })
    await expect(join(url, 'orders', { token: await signed(rsa, 'one') })).rejects.toMatchObject({
      code: 'unavailable',
    })
  })
})
