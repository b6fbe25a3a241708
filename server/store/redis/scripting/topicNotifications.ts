/** Notifications as the script writes them: a word, then lines, then the bodies one behind the other. */

import { readBody } from '../../codec.ts'
import type { Notification, StoredEvent } from '../../contract/store.ts'
import { ownerOf } from './keys.ts'

const NEWLINE = 10

export function readNotification(message: Buffer): Notification | undefined {
  let at = 0
  const line = (): string => {
    const end = message.indexOf(NEWLINE, at)
    const text = message.toString('utf8', at, end < 0 ? message.length : end)
    at = end < 0 ? message.length : end + 1
    return text
  }
  switch (line()) {
    case 'A': {
      const epoch = line()
      const head = Number(line())
      const first = Number(line())
      const time = Number(line())
      const events: StoredEvent[] = []
      const lengths = line()
      if (lengths === '') return { kind: 'appended', epoch, head, events }
      let offset = first
      for (const length of lengths.split(' ')) {
        const start = at
        at += Number(length)
        const body = readBody(message, start, at)
        events.push(body === undefined ? { offset, damaged: true } : { offset, at: time, body })
        offset++
      }
      return { kind: 'appended', epoch, head, events }
    }
    case 'S': {
      const session = Number(line())
      return { kind: 'session', owner: ownerOf(message.subarray(at)), session }
    }
    case 'C':
      return { kind: 'changed' }
    default:
      return undefined
  }
}
