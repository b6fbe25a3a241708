/**
 * Sets of public keys (RFC 7517) that change while the hub runs: from an address, or from a file. What was got last goes on
 * while the set is away; only a key that is not in it has to wait for it.
 */

import { readFile, stat } from 'node:fs/promises'
import { createLocalJWKSet, errors, type JSONWebKeySet, type JWTVerifyGetKey } from 'jose'
import { RepriseError } from '../../shared/errors.ts'

/** Where the set is, or the set itself. */
export type Jwks = { readonly url: string } | { readonly file: string } | { readonly keys: readonly object[] }

export interface OpenJwks {
  readonly find: JWTVerifyGetKey
  close(): void
}

/** Keys that were taken out of the set are refused after this long. */
const REFRESH_MS = 300_000
const TIMEOUT_MS = 5_000
/** A token with a key that is not in the set makes the hub look at it again, at most this often. */
const COOLDOWN_MS = 5_000

export async function openJwks(place: Jwks, warn: (message: string, cause?: unknown) => void): Promise<OpenJwks> {
  if ('keys' in place) return { find: createLocalJWKSet(place as JSONWebKeySet), close: () => {} }
  const source = place
  const shown = 'url' in source ? source.url : source.file
  let find: JWTVerifyGetKey | undefined
  let version = ''
  /** When an unknown key made the hub look last, and whether it could. */
  let looked = { at: Number.NEGATIVE_INFINITY, failed: false }
  let loading: Promise<void> | undefined

  async function load(): Promise<void> {
    const isNew = 'file' in source ? await versionOf(source.file) : undefined
    if (isNew === undefined || isNew !== version) {
      const set = 'url' in source ? await fetchSet(source.url) : JSON.parse(await readFile(source.file, 'utf8'))
      find = createLocalJWKSet(set)
      version = isNew ?? ''
    }
  }

  function loadOnce(): Promise<void> {
    loading ??= load().finally(() => {
      loading = undefined
    })
    return loading
  }

  await loadOnce().catch((cause: unknown) => warn(`the keys of tokens cannot be read from ${shown}`, cause))
  const timer = setInterval(
    () =>
      loadOnce().catch((cause: unknown) =>
        warn(`the keys of tokens cannot be read from ${shown}; the last ones stay`, cause),
      ),
    'url' in source ? REFRESH_MS : COOLDOWN_MS,
  )
  timer.unref()

  /** Whether the set is as it is now. A flood of unknown keys asks no more often than one. */
  async function isFresh(): Promise<boolean> {
    if (loading === undefined && performance.now() - looked.at < COOLDOWN_MS) return !looked.failed
    const failed = await loadOnce().then(
      () => false,
      () => true,
    )
    looked = { at: performance.now(), failed }
    return !failed
  }

  return {
    async find(header, token) {
      try {
        if (find !== undefined) return await find(header, token)
      } catch (error) {
        if (!(error instanceof errors.JWKSNoMatchingKey)) throw error
      }
      const fresh = await isFresh()
      if (find !== undefined && fresh) return await find(header, token)
      throw new RepriseError('unavailable', "the token's key is not known, and the keys cannot be read now")
    },
    close: () => clearInterval(timer),
  }
}

async function fetchSet(url: string): Promise<JSONWebKeySet> {
  const response = await fetch(url, {
    signal: AbortSignal.timeout(TIMEOUT_MS),
    headers: { accept: 'application/json' },
  })
  if (!response.ok) throw new Error(`${url} answered ${response.status}`)
  return (await response.json()) as JSONWebKeySet
}

/** Changes when the file does. */
async function versionOf(file: string): Promise<string> {
  const { mtimeMs, size, ino } = await stat(file)
  return `${mtimeMs} ${size} ${ino}`
}
