/**
 * Tickets: a page's EventSource can send no token, so it shows one of these, got with the token a moment before. Each is
 * good once and soon over, on whichever node. They are events of a topic that no client can name; the store's own rule of
 * ids tells whether one was used.
 */

import { createHash, randomBytes } from 'node:crypto'
import { unauthorized } from '../core/refusal.ts'
import type { Topics } from '../store/contract/store.ts'

export interface Ticket {
  readonly ticket: string
  readonly expiresInMs: number
}

const LIFE_MS = 30_000
const TOPIC = '_tickets'
const USED = '_tickets.used'
/** A flood of requests for tickets shortens the life of all of them instead of filling the store. */
const RETAIN = { events: 10_000, bytes: 64 * 1_048_576, ageMs: 2 * LIFE_MS }
/** Who has shown a ticket is remembered by its id, for longer than it lives. */
const RETAIN_USED = { events: 1, bytes: 1_024, ageMs: LIFE_MS }
const OWNER = { subject: 'hub' }

export class Tickets {
  readonly #topics: Pick<Topics, 'append' | 'read'>
  readonly #now: () => number

  /** `now`: the store's time. */
  constructor(topics: Pick<Topics, 'append' | 'read'>, now: () => number) {
    this.#topics = topics
    this.#now = now
  }

  /** `bearer` comes back when the ticket is shown. Resolves when every node knows it. */
  async issue(bearer: unknown): Promise<Ticket> {
    const secret = randomBytes(18).toString('base64url')
    const json = JSON.stringify({ data: { bearer, hash: hashOf(secret) } })
    const { offsets } = await this.#topics.append(TOPIC, { ...OWNER, drafts: [{ body: { json } }], retain: RETAIN })
    return { ticket: `${offsets[0]}.${secret}`, expiresInMs: LIFE_MS }
  }

  /** What `issue` was given. Throws `unauthorized` for one that is used, over or was never given. */
  async redeem(ticket: string): Promise<unknown> {
    const [, offset, secret] = /^(\d{1,15})\.([\w-]{24})$/.exec(ticket) ?? []
    if (offset === undefined || secret === undefined) throw refusal()
    const { events } = await this.#topics.read(TOPIC, Number(offset) - 1, { events: 1, bytes: 1 })
    const [event] = events
    if (event === undefined || !('body' in event) || event.offset !== Number(offset)) throw refusal()
    if (event.at + LIFE_MS <= this.#now()) throw refusal()
    const { data } = JSON.parse(event.body.json) as {
      readonly data: { readonly bearer?: unknown; readonly hash: string }
    }
    if (data.hash !== hashOf(secret)) throw refusal()
    const drafts = [{ id: ticket, body: { json: '{"data":null}' } }]
    const { duplicates } = await this.#topics.append(USED, { ...OWNER, drafts, retain: RETAIN_USED })
    if (duplicates > 0) throw refusal()
    return data.bearer
  }
}

function hashOf(secret: string): string {
  return createHash('sha256').update(secret).digest('base64url')
}

function refusal() {
  return unauthorized('the ticket is used or over its time; get another from POST /v1/tickets')
}
