/** What the script of a topic is asked and what it answers: its words, both ways. */

import type { RepriseError } from '../../../../shared/errors.ts'
import type { Lineage, Position } from '../../../../shared/positions.ts'
import type { CursorCall } from '../../acksLast.ts'
import { type SizedBody, sizeBody } from '../../codec.ts'
import type { Append, Appended, Bounds, CursorStart, OpenedCursor, Owner, Retention } from '../../contract/store.ts'
import { duplicatesOf, forgottenOf } from '../../duplicates.ts'
import { ownerKey } from '../../owners.ts'
import { beyondEnd, noCursor, staleEpoch } from '../../refusals.ts'
import type { Argument } from '../connection/connection.ts'
import { packGroups } from '../topics/blocks.ts'
import type { Operation } from './batcher.ts'
import { numberAt, numberText, operation, refuse as refuseBy, textAt } from './codec.ts'

export interface Joinable extends CursorCall {
  /** Of an append without ids: what it takes to join it with its neighbours, and to make its arguments. */
  readonly plain?: {
    readonly head: readonly Argument[]
    readonly bodies: readonly SizedBody[]
    /** What has to be the same. */
    readonly key: string
    /** -1 without a producer. */
    readonly seq: number
  }
}

function retention({ events, bytes, ageMs, holdBytes = 0 }: Retention): string[] {
  return [events, bytes, ageMs, holdBytes].map(numberText)
}

/** How many drafts take a script as long as an acknowledgement. */
const ACK_SIZE = 16

export type AppendOutcome = Omit<Appended, 'durability'>

export function append({ subject, drafts, producer, retain }: Append): Operation<AppendOutcome> & Joinable {
  const withIds = drafts.some(({ id }) => id !== undefined)
  const limits = retention(retain)
  const head: Argument[] = ['append', subject, producer?.name ?? '', String(producer?.seq ?? -1), ...limits]
  const sized = drafts.map(({ body }) => sizeBody(body))
  const bytes = sized.reduce((sum, body) => sum + body.bytes, 0)
  const read = (outcome: readonly Buffer[]): AppendOutcome => {
    refuse(outcome, { producer })
    return readAppended(outcome, drafts.length)
  }
  const known = { bytes, size: drafts.length, read }
  if (withIds)
    return {
      ...known,
      args: appendArgs(
        head,
        sized,
        drafts.map(({ id = '' }) => id),
      ),
    }
  const key = [limits.join(), producer === undefined ? '' : `${producer.name.length}:${producer.name}`, subject].join(
    ' ',
  )
  return { ...known, args: [], plain: { head, bodies: sized, key, seq: producer?.seq ?? -1 } }
}

/** Bodies travel in groups, each one text: an argument a body costs Redis more. */
export function appendArgs(
  head: readonly Argument[],
  bodies: readonly SizedBody[],
  ids?: readonly string[],
): Argument[] {
  const groups = packGroups(bodies)
  const withIds = ids === undefined ? '0' : '1'
  return [...head, String(bodies.length), withIds, String(groups.length / 4), ...groups, ...(ids ?? [])]
}

export function readAppended(outcome: readonly Buffer[], count: number): AppendOutcome {
  const epoch = textAt(outcome, 1)
  const forgotten = forgottenOf(numberAt(outcome, 2))
  if (textAt(outcome, 0) === 'mixed') {
    // The offset of a duplicate has a sign in front.
    const offsets = outcome.slice(3).map(Number)
    const duplicatesAt = offsets.flatMap((offset, i) => (offset < 0 ? [i] : []))
    return { epoch, offsets: offsets.map(Math.abs), ...duplicatesOf(duplicatesAt), ...forgotten }
  }
  const first = numberAt(outcome, 3)
  return { epoch, offsets: Array.from({ length: count }, (_, i) => first + i), ...duplicatesOf([]), ...forgotten }
}

export function hold(name: string, offset: number | undefined): Operation<void> {
  return operation(['hold', name, offset === undefined ? '' : String(offset)], () => {})
}

export function drop(): Operation<boolean> {
  return operation(['drop'], (outcome) => textAt(outcome, 0) === 'dropped')
}

export function repair(): Operation<void> {
  return operation(['repair'], () => {})
}

/** Takes in the epochs of the store that it was not born under. */
export function know(): Operation<void> {
  return operation(['know'], () => {})
}

export function open(owner: Owner, start: CursorStart, since?: number): Operation<OpenedCursor> & Joinable {
  const [word, position] =
    typeof start === 'string' ? [start, undefined] : 'place' in start ? ['place', start.place] : ['at', start]
  const key = ownerKey(owner)
  const args = ['open', key, word, position?.epoch ?? '', String(position?.offset ?? 0), String(since ?? '')]
  const read = (outcome: readonly Buffer[]): OpenedCursor => {
    refuse(outcome, { position })
    return {
      ...boundsAt(outcome, 6),
      position: { epoch: textAt(outcome, 1), offset: numberAt(outcome, 2) },
      session: numberAt(outcome, 3),
      created: textAt(outcome, 4) === '1',
      expired: textAt(outcome, 5) === '1',
    }
  }
  return { ...operation(args, read), cursor: key.toString('latin1') }
}

export function commit(owner: Owner, session: number, position: Position): Operation<Position> & Joinable {
  const { epoch, offset } = position
  const owned = ownerKey(owner)
  const read = (outcome: readonly Buffer[]): Position => {
    refuse(outcome, { position })
    return { epoch: textAt(outcome, 1), offset: numberAt(outcome, 2) }
  }
  const cursor = owned.toString('latin1')
  return {
    ...operation(['commit', owned, String(session), epoch, String(offset)], read),
    size: ACK_SIZE,
    cursor,
    ack: { key: `${session} ${cursor} ${epoch}`, offset },
  }
}

export function forget(owner: Owner): Operation<boolean> & Joinable {
  const key = ownerKey(owner)
  const read = (outcome: readonly Buffer[]): boolean => textAt(outcome, 0) === 'forgotten'
  return { ...operation(['forget', key], read), cursor: key.toString('latin1') }
}

function boundsAt(outcome: readonly Buffer[], index: number): Bounds {
  return boundsOf(outcome.slice(index, index + 5).map(String))
}

/** An epoch, its lineage, first, head, and the logs that were dropped before. */
export function boundsOf([epoch = '', lineage = '', first, head, dropped = '']: readonly string[]): Bounds {
  return { epoch, lineage: lineageOf(lineage), first: Number(first), head: Number(head), ...droppedOf(dropped) }
}

/** Of lines: a head and a lineage each. */
export function droppedOf(text: string): Pick<Bounds, 'dropped'> {
  if (text === '') return {}
  const dropped = text.split('\n').map((line) => {
    const space = line.indexOf(' ')
    return { head: Number(line.slice(0, space)), lineage: lineageOf(line.slice(space + 1)) }
  })
  return { dropped }
}

/** Of a flat list: an epoch and what it starts after, in turn. */
function lineageOf(text: string): Lineage {
  const parts = text.split(' ')
  return parts.flatMap((epoch, i) => (i % 2 === 0 ? [{ epoch, startsAfter: Number(parts[i + 1]) }] : []))
}

/** What a call was about, which the script does not repeat. */
interface Asked {
  readonly producer?: Append['producer'] | undefined
  readonly position?: Position | undefined
}

function refuse(outcome: readonly Buffer[], { producer, position }: Asked): void {
  const own = (word: string, detail: string): RepriseError | undefined => {
    switch (word) {
      case 'stale_epoch':
        return position && staleEpoch(position)
      case 'bad_request':
        return position && beyondEnd(position, Number(detail))
      case 'not_found':
        return noCursor()
      default:
        return undefined
    }
  }
  refuseBy(outcome, own, producer, 'offset')
}
