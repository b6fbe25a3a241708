/** How storage is named: by hub, subject and client, so that two users on one origin never see each other's. */

import { RepriseError } from '../../shared/errors.ts'
import type { StorageScope } from './stored.ts'

/** The name of the database, without the place that a page without a `client` takes. */
export async function storageName(
  { url, path, client, name }: StorageScope,
  token: string | undefined,
): Promise<string> {
  const { protocol, host } = new URL(url ?? '', location.href)
  const hub = `${protocol.replace('ws', 'http')}//${host}${path ?? '/socket.io'}`
  const parts = [hub, await subjectOf(token), client ?? '', name ?? '']
  return `reprise ${parts.map(encodeURIComponent).join(' ')}`
}

/** Whether a renewed token is of the same user, as far as a client can tell. */
export async function isSameSubject(before: string | undefined, now: string | undefined): Promise<boolean> {
  const [one, other] = [claimOf(before), claimOf(now)]
  return one === undefined || other === undefined ? (before === undefined) === (now === undefined) : one === other
}

/** What a token says of its subject; of one that says nothing a digest, so that nobody meets somebody else's. */
async function subjectOf(token: string | undefined): Promise<string> {
  if (token === undefined) return ''
  const claim = claimOf(token)
  if (claim !== undefined) return claim
  // Browsers have it only where nobody on the way can change a page.
  if (crypto.subtle === undefined) {
    const text = 'a token that is no JWT and no API key names a storage only on a page from https or localhost'
    throw new RepriseError('unsupported', text)
  }
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(token))
  return `~${[...new Uint8Array(digest, 0, 12)].map((byte) => byte.toString(16).padStart(2, '0')).join('')}`
}

/** The subject of a JWT, or the name of an API key. Only a name: the hub checks the token. */
function claimOf(token: string | undefined): string | undefined {
  if (token === undefined) return undefined
  const key = /^rk_(.+)_[^_]+$/.exec(token)
  if (key !== null) return `rk_${key[1]}`
  const [, payload] = token.split('.')
  if (payload === undefined) return undefined
  try {
    const bytes = Uint8Array.from(atob(payload.replaceAll('-', '+').replaceAll('_', '/')), (char) => char.charCodeAt(0))
    const { sub } = JSON.parse(new TextDecoder().decode(bytes))
    return typeof sub === 'string' ? `:${sub}` : undefined
  } catch {
    return undefined
  }
}
