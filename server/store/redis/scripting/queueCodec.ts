/** What the script of a queue is asked and what it answers: its words, both ways. */

import { RepriseError } from '../../../../shared/errors.ts'
import type { Position } from '../../../../shared/positions.ts'
import { encodeBody } from '../../codec.ts'
import type {
  Attached,
  Attaching,
  Claim,
  Claimed,
  DeadReason,
  Dropped,
  Enqueue,
  Keeping,
  Leaving,
  Owner,
  PurgeQuery,
  QueuePolicy,
  Settlement,
  SettleOutcome,
} from '../../contract/store.ts'
import { lifeFull } from '../../life/life.ts'
import { ownerKey } from '../../owners.ts'
import { bindingMoved, noConsumer, orRefusal, queueFull } from '../../refusals.ts'
import { unguessable } from '../../token.ts'
import type { Argument } from '../connection/connection.ts'
import { decodeHanded, decodeJob, idOf, leaseOf } from '../queues/storage/records.ts'
import type { Operation } from './batcher.ts'
import { numberAt, numberText, operation, refuse as refuseBy, textAt } from './codec.ts'

/** The queue itself, or its dead letters. */
export type Part = 'm' | 'd'

function timeAt(outcome: readonly Buffer[], index: number): number | undefined {
  const text = textAt(outcome, index)
  return text === '' ? undefined : Number(text)
}

export function policyWords({
  maxAttempts,
  deadMs,
  backoffMs,
  grouped = false,
  keep,
  breaker,
  events = false,
}: QueuePolicy): string[] {
  const { share, min } = breaker ?? { share: 0, min: 0 }
  const order = [grouped ? '1' : '0', keepWord(keep), String(share), numberText(min), events ? '1' : '0']
  return [numberText(maxAttempts), numberText(deadMs), backoffMs.join(' '), ...order]
}

/** Empty where nothing is kept. */
function keepWord(keep: Keeping | undefined): string {
  return keep === undefined ? '' : [keep.count, keep.ageMs, keep.bytes].map(numberText).join(' ')
}

export function positionText({ epoch, offset }: Position): string {
  return `${epoch} ${offset}`
}

export function positionOf(text: string): Position {
  const space = text.lastIndexOf(' ')
  return { epoch: text.slice(0, space), offset: Number(text.slice(space + 1)) }
}

/** An id as the script looks for it: whole, and the number and token in it where the store may have made it. */
export function idWords(id: string): [string, string, string] {
  const match = /^([0-9a-z]{1,10})-([\s\S]+)$/.exec(id)
  return match === null ? [id, '', ''] : [id, String(Number.parseInt(match[1] ?? '', 36)), match[2] ?? '']
}

const NOTHING = Buffer.alloc(0)
/** In the order of their numbers. */
export const REASONS: readonly DeadReason[] = ['max_attempts', 'rejected', 'expired', 'gap', 'child']

export function claim(queue: string, part: Part, given: Claim): Operation<Claimed> {
  const { consumer, session, max, bytes, leaseMs, capMs, rate = 0, groupRate = 0, policy } = given
  const token = unguessable()
  const limits = [max, bytes, leaseMs, capMs, rate, groupRate].map(numberText)
  const args = ['claim', part, ownerKey(consumer), String(session), ...limits, token, ...policyWords(policy)]
  return operation(args, (outcome) => {
    refuse(queue, outcome)
    const nextAt = timeAt(outcome, 3)
    return {
      // A paused queue answers without any.
      jobs: decodeHanded(outcome[4] ?? NOTHING, textAt(outcome, 5), outcome.slice(6), token),
      waiting: numberAt(outcome, 1),
      suspects: numberAt(outcome, 2),
      ...(nextAt !== undefined && { nextAt }),
    }
  })
}

const WORDS = ['done', 'retry', 'release', 'dead', 'extend'] as const

/** `undefined` where the lease cannot be one. */
export function leaseParts(id: string, lease: string) {
  const match = /^(\d{1,15})\.(\d{1,15})\.([\s\S]{1,200})$/.exec(lease)
  if (match === null) return undefined
  const [, n = '', serial = '', token = ''] = match
  const start = `${Number(n).toString(36)}-`
  // What the record has of the id, see `idOf`.
  const idPart = id.startsWith(start) ? id.slice(start.length) : id
  return Buffer.byteLength(token) > 255 ? undefined : { n, serial: Number(serial), token, idPart }
}

/** The same. */
function settlementOf(settlement: Settlement): Buffer | undefined {
  const { id, lease, as } = settlement
  const parts = leaseParts(id, lease)
  if (parts === undefined) return undefined
  const { n, serial, token, idPart } = parts
  const [tokenBytes, idBytes] = [Buffer.byteLength(token), Buffer.byteLength(idPart)]
  let value = -1
  let extra: Buffer | undefined
  if (as === 'done' && settlement.reply !== undefined) extra = encodeBody(settlement.reply)
  if (as === 'retry') value = settlement.delayMs ?? -1
  if (as === 'release' && settlement.inPlace) value = 1
  if (as === 'extend') value = settlement.leaseMs
  if ((as === 'retry' || as === 'dead') && settlement.error !== undefined) extra = Buffer.from(settlement.error)
  const packed = Buffer.allocUnsafe(27 + n.length + tokenBytes + idBytes + (extra?.length ?? 0))
  packed[0] = WORDS.indexOf(as) + 1
  packed.writeDoubleLE(serial, 1)
  packed.writeDoubleLE(value, 9)
  packed[17] = n.length
  let at = 18 + packed.write(n, 18, 'latin1')
  packed[at] = tokenBytes
  at += 1 + packed.write(token, at + 1)
  at = packed.writeUInt32LE(idBytes, at)
  at += packed.write(idPart, at)
  at = packed.writeUInt32LE(extra?.length ?? 0, at)
  extra?.copy(packed, at)
  return packed
}

export function settle(
  queue: string,
  part: Part,
  settlements: readonly Settlement[],
  policy: QueuePolicy,
  by?: Owner,
  next?: Claim,
): Operation<SettleOutcome> {
  const asked = settlements.map(settlementOf)
  const given = asked.filter((each) => each !== undefined)
  const packed = Buffer.concat(given)
  const settler = by === undefined ? '' : ownerKey(by)
  const following = next && claim(queue, part, next)
  const args: Argument[] = ['settle', part, ...policyWords(policy), settler, String(given.length), packed]
  args.push(...(following?.args ?? ['']))
  const read = (outcome: readonly Buffer[]): SettleOutcome => {
    const letters = textAt(outcome, 1)
    const ends = textAt(outcome, 2).split(' ')
    let at = 0
    const settled = asked.map((each) => {
      const letter = each === undefined ? 'l' : letters[at++]
      if (letter === 'c') return { expiresAt: Number(ends.shift()) }
      return letter === 'o' ? 'ok' : 'lost'
    })
    return following === undefined
      ? { settled }
      : { settled, claimed: orRefusal(() => following.read(outcome.slice(3))) }
  }
  return { args, bytes: packed.length, size: given.length, read }
}

export function attach(
  part: Part,
  consumer: Owner,
  { leaseMs, holding, since, policy }: Attaching,
): Operation<Attached> {
  const known = holding === undefined ? ['-1'] : [String(holding.length), ...holding]
  const args = ['attach', part, ownerKey(consumer), numberText(leaseMs), String(since ?? '')]
  args.push(...policyWords(policy), ...known)
  return operation(args, (outcome) => {
    refuse('', outcome)
    const held = []
    for (let i = 2; i + 1 < outcome.length; i += 2) {
      const job = decodeJob(textAt(outcome, i), outcome[i + 1] ?? Buffer.alloc(0))
      held.push({ id: idOf(job), lease: leaseOf(job), expiresAt: job.expiresAt })
    }
    return { session: numberAt(outcome, 1), held }
  })
}

export function detach(
  part: Part,
  consumer: Owner,
  session: number,
  leaving: Leaving,
  policy: QueuePolicy,
): Operation<void> {
  const word = typeof leaving === 'string' ? leaving : numberText(leaving.graceMs)
  const args = ['detach', part, ownerKey(consumer), String(session), word, ...policyWords(policy)]
  return operation(args, () => {})
}

export function touch(part: Part, consumers: readonly Owner[]): Operation<void> {
  return operation(['touch', part, String(consumers.length), ...consumers.map(ownerKey)], () => {})
}

export function fireTimers(
  part: Part,
  policy: QueuePolicy,
): Operation<{ readonly more: boolean; readonly nextAt?: number }> {
  return operation(['fireTimers', part, ...policyWords(policy)], (outcome) => {
    const nextAt = timeAt(outcome, 2)
    return { more: textAt(outcome, 1) === '1', ...(nextAt !== undefined && { nextAt }) }
  })
}

/** When a queue has something to do; `Infinity` for never. */
export function due(): Operation<number> {
  return operation(['due'], (outcome) => timeAt(outcome, 1) ?? Number.POSITIVE_INFINITY)
}

export function purge(part: Part, query: PurgeQuery, keep?: Keeping): Operation<number> {
  const { before, limit, ids } = 'ids' in query ? { before: 0, limit: 0, ids: query.ids } : { ...query, ids: [] }
  const bounds = [keepWord(keep), numberText(before), numberText(limit), String(ids.length)]
  const args = ['purge', part, ...bounds, ...ids.flatMap(idWords)]
  return operation(args, (outcome) => {
    refuse('', outcome)
    return numberAt(outcome, 1)
  })
}

export function awaitEnd(id: string, until: number): Operation<boolean> {
  return operation(['awaitEnd', numberText(until), ...idWords(id)], (outcome) => textAt(outcome, 1) === '1')
}

export function runNow(part: Part, ids: readonly string[]): Operation<number> {
  const args = ['runNow', part, String(ids.length), ...ids.flatMap(idWords)]
  return operation(args, (outcome) => numberAt(outcome, 1))
}

export function redrive(ids: readonly string[], ttlMs: number): Operation<number> {
  const args = ['redrive', numberText(ttlMs), String(ids.length), ...ids.flatMap(idWords)]
  return operation(args, (outcome) => {
    refuse('', outcome)
    return numberAt(outcome, 1)
  })
}

export function pause(part: Part, paused: boolean): Operation<boolean> {
  return operation(['pause', part, paused ? '1' : '0'], (outcome) => textAt(outcome, 0) === 'changed')
}

export function bind(queue: string, topic: string, position: Position | undefined): Operation<Position | undefined> {
  return operation(['bind', topic, position === undefined ? '' : positionText(position)], (outcome) => {
    refuse(queue, outcome)
    const text = textAt(outcome, 1)
    return text === '' ? undefined : positionOf(text)
  })
}

export function drop(): Operation<Dropped | undefined> {
  return operation(['drop'], (outcome) => {
    const word = textAt(outcome, 0)
    if (word === 'none') return undefined
    if (word !== 'use') return { more: word === 'more' }
    const [jobs = 0, dead = 0, consumers = 0, bindings = 0, schedules = 0, life = 0] = outcome.slice(1).map(Number)
    return { use: { jobs, dead, consumers, bindings, schedules, life } }
  })
}

/** What became of a request, as `reads.lua` tells it. */
export function reasonOf(text: string): DeadReason | 'removed' {
  return text === 'removed' ? text : (REASONS.find((reason) => reason === text) ?? 'rejected')
}

export function refuse(queue: string, outcome: readonly Buffer[], given?: Enqueue): void {
  const own = (word: string, detail: string): RepriseError | undefined => {
    if (word === 'life') return lifeFull({ events: numberAt(outcome, 2), bytes: numberAt(outcome, 3) })
    if (word === 'too_many' && given !== undefined) return queueFull(given.limit)
    if (word === 'no_children') return new RepriseError('too_many', given?.noChildren ?? 'no children')
    if (word === 'not_found') return noConsumer(queue)
    if (word !== 'moved') return undefined
    return bindingMoved(queue, given?.binding?.topic ?? '', detail === '' ? undefined : positionOf(detail))
  }
  refuseBy(outcome, own, given?.producer, 'id')
}
