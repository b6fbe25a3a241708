/** Looks at a configuration and its store as `serve` would, and says what is wrong and what to do. Changes nothing. */

import { messageOf } from '../../shared/errors.ts'
import { readEncryption } from '../options/encryption.ts'
import { ConfigurationError, parseServeOptions, type Sources } from '../options/file.ts'
import type { ResolvedServeOptions } from '../options/hub.ts'
import { checkStore } from '../store/checkup.ts'
import { type Finding, fail, ok } from '../store/contract/findings.ts'
import { encryptionFindings } from '../store/sealing/report.ts'
import { access, certificates, versions } from './examination.ts'

export type { Finding } from '../store/contract/findings.ts'

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

function shownSources(sources: Readonly<Record<string, string>>): string {
  const given = Object.entries(sources).filter(([, source]) => source !== 'default')
  if (given.length === 0) return 'defaults alone'
  return given.map(([option, source]) => `${option} from ${source}`).join(', ')
}
