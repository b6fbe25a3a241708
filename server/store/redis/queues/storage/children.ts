/** What children.lua keeps of children and parents, as it is read. */

import { encodeBody, readBody, readKnownBody } from '../../../codec.ts'
import type { Child, ChildState, JobInfo, PayloadChange } from '../../../contract/store.ts'

/** Of its children the count and how many are open; of its parent the id. */
export interface FamilyRecord {
  readonly c?: { readonly k: number; readonly o: number }
  readonly p?: { readonly id: string; readonly q?: string }
}

const STATES: readonly ChildState[] = ['open', 'done', 'dead', 'removed']
/** In front of an error: the state, and its length. Where the state is by so much more, an id behind its length stands between. */
const HEAD = 5
const AWAY = 16

export function familyOf(record: FamilyRecord | undefined): Pick<JobInfo, 'children' | 'parent' | 'parentQueue'> {
  const { c, p } = record ?? {}
  return {
    ...(c && { children: { count: c.k, open: c.o } }),
    ...(p && { parent: p.id }),
    ...(p?.q !== undefined && { parentQueue: p.q }),
  }
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
  let ids: readonly (string | { readonly q: string })[]
  try {
    ids = JSON.parse(next().toString()) as typeof ids
  } catch {
    return []
  }
  return ids.map((known) => {
    const outcome = at < told.length ? next() : told.subarray(at)
    const where = typeof known === 'object' && { queue: known.q }
    const named = typeof known === 'object' ? '' : known
    if (outcome.length < HEAD) return { ...where, id: named, state: 'open' }
    const { id = named, error, body } = partsOf(outcome)
    const result = body.length === 0 ? undefined : readBody(body)
    const state = STATES[(outcome[0] ?? 0) % AWAY] ?? 'open'
    return {
      ...where,
      id,
      state,
      ...(result !== undefined && { result }),
      ...(error.length > 0 && { error: error.toString() }),
    }
  })
}

interface Outcome {
  /** All before the length of the error. */
  readonly head: Buffer
  readonly id?: string
  readonly error: Buffer
  readonly body: Buffer
}

function partsOf(outcome: Buffer): Outcome {
  const isAway = (outcome[0] ?? 0) >= AWAY
  const headEnd = isAway ? HEAD + outcome.readUInt32LE(1) : 1
  const errorAt = headEnd + 4
  const bodyAt = errorAt + outcome.readUInt32LE(headEnd)
  return {
    head: outcome.subarray(0, headEnd),
    ...(isAway && { id: outcome.toString('utf8', HEAD, headEnd) }),
    error: outcome.subarray(errorAt, bodyAt),
    body: outcome.subarray(bodyAt),
  }
}

/** What became of a child, with other payloads; `undefined` where they are as they shall be, and for a list of ids. */
export function otherOutcome(name: string, outcome: Buffer, change: PayloadChange): Buffer | undefined {
  if (!name.includes(':') || outcome.length < HEAD) return undefined
  const { head, error, body } = partsOf(outcome)
  const known = body.length === 0 ? undefined : readKnownBody(body)
  const other = known && change.body(known, 'reply')
  const text = error.length === 0 ? undefined : change.text(error.toString())
  if (other === undefined && text === undefined) return undefined
  const why = text === undefined ? error : Buffer.from(text)
  const length = Buffer.allocUnsafe(4)
  length.writeUInt32LE(why.length)
  return Buffer.concat([head, length, why, other === undefined ? body : encodeBody(other)])
}
