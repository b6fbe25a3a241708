/** Owners as keys. */

import type { Owner } from './contract/store.ts'

/** The order of its bytes is that of subject and client, whatever they hold: a zero in a subject is escaped. */
export function ownerKey({ subject, client }: Owner): Buffer {
  return Buffer.from(`${subject.replaceAll('\0', '\0\u0001')}\0\0${client}`)
}

export function ownerOf(key: Buffer): Owner {
  const text = key.toString()
  const end = text.lastIndexOf('\0\0')
  return { subject: text.slice(0, end).replaceAll('\0\u0001', '\0'), client: text.slice(end + 2) }
}
