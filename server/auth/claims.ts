/** What a token says of what its bearer may do. */

import { isName, nameRule } from '../../shared/names.ts'
import type { Grant } from '../core/access.ts'
import { grantsFault, isGroup, isTexts } from '../core/guards/grants.ts'
import { unauthorized } from '../core/refusal.ts'

/** What a token says beside the registered claims. */
export interface Claims {
  readonly roles: readonly string[]
  readonly grants: readonly Grant[]
  readonly client: string | undefined
}

/** The claim `reprise` of a token. Throws `unauthorized` with what is wrong in it. */
export function readClaims(claim: unknown): Claims {
  if (claim === undefined) return { roles: [], grants: [], client: undefined }
  if (!isGroup(claim)) throw unauthorized("the token's claim reprise is no object")
  const { roles = [], grants = [], client } = claim
  if (!isTexts(roles)) throw unauthorized("the token's claim reprise.roles is no list of names")
  if (client !== undefined && !isName(client)) throw unauthorized(nameRule("the token's claim reprise.client", client))
  const fault = grantsFault(grants)
  if (fault !== undefined) throw unauthorized(`the token's claim reprise.grants: ${fault}`)
  return { roles, grants: grants as readonly Grant[], client }
}
