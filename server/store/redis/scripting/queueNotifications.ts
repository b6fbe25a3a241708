/** What the script of a queue tells: notifications as a word, then lines, and losses as a kind, a part and the cause. */

import type { DeadReason, JobLoss, QueueNotification } from '../../contract/store.ts'
import { ownerOf } from './keys.ts'

const NEWLINE = 10

export function readQueueNotification(message: Buffer): QueueNotification | undefined {
  let at = 0
  const line = (): string => {
    const end = message.indexOf(NEWLINE, at)
    const text = message.toString('utf8', at, end < 0 ? message.length : end)
    at = end < 0 ? message.length : end + 1
    return text
  }
  switch (line()) {
    case 'W':
      return { kind: 'work', at: Number(line()) }
    case 'L': {
      const count = Number(line())
      const ids = Array.from({ length: count }, line)
      return { kind: 'lapsed', consumer: ownerOf(message.subarray(at)), ids }
    }
    case 'E': {
      const count = Number(line())
      const leases = Array.from({ length: count }, line)
      return { kind: 'settled', consumer: ownerOf(message.subarray(at)), leases }
    }
    case 'S': {
      const session = Number(line())
      const isDead = line() === '1'
      return { kind: 'session', consumer: ownerOf(message.subarray(at)), session, isDead }
    }
    case 'R':
      return { kind: 'answered', id: message.toString('utf8', at) }
    case 'C':
      return { kind: 'changed' }
    default:
      return undefined
  }
}

/** Pairs: what became of jobs, and of how many. */
export function tellLosses(
  queue: string,
  losses: readonly Buffer[],
  lost: (queue: string, loss: JobLoss) => void,
): void {
  for (let i = 0; i + 1 < losses.length; i += 2) {
    const [name, count] = [losses[i], losses[i + 1]]
    if (name === undefined) continue
    const [kind, part] = name.toString('latin1', 0, 2)
    const cause = name.subarray(2)
    const jobs = Number(count)
    if (kind === 'D') lost(queue, { kind: 'dead', reason: cause.toString() as DeadReason, jobs })
    else lost(part === 'd' ? `${queue}/dead` : queue, { kind: 'lapsed', consumer: ownerOf(cause), jobs })
  }
}
