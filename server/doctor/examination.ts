/** What is looked at of a configuration, in the words of the doctor: the same before a hub starts and while it runs. */

import { X509Certificate } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { messageOf } from '../../shared/errors.ts'
import { type AuthOptions, readAuth, weakSecret } from '../options/auth.ts'
import { readEncryption } from '../options/encryption.ts'
import { isLoopback, type ResolvedHubOptions } from '../options/hub.ts'
import { readTls, type TlsOptions } from '../options/tls.ts'
import { checkRunning } from '../store/checkup.ts'
import { type Finding, fail, ok, warn } from '../store/contract/findings.ts'
import { encryptionFindings } from '../store/sealing/report.ts'
import { version } from '../version.ts'

const OLDEST_NODE = [20, 15] as const
const DAY_MS = 86_400_000
const SOON_DAYS = 14
const JWKS_MS = 5_000
/** Of the files that may be open. */
const FULL_SHARE = 0.8
const AUTH_TODO = 'configure auth (docs/security.md)'

/** Of a hub that runs. `documents`: its store's. A file, a server or a store that is away by now is a finding, too. */
export async function examineRunning(
  { store, reserveBytes, auth, encryption, serving }: ResolvedHubOptions,
  documents: () => Promise<ReadonlyMap<string, unknown>>,
): Promise<readonly Finding[]> {
  const { host, tls } = serving ?? {}
  const parts = [
    ['versions', () => [versions()]],
    ['open files', openFiles],
    ['store', () => checkRunning(store, reserveBytes)],
    ['auth', () => access({ auth, host })],
    ['tls', () => certificates({ tls })],
    [
      'encryption',
      async () => encryptionFindings(await documents(), encryption && readEncryption(encryption), Date.now()),
    ],
  ] as const
  const findings: Finding[] = []
  for (const [what, look] of parts) {
    try {
      findings.push(...(await look()))
    } catch (error) {
      findings.push(fail(what, messageOf(error), 'the hub does not start again with it'))
    }
  }
  return findings
}

export function versions(): Finding {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  const [oldest, since] = OLDEST_NODE
  const text = `reprise ${version()}, Node ${process.versions.node} on ${process.platform} ${process.arch}`
  if (major > oldest || (major === oldest && minor >= since)) return ok('versions', text)
  return fail('versions', text, `use Node ${oldest}.${since} or newer`)
}

/** Each connection is one. Linux tells of them; elsewhere nothing is found. */
async function openFiles(): Promise<Finding[]> {
  if (process.platform !== 'linux') return []
  const [limits, open] = await Promise.all([readFile('/proc/self/limits', 'utf8'), readdir('/proc/self/fd')])
  const most = Number(/^Max open files +(\d+)/m.exec(limits)?.[1] ?? Number.POSITIVE_INFINITY)
  const text = `${open.length} of ${Number.isFinite(most) ? most : 'any number'}, one for each connection`
  if (open.length <= most * FULL_SHARE) return [ok('open files', text)]
  return [warn('open files', text, 'raise the limit (ulimit -n, LimitNOFILE): nobody can connect when all are open')]
}

/** `host`: where the hub listens by itself. */
export async function access({
  auth,
  host,
}: {
  readonly auth: AuthOptions | undefined
  readonly host: string | undefined
}): Promise<Finding[]> {
  if (auth === undefined) {
    if (host === undefined) {
      return [warn('auth', 'none: whoever reaches the server of this program may do everything', AUTH_TODO)]
    }
    if (isLoopback(host)) return [ok('auth', `none, and only this machine can reach ${host}`)]
    return [warn('auth', `none: whoever reaches ${host} may do everything`, AUTH_TODO)]
  }
  const { jwt, keys } = readAuth(auth)
  const own = auth.authenticate === undefined ? '' : ', and a rule of the program'
  const findings = [ok('auth', `${keys.length} API keys, ${jwt === undefined ? 'no tokens' : 'tokens'}${own}`)]
  const weak = weakSecret(jwt?.secret)
  if (weak !== undefined) findings.push(warn('auth', weak, 'openssl rand -base64 32 makes one'))
  const jwks = jwt?.jwks
  if (jwks !== undefined && 'url' in jwks) findings.push(await keySet(jwks.url))
  return findings
}

async function keySet(location: string): Promise<Finding> {
  const url = withoutSecrets(location)
  try {
    const answer = await fetch(location, { signal: AbortSignal.timeout(JWKS_MS) })
    const { keys } = (await answer.json()) as { readonly keys?: readonly unknown[] }
    if (!answer.ok || !Array.isArray(keys)) throw new Error(`status ${answer.status}`)
    if (keys.length > 0) return ok('jwks', `${url} has ${keys.length} ${keys.length === 1 ? 'key' : 'keys'}`)
    return warn('jwks', `${url} has no keys`, 'no token is good without them')
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
    const reason = messageOf(cause).replaceAll(location, url)
    return fail('jwks', `${url} cannot be read: ${reason}`, 'tokens are unavailable until it answers')
  }
}

/** An address may have a name and a password in it, and a key in its query. Errors tell it as it was given. */
function withoutSecrets(location: string): string {
  return location.replace(/^(\w+:\/\/)[^/?#]*@/, '$1').replace(/[?#].*$/s, '')
}

export function certificates({ tls }: { readonly tls: TlsOptions | undefined }): Finding[] {
  if (tls === undefined) return []
  const { cert, ca } = readTls(tls)
  return [...lasting('tls.cert', cert), ...(ca === undefined ? [] : lasting('tls.ca', ca))]
}

/** The first certificate of a file. */
function lasting(what: string, pem: string): Finding[] {
  try {
    const { subject, validFrom, validTo } = new X509Certificate(pem)
    const days = Math.floor((Date.parse(validTo) - Date.now()) / DAY_MS)
    const name = subject.replaceAll('\n', ', ')
    if (Date.parse(validFrom) > Date.now())
      return [fail(what, `${name}: is valid from ${validFrom} on`, 'wait, or renew')]
    if (days < 0) return [fail(what, `${name}: expired on ${validTo}`, 'renew it')]
    const text = `${name}: ${days} days left`
    return [days < SOON_DAYS ? warn(what, text, 'renew it') : ok(what, text)]
  } catch (error) {
    return [fail(what, `cannot be read: ${messageOf(error)}`, 'give a certificate in PEM')]
  }
}
