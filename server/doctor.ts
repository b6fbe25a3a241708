/** Looks at a configuration and its store as `serve` would, and says what is wrong and what to do. Changes nothing. */

import { X509Certificate } from 'node:crypto'
import { messageOf } from '../shared/errors.ts'
import { readAuth } from './options/auth.ts'
import { readEncryption } from './options/encryption.ts'
import { ConfigurationError, parseServeOptions, type Sources } from './options/file.ts'
import { isLoopback, type ResolvedServeOptions } from './options/hub.ts'
import { readTls } from './options/tls.ts'
import { checkStore } from './store/checkup.ts'
import { type Finding, fail, ok, warn } from './store/contract/findings.ts'
import { encryptionFindings } from './store/sealing/report.ts'
import { version } from './version.ts'

export type { Finding } from './store/contract/findings.ts'

const OLDEST_NODE = [20, 15] as const
const DAY_MS = 86_400_000
const SOON_DAYS = 14
const JWKS_MS = 5_000

export async function examine(sources: Sources): Promise<readonly Finding[]> {
  const findings = [versions()]
  let options: ResolvedServeOptions
  try {
    const configuration = parseServeOptions(sources)
    options = configuration.options
    findings.push(ok('configuration', shownSources(configuration.sources)))
  } catch (error) {
    const faults = error instanceof ConfigurationError ? error.faults : [messageOf(error)]
    return [...findings, ...faults.map((fault) => fail('configuration', fault, 'the hub does not start with it'))]
  }
  const { findings: store, documents } = await checkStore(options.store, options.reserveBytes)
  findings.push(...store, ...(await access(options)), ...certificates(options))
  const keys = options.encryption && readEncryption(options.encryption)
  return [...findings, ...encryptionFindings(documents, keys, Date.now())]
}

function versions(): Finding {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  const [oldest, since] = OLDEST_NODE
  const text = `reprise ${version()}, Node ${process.versions.node} on ${process.platform} ${process.arch}`
  if (major > oldest || (major === oldest && minor >= since)) return ok('versions', text)
  return fail('versions', text, `use Node ${oldest}.${since} or newer`)
}

function shownSources(sources: Readonly<Record<string, string>>): string {
  const given = Object.entries(sources).filter(([, source]) => source !== 'default')
  if (given.length === 0) return 'defaults alone'
  return given.map(([option, source]) => `${option} from ${source}`).join(', ')
}

async function access({ auth, host }: ResolvedServeOptions): Promise<Finding[]> {
  if (auth === undefined) {
    if (isLoopback(host)) return [ok('auth', `none, and only this machine can reach ${host}`)]
    return [warn('auth', `none: whoever reaches ${host} may do everything`, 'configure auth (docs/security.md)')]
  }
  const { jwt, keys } = readAuth(auth)
  const findings = [ok('auth', `${keys.length} API keys, ${jwt === undefined ? 'no tokens' : 'tokens'}`)]
  const jwks = jwt?.jwks
  if (jwks !== undefined && 'url' in jwks) findings.push(await keySet(jwks.url))
  return findings
}

async function keySet(url: string): Promise<Finding> {
  try {
    const answer = await fetch(url, { signal: AbortSignal.timeout(JWKS_MS) })
    const { keys } = (await answer.json()) as { readonly keys?: readonly unknown[] }
    if (!answer.ok || !Array.isArray(keys)) throw new Error(`status ${answer.status}`)
    if (keys.length > 0) return ok('jwks', `${url} has ${keys.length} ${keys.length === 1 ? 'key' : 'keys'}`)
    return warn('jwks', `${url} has no keys`, 'no token is good without them')
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
    return fail('jwks', `${url} cannot be read: ${messageOf(cause)}`, 'tokens are unavailable until it answers')
  }
}

function certificates({ tls }: ResolvedServeOptions): Finding[] {
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
