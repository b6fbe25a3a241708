/** Drafts as they are stored, of what the random tests of queues draw. */

import type { Body, StoredChildren, StoredJobDraft } from '../../server/store/contract/store.ts'
import { text } from './conformance/fixture.ts'
import type { DrawnChild, DrawnChildren } from './model/queueOperations.ts'

let bodies = 0

export function plainDraft({ size, key, group, priority, due, ttlMs, own }: DrawnChild, now: number): StoredJobDraft {
  const when = due === undefined || 'delayMs' in due ? due : { at: now + due.inMs }
  return {
    body: body(size),
    priority,
    ttlMs,
    ...(key !== undefined && { key }),
    ...(group !== undefined && { group }),
    ...(own !== undefined && { policy: own }),
    ...(when !== undefined && { due: when }),
  }
}

/** Of a parent in `queue`. */
export function storedChildren({ drafts, ...how }: DrawnChildren, queue: string, now: number): StoredChildren {
  return {
    ...how,
    drafts: drafts.map(({ isElsewhere, children, ...child }) => {
      const own = isElsewhere ? otherThan(queue) : queue
      return {
        ...plainDraft(child, now),
        ...(isElsewhere && { queue: own }),
        ...(children !== undefined && { children: storedChildren(children, own, now) }),
      }
    }),
  }
}

/** There are two. */
export function otherThan(queue: string): string {
  return queue === 'q' ? 'p' : 'q'
}

function body(size: number): Body {
  bodies++
  if (bodies % 9 !== 0) return text(`${bodies} ${'x'.repeat(size)}`)
  const bytes = new Uint8Array(size).fill(bodies)
  return { json: `{"data":{"${bodies}":null}}`, binaries: [{ path: [`${bodies}`], bytes }] }
}
