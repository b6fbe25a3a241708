/** Access over HTTP: tickets and revocations, and who may manage them. */

import { beforeAll, describe, expect, it } from 'vitest'
import { StoredRevocations } from '../../server/auth/revocations.ts'
import { Tickets } from '../../server/auth/tickets.ts'
import { openStore } from '../../server/store/open.ts'
import { type Ask, asking } from '../support/clients/ask.ts'
import { SECRET, tokenOf } from '../support/clients/tokens.ts'
import { atEnd } from '../support/ending.ts'
import { startHub } from '../support/hub/hub.ts'
import { tempFolder } from '../support/temp.ts'
import { until } from '../support/until.ts'

async function freshStore() {
  const store = await openStore(await tempFolder())
  atEnd(() => store.close())
  return store
}

describe('revocations', () => {
  let ask: Ask
  let admin: { authorization: string }

  beforeAll(async () => {
    const { url } = await startHub({ auth: { jwt: { secret: SECRET } } })
    ask = asking(url)
    admin = { authorization: `Bearer ${await tokenOf('root')}` }
  })

  it('of a subject are for the tokens that were issued before', async () => {
    const bearer = async (iat: number) => ({ authorization: `Bearer ${await tokenOf('ann', { claims: { iat } })}` })
    const now = Math.floor(Date.now() / 1_000)
    const old = await bearer(now - 1)
    expect((await ask('GET', '/v1/me', undefined, old)).status).toBe(200)
    await ask('POST', '/v1/revocations', { subject: 'ann' }, admin)
    expect(await ask('GET', '/v1/me', undefined, old)).toMatchObject({
      status: 401,
      body: { message: 'the token was revoked' },
    })
    const later = Math.floor(Date.now() / 1_000) + 2
    expect((await ask('GET', '/v1/me', undefined, await bearer(later))).status).toBe(200)
  })

  it('are for whoever may do everything', async () => {
    const grants = [{ actions: ['admin'], names: ['orders.*'] }]
    const some = { authorization: `Bearer ${await tokenOf('bob', { grants })}` }
    for (const [method, path] of [
      ['POST', ''],
      ['GET', ''],
      ['DELETE', '/1'],
    ] as const) {
      const body = method === 'POST' ? { subject: 'root' } : undefined
      expect(await ask(method, `/v1/revocations${path}`, body, some)).toMatchObject({ status: 403 })
    }
  })

  it.each([
    [{}, 'is { subject } or { tokenId }'],
    [{ subject: 'ann', tokenId: 'one' }, 'is { subject } or { tokenId }'],
    [{ subject: '' }, 'subject'],
    [{ subject: 5 }, 'is { subject } or { tokenId }'],
    [{ subject: 'anonymous' }, 'anonymous has no tokens'],
    // As the claim has it, in seconds: it would hold for nothing.
    [{ subject: 'ann', until: Math.floor(Date.now() / 1_000) + 3_600 }, 'until is over: it is a time in milliseconds'],
  ])('of %j are refused', async (body, why) => {
    expect(await ask('POST', '/v1/revocations', body, admin)).toMatchObject({
      status: 400,
      body: { message: expect.stringContaining(why) },
    })
  })

  it('hold for as long as the longest of them', async () => {
    const context = { store: { ...(await freshStore()).settings }, warn: () => {}, now: Date.now }
    const revocations = await StoredRevocations.open(context)
    const [before, soon] = [Date.now() - 10_000, Date.now() + 100]
    await revocations.add({ subject: 'ann' })
    await revocations.add({ tokenId: 'one' })
    await revocations.add({ subject: 'ann' }, soon)
    await revocations.add({ tokenId: 'one' }, soon)
    await until(() => Date.now() > soon)
    expect(revocations.refusal({ subject: 'ann', grants: [], issuedAt: before })).toMatchObject({
      code: 'unauthorized',
    })
    expect(revocations.refusal({ subject: 'bob', grants: [], tokenId: 'one' })).toMatchObject({ code: 'unauthorized' })
    expect(revocations.refusal({ subject: 'ann', grants: [], issuedAt: Date.now() + 1_000 })).toBeUndefined()
  })

  it('outlive the hub, and are forgotten when their time is over', async () => {
    const store = { ...(await freshStore()).settings }
    const context = { store, warn: () => {}, now: Date.now }
    const first = await StoredRevocations.open(context)
    await first.add({ tokenId: 'one' })
    await first.add({ tokenId: 'two' }, Date.now() - 1)
    first.close()
    const second = await StoredRevocations.open(context)
    expect(second.list().map(({ tokenId }) => tokenId)).toEqual(['one'])
    await second.add({ subject: 'ann' })
    expect([...(await store.all()).keys()].filter((key) => key.startsWith('revocation:'))).toHaveLength(2)
    expect(second.refusal({ subject: 'x', grants: [], tokenId: 'two' })).toBeUndefined()
    expect(second.refusal({ subject: 'x', grants: [], tokenId: 'one' })).toMatchObject({ code: 'unauthorized' })
  })
})

describe('a hub without auth', () => {
  it('has nothing to revoke', async () => {
    const { url } = await startHub()
    expect(await asking(url)('POST', '/v1/revocations', { subject: 'ann' })).toMatchObject({
      body: { code: 'unsupported' },
    })
  })
})

describe('a ticket', () => {
  it('is good for 30 s, once, and for who knows its secret', async () => {
    let now = 0
    const store = await freshStore()
    const tickets = new Tickets(store.topics, () => now)
    const refused = { code: 'unauthorized' }
    const { ticket } = await tickets.issue({ subject: 'ann' })
    now = Date.now()
    const [offset] = ticket.split('.')
    await expect(tickets.redeem(`${offset}.${'x'.repeat(24)}`)).rejects.toMatchObject(refused)
    await expect(tickets.redeem(`9${ticket}`)).rejects.toMatchObject(refused)
    await expect(tickets.redeem('nonsense')).rejects.toMatchObject(refused)
    expect(await tickets.redeem(ticket)).toEqual({ subject: 'ann' })
    await expect(tickets.redeem(ticket)).rejects.toMatchObject(refused)
    const late = await tickets.issue(undefined)
    now += 31_000
    await expect(tickets.redeem(late.ticket)).rejects.toMatchObject(refused)
  })
})
