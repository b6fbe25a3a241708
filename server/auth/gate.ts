/** Who is calling: the program's own rule first, then an API key, a JWT, and else what everybody may. */

import { RepriseError } from '../../shared/errors.ts'
import { isName, nameRule } from '../../shared/names.ts'
import {
  ANONYMOUS,
  ANYBODY,
  type Grant,
  type Handshake,
  OPEN_GATE,
  type ProgramRules,
  type Recognized,
  type Session,
  type TicketGate,
} from '../core/access.ts'
import { grantsFault } from '../core/guards/grants.ts'
import { unauthorized } from '../core/refusal.ts'
import { type CredentialRules, openCredentials } from './credentials.ts'
import { type Identity, subjectFault } from './identity.ts'
import type { StoredRevocations } from './revocations.ts'
import { OpenSession, Sessions } from './sessions.ts'
import type { Tickets } from './tickets.ts'

export interface GateRules extends CredentialRules, ProgramRules {
  readonly anonymous: readonly Grant[]
}

export interface GateContext {
  readonly revocations: StoredRevocations
  readonly tickets: Tickets
  readonly warn: (message: string, cause?: unknown) => void
}

/** Resolves when keys are read. Throws `bad_request` for a key that is none. */
export async function openGate(rules: GateRules, context: GateContext): Promise<TicketGate> {
  const { revocations, tickets, warn } = context
  const revoked = (identity: Identity) => revocations.refusal(identity)
  const credentials = await openCredentials(rules, warn)
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
    const session = sessions.open(identity, false)
    if (session.ended !== undefined) throw session.ended
    return session
  }

  async function identify(token: string): Promise<Identity> {
    const identity = await credentials.read(token)
    const refusal = revoked(identity)
    if (refusal !== undefined) throw refusal
    return identity
  }

  async function recognize(handshake: Handshake): Promise<Recognized | undefined> {
    try {
      const recognized = (await rules.authenticate?.(handshake)) ?? undefined
      if (recognized !== undefined) checkRecognized(recognized)
      return recognized
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
      const bearer = (await tickets.redeem(ticket)) as Identity | undefined
      if (bearer === undefined) throw unauthorized('the ticket is of a hub without auth')
      return admit(bearer)
    },
    close() {
      revocations.close()
      sessions.close()
      credentials.close()
    },
  }
}

/** Throws what the program has to mend. */
function checkRecognized({ subject, grants, client, expiresAt }: Recognized): void {
  const fault = subjectFault(subject)
  if (fault !== undefined) throw new TypeError(`its subject ${fault}`)
  const wrong = grantsFault(grants)
  if (wrong !== undefined) throw new TypeError(`its grants: ${wrong}`)
  if (client !== undefined && !isName(client)) throw new TypeError(nameRule('its client', client))
  // It would never be over.
  if (expiresAt !== undefined && (typeof expiresAt !== 'number' || Number.isNaN(expiresAt))) {
    throw new TypeError('its expiresAt is no time in milliseconds since 1970')
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
