/** How the script of a queue is asked to add jobs, and what it answers. */

import { encodeBody } from '../../codec.ts'
import type { Carried, Enqueue, Enqueued, StoredChildren, StoredJobDraft } from '../../contract/store.ts'
import { duplicatesOf, forgottenOf } from '../../duplicates.ts'
import { draftHead } from '../../life/errands.ts'
import { unguessable } from '../../token.ts'
import type { Argument } from '../connection/connection.ts'
import type { Operation } from '../scripting/batcher.ts'
import { numberAt, numberText, textAt } from '../scripting/codec.ts'
import { positionText, REASONS, refuse } from '../scripting/queueCodec.ts'

const NOTHING = Buffer.alloc(0)

function optionsOf(draft: StoredJobDraft, subject: string): Buffer {
  const { priority, due, ttlMs, policy, children, replyMs = -1, dead, ...given } = draft
  const { key = '', id = '', group = '' } = given
  const error = dead?.error ?? ''
  const [keyBytes, idBytes, errorBytes] = [Buffer.byteLength(key), Buffer.byteLength(id), Buffer.byteLength(error)]
  const groupBytes = Buffer.byteLength(group)
  const own = policy === undefined ? '' : JSON.stringify(policy)
  const below = children === undefined ? NOTHING : childrenText(children, subject)
  const ownAt = 43 + keyBytes + idBytes + errorBytes + groupBytes
  const length = 4 + ownAt + own.length
  const options = Buffer.allocUnsafe(length + below.length)
  options[0] = priority
  const [kind, time] = due === undefined ? [0, 0] : 'delayMs' in due ? [1, due.delayMs] : [2, due.at]
  options[1] = kind
  options.writeDoubleLE(time, 2)
  options.writeDoubleLE(ttlMs, 10)
  options.writeDoubleLE(replyMs, 18)
  options[26] = dead === undefined ? 0 : REASONS.indexOf(dead.reason) + 1
  options.writeUInt32LE(keyBytes, 27)
  options.write(key, 31)
  options.writeUInt32LE(idBytes, 31 + keyBytes)
  options.write(id, 35 + keyBytes)
  options.writeUInt32LE(errorBytes, 35 + keyBytes + idBytes)
  options.write(error, 39 + keyBytes + idBytes)
  options.writeUInt32LE(groupBytes, 39 + keyBytes + idBytes + errorBytes)
  options.write(group, 43 + keyBytes + idBytes + errorBytes)
  options.writeUInt32LE(own.length, ownAt)
  options.write(own, ownAt + 4, 'latin1')
  below.copy(options, length)
  return options
}

/**
 * Whether it fails with one, the most bytes of results, how many, and of each its body and its options, or for another queue
 * its name and what is carried there.
 */
function childrenText({ drafts, onDead, bytes }: StoredChildren, subject: string): Buffer {
  const head = Buffer.allocUnsafe(13)
  head[0] = onDead === 'fail' ? 1 : 0
  head.writeDoubleLE(bytes, 1)
  head.writeUInt32LE(drafts.length, 9)
  const parts = drafts.flatMap(({ queue = '', ...draft }) => {
    const body = encodeBody(draft.body)
    if (queue === '') return [body, optionsOf(draft, subject), NOTHING, NOTHING]
    const errand = JSON.stringify({ to: queue, subject, draft: draftHead(draft) }).slice(1, -1)
    return [body, NOTHING, Buffer.from(queue), Buffer.from(errand)]
  })
  return Buffer.concat([head, ...parts.flatMap((part) => [lengthOf(part), part])])
}

/** Whether two drafts have the same options, as far as a glance tells. */
function isAlike(a: StoredJobDraft, b: StoredJobDraft | undefined): boolean {
  return (
    b !== undefined &&
    a.priority === b.priority &&
    a.ttlMs === b.ttlMs &&
    a.key === b.key &&
    a.group === b.group &&
    a.policy === b.policy &&
    a.children === undefined &&
    b.children === undefined &&
    a.id === undefined &&
    b.id === undefined &&
    a.due === undefined &&
    b.due === undefined &&
    a.replyMs === b.replyMs &&
    a.dead === b.dead
  )
}

export function enqueue(queue: string, given: Enqueue): Operation<Omit<Enqueued, 'durability'>> {
  const { subject, drafts, limit, producer, binding, carried } = given
  const token = unguessable()
  const args: Argument[] = ['enqueue', subject, token, numberText(limit.jobs), numberText(limit.bytes)]
  args.push(...[given.grouped, given.events].map((is) => (is === undefined ? '' : is ? '1' : '0')))
  args.push(producer?.name ?? '', String(producer?.seq ?? -1))
  if (binding === undefined) args.push('', '', '')
  else args.push(binding.topic, positionText(binding.from), positionText(binding.to))
  args.push(carried === undefined ? '' : carriedText(carried), given.noChildren === undefined ? '0' : '1')
  const parts = drafts.flatMap((draft, i) => {
    const options = isAlike(draft, drafts[i - 1]) ? NOTHING : optionsOf(draft, subject)
    const body = encodeBody(draft.body)
    return [lengthOf(body), body, lengthOf(options), options]
  })
  const packed = Buffer.concat(parts)
  args.push(String(drafts.length), packed)
  const read = (outcome: readonly Buffer[]): Omit<Enqueued, 'durability'> => {
    refuse(queue, outcome, given)
    if (textAt(outcome, 0) === 'new') {
      const first = numberAt(outcome, 1)
      return { ids: drafts.map((_, i) => `${(first + i).toString(36)}-${token}`), duplicates: 0 }
    }
    const ids = outcome.slice(2, 2 + drafts.length).map(String)
    const childIds = outcome.slice(2 + drafts.length).map((id) => idGiven(String(id)))
    const duplicatesAt = ids.flatMap((text, i) => (text.startsWith('!') ? [i] : []))
    return {
      ids: ids.map(idGiven),
      ...duplicatesOf(duplicatesAt),
      ...forgottenOf(numberAt(outcome, 1)),
      ...(childIds.length > 0 && { childIds }),
    }
  }
  return { args, bytes: packed.length, size: jobsIn(drafts), read }
}

function carriedText({ queue, row, children }: Carried): string {
  const places = children.map(({ number, parent }) => ({ number, ...parent }))
  return JSON.stringify({ queue, row, places })
}

/** With all children. */
function jobsIn(drafts: readonly StoredJobDraft[]): number {
  return drafts.reduce((sum, { children }) => sum + 1 + (children === undefined ? 0 : jobsIn(children.drafts)), 0)
}

function lengthOf({ length }: Buffer): Buffer {
  const packed = Buffer.allocUnsafe(4)
  packed.writeUInt32LE(length)
  return packed
}

/** `=<id>`, or `#<number>-<token>`; behind a `!` that of a duplicate. */
function idGiven(given: string): string {
  const text = given.startsWith('!') ? given.slice(1) : given
  if (text.startsWith('=')) return text.slice(1)
  const dash = text.indexOf('-')
  return Number(text.slice(1, dash)).toString(36) + text.slice(dash)
}
