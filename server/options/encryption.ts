/** The keys of payloads at rest: what may be written in the file and given to `createHub`, and what is read of it. */

import { z } from 'zod'
import { messageOf, RepriseError } from '../../shared/errors.ts'
import { known, optional, value } from './checks.ts'
import { readSecret, shownSecret } from './secret.ts'

export interface EncryptionOptions {
  /** The key that new payloads are encrypted with. Without it they are stored as they are, and old ones can be read. */
  readonly current?: string
  /** 32 bytes in base64 by their names: `env:NAME`, `file:PATH`, or the text. */
  readonly keys: Readonly<Record<string, string>>
}

const KEY_BYTES = 32
const NAME = /^[A-Za-z0-9_-]{1,16}$/
const NAME_RULE = 'is no name of a key: 1 to 16 letters, digits, _ and -'
const MAKE = 'openssl rand -base64 32'

const reference = z.string({ error: `is not env:NAME, file:PATH or a key as "${MAKE}" prints it` })

export const encryptionOptions = known({
  current: optional(value('the name of a key', (input) => (typeof input === 'string' ? input : undefined))),
  keys: z.record(z.string().regex(NAME, NAME_RULE), reference, { error: 'is not a group of keys by their names' }),
})

/** Throws `bad_request` with a sentence that begins with the option and holds nothing of a key. */
export function readEncryption({ current, keys }: EncryptionOptions) {
  const names = Object.keys(keys)
  if (names.length === 0) throw wrong('keys', `has none: give one, as "${MAKE}" prints it`)
  if (current !== undefined && !names.includes(current)) {
    throw wrong('current', `there is no key ${JSON.stringify(current.slice(0, 80))}: it is one of ${names.join(', ')}`)
  }
  const read = names.map((name) => [name, keyOf(name, keys[name] ?? '')] as const)
  return { current, keys: new Map(read) }
}

function keyOf(name: string, reference: string): Buffer {
  let text: string
  try {
    text = readSecret(reference).value.trim()
  } catch (cause) {
    throw wrong(`keys.${name}`, messageOf(cause), cause)
  }
  const rule = `a key is ${KEY_BYTES} bytes in base64, as "${MAKE}" prints it`
  if (!/^[A-Za-z0-9+/_-]*={0,2}$/.test(text)) throw wrong(`keys.${name}`, `is not base64: ${rule}`)
  const key = Buffer.from(text, 'base64')
  if (key.length !== KEY_BYTES) throw wrong(`keys.${name}`, `has ${key.length} bytes: ${rule}`)
  return key
}

/** As it may be shown. */
export function shownEncryption({ keys, ...rest }: EncryptionOptions): EncryptionOptions {
  return { ...rest, keys: Object.fromEntries(Object.entries(keys).map(([name, key]) => [name, shownSecret(key)])) }
}

function wrong(part: string, why: string, cause?: unknown): RepriseError {
  return new RepriseError('bad_request', `encryption.${part}: ${why}`, { cause })
}
