/** What a token says of what its bearer may do. */

import type { Grant } from '../core/access.ts'
import { grantsFault, isGroup, isTexts } from '../core/guards/grants.ts'
import { unauthorized } from '../core/refusal.ts'
import type { Claims } from './jwt.ts'

/** The claim `reprise` of a token. Throws `unauthorized` with what is wrong in it. */
export function readClaims(claim: unknown): Claims {
  if (claim === undefined) return { roles: [], grants: [], client: undefined }
  if (!isGroup(claim)) throw unauthorized("the token's claim reprise is no object")
  const { roles = [], grants = [], client } = claim
  if (!isTexts(roles)) throw unauthorized("the token's claim reprise.roles is no list of names")
  if (client !== undefined && typeof client !== 'string')
    throw unauthorized("the token's claim reprise.client is no name")
  const fault = grantsFault(grants)
  if (fault !== undefined) throw unauthorized(`the token's claim reprise.grants: ${fault}`)
  return { roles, grants: grants as readonly Grant[], client }
}
