/** TLS of a server of the hub's own: what may be written, and what is read of it. */

import { messageOf, RepriseError } from '../../shared/errors.ts'
import { known, optional, value } from './checks.ts'
import { readSecret, referenceOf } from './secret.ts'

/** Each in PEM: a file, `env:NAME`, or the text itself. */
export interface TlsOptions {
  /** The server's certificate, then those that lead to the authority. */
  readonly cert: string
  readonly key: string
  /** Authorities of clients: who has no certificate of theirs cannot connect. */
  readonly ca?: string
}

/** Whether it is the PEM itself, not where it is. */
export function isPem(text: string): boolean {
  return /-----BEGIN [A-Z0-9 ]+-----/.test(text)
}

const PARTS = ['cert', 'key', 'ca'] as const

const pem = value('a file, or env:NAME', (input) => {
  if (typeof input !== 'string' || input.trim() === '') return undefined
  return referenceOf(input, isPem)
})

export const tlsOptions = known({ cert: optional(pem), key: optional(pem), ca: optional(pem) })

export const tlsFields = { cert: pem, key: pem, ca: pem } as const

export interface Tls {
  readonly cert: string
  readonly key: string
  readonly ca?: string
  /** What they are read from, as far as that is files. */
  readonly files: readonly string[]
}

/** Throws `bad_request` with a sentence that begins with the option. */
export function readTls(options: Partial<TlsOptions>): Tls {
  const found: Partial<Record<(typeof PARTS)[number], string>> = {}
  const files: string[] = []
  for (const part of PARTS) {
    const reference = options[part]
    if (reference === undefined && part === 'ca') continue
    if (reference === undefined) throw wrong(part, 'is missing: TLS needs a certificate and its key')
    const { value, file } = refused(part, () => readSecret(reference))
    if (!isPem(value)) throw wrong(part, `${file ?? reference.slice(0, 80)} holds no PEM (-----BEGIN …)`)
    found[part] = value
    if (file !== undefined) files.push(file)
  }
  const { cert = '', key = '', ca } = found
  return { cert, key, ...(ca === undefined ? {} : { ca }), files }
}

function refused<T>(part: string, read: () => T): T {
  try {
    return read()
  } catch (cause) {
    throw wrong(part, messageOf(cause), cause)
  }
}

function wrong(part: string, why: string, cause?: unknown): RepriseError {
  return new RepriseError('bad_request', `tls.${part}: ${why}`, { cause })
}
