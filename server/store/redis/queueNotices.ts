/** Notifications of queues as the script writes them: a word, then lines. */

import type { QueueNotification } from '../contract.ts'
import { ownerOf } from './keys.ts'

const NEWLINE = 10

export function readQueueNotice(message: Buffer): QueueNotification | undefined {
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
      return { kind: 'lapsed', holder: ownerOf(message.subarray(at)), ids }
    }
    case 'E': {
      const count = Number(line())
      const leases = Array.from({ length: count }, line)
      return { kind: 'settled', holder: ownerOf(message.subarray(at)), leases }
    }
    case 'S': {
      const session = Number(line())
      const isDead = line() === '1'
      return { kind: 'session', holder: ownerOf(message.subarray(at)), session, isDead }
    }
    case 'R':
      return { kind: 'answered', id: message.toString('utf8', at) }
    case 'C':
      return { kind: 'changed' }
    default:
      return undefined
  }
}
