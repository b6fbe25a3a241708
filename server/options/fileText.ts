/** Options as a YAML file that `reprise serve --config` takes, each with the place it was read from behind it. */

import { createRequire } from 'node:module'
import type { AuthOptions } from './auth.ts'
import { type EncryptionOptions, shownEncryption } from './encryption.ts'
import type { Configuration } from './file.ts'
import { shownStore } from './hub.ts'
import { shownSecret } from './secret.ts'
import type { TlsOptions } from './tls.ts'

/** The options that a file can hold. `secrets`: passwords in URLs and secrets are written out. */
export function configurationText({ options, sources }: Configuration, { secrets = false } = {}): string {
  const { stringify } = createRequire(import.meta.url)('yaml') as typeof import('yaml')
  const lines: string[] = []
  for (const [option, value] of Object.entries(options)) {
    const source = `# ${sources[option] ?? 'default'}`
    if (value === undefined) lines.push(`# ${option} is not set ${source}`)
    // A file does not name itself.
    else if (option === 'config') lines.push(`# config: ${JSON.stringify(value)} ${source}`)
    else {
      const shown = secrets ? writable(value) : withoutSecrets(option, value)
      const [first = '', ...rest] = stringify({ [option]: shown }, { lineWidth: 0 })
        .trimEnd()
        .split('\n')
      lines.push(`${first} ${source}`, ...rest)
    }
  }
  return `${lines.join('\n')}\n`
}

/** The value of an option as anybody may see it. */
export function withoutSecrets(option: string, value: unknown): unknown {
  if (option === 'store') return shownStore(String(value))
  if (option === 'tls' && value !== undefined) {
    const parts = Object.entries(value as TlsOptions).filter(([, text]) => text !== undefined)
    return Object.fromEntries(parts.map(([part, text]) => [part, shownSecret(text)]))
  }
  if (option === 'encryption' && value !== undefined) return shownEncryption(value as EncryptionOptions)
  if (option !== 'auth' || value === undefined) return writable(value)
  const { jwt, ...rest } = value as AuthOptions
  return writable(jwt?.secret === undefined ? value : { ...rest, jwt: { ...jwt, secret: shownSecret(jwt.secret) } })
}

/** YAML has a number for it that nobody would write. */
function writable(value: unknown): unknown {
  if (value === Number.POSITIVE_INFINITY) return 'unlimited'
  if (Array.isArray(value)) return value.map(writable)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, writable(inner)]))
}
