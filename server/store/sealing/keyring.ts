/**
 * The keys that payloads are encrypted with: AES-256-GCM, a random nonce each. Where a payload belongs goes into its tag,
 * so that none passes in the place of another topic's or queue's. Owns the form of what is encrypted; the store sees bytes.
 *
 * key's name 16 · nonce 12 · encrypted · tag 16
 */

import { createCipheriv, createDecipheriv, createSecretKey, type KeyObject, randomFillSync } from 'node:crypto'
import { bodyOf, keyMissing, plainOf, SealedBody } from '../codec.ts'
import type { Body } from '../contract/store.ts'

/** What a hub is given: each key has 32 bytes, its name at most 16 characters. */
export interface Encryption {
  /** The key that new payloads are encrypted with. Without it they are stored as they are. */
  readonly current?: string | undefined
  readonly keys: ReadonlyMap<string, Uint8Array>
}

const ALGORITHM = 'aes-256-gcm'
const NAME_BYTES = 16
const NONCE_BYTES = 12
const TAG_BYTES = 16
const HEAD_BYTES = NAME_BYTES + NONCE_BYTES
const NONCES_AT_ONCE = 256

/**
 * Before a text, such as a job's error, that is encrypted; texts stand in records beside what is not. Any text may begin
 * so: only one that its key opens is taken for encrypted.
 */
const TEXT_MARK = 'sealed:'
const NAME = /^[\w-]{1,16}\0*$/

export class Keyring {
  readonly current: string | undefined
  readonly #keys = new Map<string, KeyObject>()
  readonly #nonces = Buffer.alloc(NONCE_BYTES * NONCES_AT_ONCE)
  #nextNonce = NONCES_AT_ONCE

  constructor({ current, keys }: Encryption) {
    this.current = current
    for (const [name, key] of keys) this.#keys.set(name, createSecretKey(key))
  }

  get names(): readonly string[] {
    return [...this.#keys.keys()]
  }

  has(name: string): boolean {
    return this.#keys.has(name)
  }

  /** Under the current key. */
  seal(body: Body, place: string): Body {
    const { current } = this
    return current === undefined ? body : new SealedBody(this.#encrypt(current, plainOf(body), place))
  }

  /** `undefined`: damaged, or of another place. Throws `unavailable` where the key is missing. */
  open(body: Body, place: string): Body | undefined {
    if (!(body instanceof SealedBody)) return body
    if (!this.#keys.has(body.key)) throw keyMissing(body.key)
    const plain = this.#decrypt(body.sealed, place)
    return plain && bodyOf(plain)
  }

  sealText(text: string, place: string): string {
    const { current } = this
    if (current === undefined || text === '') return text
    return TEXT_MARK + this.#encrypt(current, [Buffer.from(text)], place).toString('base64')
  }

  /** What no key opens is left as it is. */
  openText(text: string, place: string): string {
    const sealed = sealedText(text)
    return (sealed && this.#decrypt(sealed, place)?.toString()) ?? text
  }

  /** The name of the key that a text is under. Of a key that is not here nobody can tell whether the text only says so. */
  keyOfText(text: string, place: string): string | undefined {
    const sealed = sealedText(text)
    if (sealed === undefined) return undefined
    const key = keyOf(sealed)
    return this.has(key) && this.#decrypt(sealed, place) === undefined ? undefined : key
  }

  /** What shows that a key is the same one again. */
  check(name: string): string {
    return this.#encrypt(name, [CHECKED], checkPlace(name)).toString('base64')
  }

  isSame(name: string, check: string): boolean {
    return this.#decrypt(Buffer.from(check, 'base64'), checkPlace(name)) !== undefined
  }

  #nonce(): Buffer {
    if (this.#nextNonce === NONCES_AT_ONCE) {
      randomFillSync(this.#nonces)
      this.#nextNonce = 0
    }
    const start = NONCE_BYTES * this.#nextNonce++
    return this.#nonces.subarray(start, start + NONCE_BYTES)
  }

  #encrypt(name: string, plain: readonly Buffer[], place: string): Buffer {
    const key = this.#keys.get(name)
    if (key === undefined) throw keyMissing(name)
    const nonce = this.#nonce()
    const cipher = createCipheriv(ALGORITHM, key, nonce)
    cipher.setAAD(Buffer.from(place))
    const parts = plain.map((part) => cipher.update(part))
    cipher.final()
    const head = Buffer.alloc(HEAD_BYTES)
    head.write(name, 'latin1')
    nonce.copy(head, NAME_BYTES)
    return Buffer.concat([head, ...parts, cipher.getAuthTag()])
  }

  #decrypt(sealed: Buffer, place: string): Buffer | undefined {
    const end = sealed.length - TAG_BYTES
    const key = this.#keys.get(keyOf(sealed))
    if (key === undefined || end < HEAD_BYTES) return undefined
    const nonce = sealed.subarray(NAME_BYTES, HEAD_BYTES)
    const decipher = createDecipheriv(ALGORITHM, key, nonce, { authTagLength: TAG_BYTES })
    decipher.setAAD(Buffer.from(place))
    decipher.setAuthTag(sealed.subarray(end))
    const plain = decipher.update(sealed.subarray(HEAD_BYTES, end))
    try {
      decipher.final()
      return plain
    } catch {
      return undefined
    }
  }
}

const CHECKED = Buffer.from('reprise')

function checkPlace(name: string): string {
  return `key:${name}`
}

function keyOf(sealed: Buffer): string {
  return sealed.toString('latin1', 0, NAME_BYTES).replace(/\0+$/, '')
}

/** The bytes of a text that has the form of an encrypted one. */
function sealedText(text: string): Buffer | undefined {
  if (!text.startsWith(TEXT_MARK)) return undefined
  const encoded = text.slice(TEXT_MARK.length)
  const sealed = Buffer.from(encoded, 'base64')
  const isForm = NAME.test(sealed.toString('latin1', 0, NAME_BYTES)) && sealed.toString('base64') === encoded
  return isForm && sealed.length >= HEAD_BYTES + TAG_BYTES ? sealed : undefined
}

/** The name of the key that a body is under; `undefined` for one that is stored as it is. */
export function keyOfBody(body: Body): string | undefined {
  return body instanceof SealedBody ? body.key : undefined
}
