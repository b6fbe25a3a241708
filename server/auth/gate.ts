/** Who is calling: the program's own rule first, then an API key, a JWT, and else what everybody may. */

import { createHash } from 'node:crypto'
import { RepriseError } from '../../shared/errors.ts'
import {
  type Action,
  ANYBODY,
  type Grant,
  type Handshake,
  OPEN_GATE,
  type Session,
  type TicketGate,
} from '../core/access.ts'
import { unauthorized } from '../core/refusal.ts'
import { type CredentialRules, openCredentials } from './credentials.ts'
import { ANONYMOUS, type Identity } from './identity.ts'
import type { StoredRevocations } from './revocations.ts'
import { OpenSession, Sessions } from './sessions.ts'
import type { Tickets } from './tickets.ts'

/** Whom a program's own rule has recognized. */
export interface Authenticated {
  readonly subject: string
  readonly grants: readonly Grant[]
  readonly client?: string | undefined
  /** Milliseconds since 1970. */
  readonly expiresAt?: number | undefined
}

/** Whom a program's rule is asked about. */
export interface AuthorizedCaller {
  readonly subject: string
  readonly client?: string | undefined
  readonly grants: readonly Grant[]
  readonly expiresAt?: number | undefined
}

export interface GateRules extends CredentialRules {
  readonly anonymous: readonly Grant[]
  readonly authenticate:
    | ((handshake: Handshake) => Promise<Authenticated | undefined> | Authenticated | undefined)
    | undefined
  readonly authorize: ((caller: AuthorizedCaller, action: Action, name: string) => boolean) | undefined
}

export interface GateContext {
  readonly revocations: StoredRevocations
  readonly tickets: Tickets
  readonly warn: (message: string, cause?: unknown) => void
}

/** Tokens whose signature is known to be right: one that comes with each of thousands of namespaces is checked once. */
const MAX_KNOWN = 10_000
/** Then it is checked again, as its key may be taken out of the set. */
const KNOWN_MS = 60_000

/** Resolves when keys are read. Throws `bad_request` for a key that is none. */
export async function openGate(rules: GateRules, context: GateContext): Promise<TicketGate> {
  const { revocations, tickets, warn } = context
  const revoked = (identity: Identity) => revocations.refusal(identity)
  const credentials = await openCredentials(rules, warn)
  const known = new Map<string, { readonly identity: Identity; readonly until: number }>()
  const sessions = new Sessions({
    identify,
    allows:
      rules.authorize &&
      ((session, action, name) => {
        const { subject, client, grants, expiresAt } = session
        return rules.authorize?.({ subject, client, grants, expiresAt }, action, name) === true
      }),
    revoked,
  })

  revocations.onChange(() => sessions.look())

  function admit(identity: Identity): Session {
    const refusal = revoked(identity)
    if (refusal !== undefined) throw refusal
    return sessions.open(identity, false)
  }

  async function identify(token: string): Promise<Identity> {
    const identity = await find(token)
    const refusal = revoked(identity)
    if (refusal !== undefined) throw refusal
    return identity
  }

  async function find(token: string): Promise<Identity> {
    const key = createHash('sha256').update(token).digest('base64')
    const now = Date.now()
    const seen = known.get(key)
    if (seen !== undefined && seen.until > now) return seen.identity
    const identity = await credentials.read(token)
    if (known.size >= MAX_KNOWN) known.clear()
    known.set(key, { identity, until: Math.min(now + KNOWN_MS, identity.expiresAt ?? Number.POSITIVE_INFINITY) })
    return identity
  }

  async function recognize(handshake: Handshake): Promise<Authenticated | undefined> {
    try {
      return (await rules.authenticate?.(handshake)) ?? undefined
    } catch (cause) {
      if (cause instanceof RepriseError) throw cause
      warn('authenticate failed', cause)
      throw new RepriseError('unavailable', 'who is calling cannot be told now', { cause })
    }
  }

  return {
    guarded: true,
    async enter(handshake, token, same) {
      const recognized = await recognize(handshake)
      if (recognized !== undefined) return admit(recognized)
      if (same !== undefined && same.ended === undefined) return same
      if (token !== undefined && token !== '') return sessions.open(await identify(token), true)
      if (rules.anonymous.length === 0) throw unauthorized('a token is needed: there is none')
      return sessions.open({ subject: ANONYMOUS, grants: rules.anonymous }, true)
    },
    revocations,
    issue: async (session) => await tickets.issue(session instanceof OpenSession ? session.identity : undefined),
    async redeem(ticket) {
      const session = admit((await tickets.redeem(ticket)) as Identity)
      if (session.ended !== undefined) throw session.ended
      return session
    },
    close() {
      revocations.close()
      sessions.close()
      credentials.close()
    },
  }
}

/** The gate of a hub without authentication. Its tickets are for pages that know of hubs with it. */
export function openToAll(tickets: Tickets): TicketGate {
  return {
    ...OPEN_GATE,
    issue: () => tickets.issue(undefined),
    async redeem(ticket) {
      await tickets.redeem(ticket)
      return ANYBODY
    },
  }
}
