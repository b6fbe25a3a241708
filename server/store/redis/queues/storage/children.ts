/** What children.lua keeps of children and parents, as it is read. */

import { encodeBody, readBody, readKnownBody } from '../../../codec.ts'
import type { Child, ChildState, JobInfo, PayloadChange } from '../../../contract/store.ts'

/** Of its children the count and how many are open; of its parent the id. */
export interface FamilyRecord {
  readonly c?: { readonly k: number; readonly o: number }
  readonly p?: { readonly id: string }
}

const STATES: readonly ChildState[] = ['open', 'done', 'dead', 'removed']
/** In front of an error: the state, and its length. */
const HEAD = 5

export function familyOf(record: FamilyRecord | undefined): Pick<JobInfo, 'children' | 'parent'> {
  const { c, p } = record ?? {}
  return { ...(c && { children: { count: c.k, open: c.o } }), ...(p && { parent: p.id }) }
}

/** `undefined` where the job has none. */
export function childrenIn(told: Buffer): Child[] | undefined {
  if (told.length === 0) return undefined
  let at = 0
  const next = (): Buffer => {
    const length = told.readUInt32LE(at)
    at += 4 + length
    return told.subarray(at - length, at)
  }
  let ids: readonly string[]
  try {
    ids = JSON.parse(next().toString()) as readonly string[]
  } catch {
    return []
  }
  return ids.map((id) => {
    const outcome = at < told.length ? next() : told.subarray(at)
    if (outcome.length < HEAD) return { id, state: 'open' }
    const { error, body } = partsOf(outcome)
    const result = body.length === 0 ? undefined : readBody(body)
    const state = STATES[outcome[0] ?? 0] ?? 'open'
    return { id, state, ...(result !== undefined && { result }), ...(error.length > 0 && { error: error.toString() }) }
  })
}

function partsOf(outcome: Buffer): { readonly error: Buffer; readonly body: Buffer } {
  const bodyAt = HEAD + outcome.readUInt32LE(1)
  return { error: outcome.subarray(HEAD, bodyAt), body: outcome.subarray(bodyAt) }
}

/** What became of a child, with other payloads; `undefined` where they are as they shall be, and for a list of ids. */
export function otherOutcome(name: string, outcome: Buffer, change: PayloadChange): Buffer | undefined {
  if (!name.includes(':') || outcome.length < HEAD) return undefined
  const { error, body } = partsOf(outcome)
  const known = body.length === 0 ? undefined : readKnownBody(body)
  const other = known && change.body(known, 'reply')
  const text = error.length === 0 ? undefined : change.text(error.toString())
  if (other === undefined && text === undefined) return undefined
  const why = text === undefined ? error : Buffer.from(text)
  const head = Buffer.from(outcome.subarray(0, HEAD))
  head.writeUInt32LE(why.length, 1)
  return Buffer.concat([head, why, other === undefined ? body : encodeBody(other)])
}
