/** What a store's documents tell of encryption: which keys payloads are under, what is left under old ones, what is missing. */

import { type Finding, fail, ok, warn } from '../contract/findings.ts'
import { type Encryption, Keyring } from './keyring.ts'
import { knownKeysIn, type Pass, PLAIN, passOf } from './keys.ts'

const WHAT = 'encryption'

/** `documents`: absent where the store could not be read. */
export function encryptionFindings(
  documents: ReadonlyMap<string, unknown> | undefined,
  encryption: Encryption | undefined,
  now: number,
): Finding[] {
  const known = documents === undefined ? new Map() : knownKeysIn(documents)
  const ring = encryption && new Keyring(encryption)
  if (ring === undefined && known.size === 0) return [ok(WHAT, 'off: payloads are stored as they are')]
  const current = ring?.current
  const pass = documents && passOf(documents)
  const isOver = pass?.done === true && pass.to === (current ?? PLAIN) && pass.changed > 0
  const state = current === undefined ? 'off: new payloads are stored as they are' : `current key ${current}`
  const moved = isOver ? `; ${pass.changed} older payloads were put under it by ${timeOf(pass.at)}` : ''
  const findings = [ok(WHAT, state + moved)]
  for (const [name, { check, used }] of known) {
    const isGiven = name === PLAIN || ring?.has(name) === true
    if (name === (current ?? PLAIN)) continue
    if (!used) {
      if (isGiven && name !== PLAIN) findings.push(ok(WHAT, `${name}: nothing is under it, it may be taken out`))
    } else if (!isGiven) {
      findings.push(fail(WHAT, `${name}: is missing, and payloads are under it`, `give it as encryption.keys.${name}`))
    } else {
      const subject = name === PLAIN ? 'not encrypted' : `${name}`
      findings.push(left(subject, pass, current ?? PLAIN, now))
    }
    if (isGiven && name !== PLAIN && used && ring?.isSame(name, check) === false) findings.push(other(name))
  }
  const own = current === undefined ? undefined : known.get(current)
  if (current !== undefined && own?.used && ring?.isSame(current, own.check) === false) findings.push(other(current))
  return findings
}

function other(name: string): Finding {
  return fail(
    WHAT,
    `${name}: is another key than the one that payloads are under`,
    `give that one as encryption.keys.${name}`,
  )
}

/** A pass that has said nothing for this long is nobody's. */
const SILENT_MS = 10_000

function left(subject: string, pass: Pass | undefined, to: string, now: number): Finding {
  const start = 'a hub with these keys puts them under the present one while it runs'
  if (pass === undefined || pass.to !== to || pass.done) return warn(WHAT, `${subject}: payloads may be left`, start)
  const [seen, rest] = [Math.min(pass.seen, pass.total), Math.max(0, pass.total - pass.seen)]
  const moved = `of ${seen} that it has looked at it put ${pass.changed} under the present key`
  const text = `${subject}: up to ${rest} payloads are left, those that no hub has looked at by ${timeOf(pass.at)}; ${moved}`
  return now - pass.at > SILENT_MS ? warn(WHAT, text, start) : ok(WHAT, text)
}

function timeOf(at: number): string {
  return new Date(at).toISOString()
}
