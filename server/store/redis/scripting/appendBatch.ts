/**
 * Calls of one turn that are one: appends in a row by the same producer, without ids, asking for the same retention; and
 * acknowledgements of one session behind the furthest of them. They go to the script as a single operation, and each gets
 * its part of the outcome.
 */

import type { SizedBody } from '../../codec.ts'
import { duplicatesOf } from '../../duplicates.ts'
import type { Argument } from '../connection/connection.ts'
import type { Operation } from './batcher.ts'
import type { AppendOutcome, Joinable } from './topicCodec.ts'
import { appendArgs, readAppended } from './topicCodec.ts'

interface Asked {
  readonly operation: Joinable & Operation<unknown>
  /** Not to be joined with others. */
  alone?: boolean
}

export interface Row<T extends Asked> {
  readonly members: T[]
  readonly args: readonly Argument[]
}

export function rowsOf<T extends Asked>(calls: readonly T[]): Row<T>[] {
  const rows: Row<T>[] = []
  let open: { members: T[]; key: string; nextSeq: number; bodies: SizedBody[] } | undefined
  const close = (): void => {
    const first = open?.members[0]?.operation.plain
    if (open === undefined || first === undefined) return
    rows.push({ members: open.members, args: appendArgs(first.head, open.bodies) })
    open = undefined
  }
  for (const call of calls) {
    const { plain, args } = call.operation
    if (plain === undefined || call.alone) {
      close()
      const last = rows.at(-1)
      if (last !== undefined && isAcked(call, last.members[0])) last.members.push(call)
      else rows.push({ members: [call], args: plain === undefined ? args : appendArgs(plain.head, plain.bodies) })
    } else if (open !== undefined && open.key === plain.key && (plain.seq < 0 || plain.seq === open.nextSeq)) {
      open.members.push(call)
      open.nextSeq += plain.bodies.length
      for (const body of plain.bodies) open.bodies.push(body)
    } else {
      close()
      open = { members: [call], key: plain.key, nextSeq: plain.seq + plain.bodies.length, bodies: [...plain.bodies] }
    }
  }
  close()
  return rows
}

/** Whether the acknowledgement has nothing more to say than the one before. */
function isAcked(call: Asked, by: Asked | undefined): boolean {
  const [ack, further] = [call.operation.ack, by?.operation.ack]
  if (ack === undefined || further === undefined || call.alone || by?.alone) return false
  return ack.key === further.key && ack.offset <= further.offset
}

/** What each member of the batch gets; `undefined` where they have to be asked one by one, as nothing was done. */
export function partsOf<T extends Asked>({ members }: Row<T>, outcome: readonly Buffer[]): unknown[] | undefined {
  if (outcome[0]?.toString() === 'error') return undefined
  if (members[0]?.operation.ack !== undefined) return members.map(({ operation }) => operation.read(outcome))
  const counts = members.map(({ operation }) => operation.plain?.bodies.length ?? 0)
  const total = counts.reduce((sum, count) => sum + count, 0)
  const whole = readAppended(outcome, total)
  let start = 0
  return counts.map((count): AppendOutcome => {
    const offsets = whole.offsets.slice(start, start + count)
    const duplicatesAt = (whole.duplicatesAt ?? []).filter((at) => at >= start && at < start + count)
    const part = { epoch: whole.epoch, offsets, ...duplicatesOf(duplicatesAt.map((at) => at - start)) }
    start += count
    return part
  })
}
