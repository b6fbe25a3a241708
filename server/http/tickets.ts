/**
 * Tickets: a page's EventSource can send no token, so it shows one of these, got with the token a moment before. Each
 * is good once and soon over. Kept in this node's memory, as what they open is too.
 */

import { randomBytes } from 'node:crypto'
import { RepriseError } from '../../shared/errors.ts'
import type { Session } from '../core/access.ts'
import { type Route, route } from './routes.ts'
import { ticketAnswer } from './schemas/access.ts'

const LIFE_MS = 30_000
/** A flood of requests for tickets shortens the life of all of them instead of filling the memory. */
const MOST = 10_000

export class Tickets {
  readonly #open = new Map<string, { readonly session: Session; readonly until: number }>()

  issue(session: Session): { readonly ticket: string; readonly expiresInMs: number } {
    const now = performance.now()
    for (const [ticket, { until }] of this.#open) {
      if (until > now && this.#open.size < MOST) break
      this.#open.delete(ticket)
    }
    const ticket = randomBytes(24).toString('base64url')
    this.#open.set(ticket, { session, until: now + LIFE_MS })
    return { ticket, expiresInMs: LIFE_MS }
  }

  /** Whose it is. Throws `unauthorized` for one that is used, over or was never given. */
  redeem(ticket: string): Session {
    const found = this.#open.get(ticket)
    this.#open.delete(ticket)
    if (found === undefined || found.until <= performance.now()) {
      throw new RepriseError('unauthorized', 'the ticket is used or over its time; get another from POST /v1/tickets')
    }
    return found.session
  }
}

export function ticketRoutes(tickets: Tickets): readonly Route[] {
  return [
    route({
      method: 'post',
      path: '/tickets',
      summary: 'A ticket that opens one stream, for pages whose EventSource cannot send a token',
      status: 201,
      answer: ticketAnswer,
      run: async ({ session }) => tickets.issue(session),
    }),
  ]
}
