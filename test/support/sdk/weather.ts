/** A hub in memory in bad weather: replies are late, lost, or refusals, in the order of a random row. */

import { RepriseError } from '../../../client/index.ts'
import type { Outbox } from '../../../client/outgoing/outbox.ts'
import type { Draft, ProducerSeq, Published } from '../../../shared/protocol.ts'
import type { Random } from '../seed.ts'
import type { StrictLog } from './strictLog.ts'

const REFUSALS = ['unavailable', 'too_many', 'storage_full', 'timeout', 'internal'] as const

export interface Kept {
  readonly offset: number
}

export function weather(random: Random, log: StrictLog) {
  const outstanding = new Set<(error: RepriseError) => void>()
  let connected = true
  let over = false
  let outbox: Outbox<Kept> | undefined

  const cut = () => {
    connected = false
    for (const lose of [...outstanding]) lose(new RepriseError('unavailable', 'the connection was lost'))
    outstanding.clear()
  }

  const turn = () => new Promise<void>((resolve) => setImmediate(resolve))

  // As in a hub that takes one packet after the other: what overtakes there is refused by its number.
  let queue: Promise<unknown> = Promise.resolve()
  const publish = (drafts: readonly Draft[], row: ProducerSeq) =>
    new Promise<Published>((resolve, reject) => {
      outstanding.add(reject)
      const settle = (then: () => void) => {
        if (outstanding.delete(reject)) then()
      }
      queue = queue.then(async () => {
        if (random.chance(0.3)) await turn()
        if (random.chance(0.02)) log.forget()
        if (random.chance(0.05)) cut()
        if (random.chance(0.1)) {
          const code = random.pick(REFUSALS)
          // Of these nobody can say whether the drafts were kept.
          const unsure = code === 'unavailable' || code === 'timeout' || code === 'internal'
          if (unsure && random.chance(0.5)) log.append(drafts, row)
          settle(() => reject(new RepriseError(code, 'by chance', { retryAfterMs: 0 })))
          return
        }
        if (drafts.some(({ data }) => data === 'poison')) {
          settle(() => reject(new RepriseError('bad_request', 'poison')))
          return
        }
        const published = log.append(drafts, row)
        if (random.chance(0.05)) cut()
        else if (published === undefined) settle(() => reject(new RepriseError('conflict', 'not the next number')))
        else settle(() => resolve(published))
      })
    })

  return {
    post: {
      get connected() {
        return connected
      },
      open: () => {
        setImmediate(() => {
          if (over) return
          connected = true
          outbox?.joined()
        })
      },
      send: async (drafts: readonly Draft[], row: ProducerSeq) => {
        if (over) await new Promise(() => {})
        const { offsets } = await publish(drafts, row)
        return offsets.map((offset) => ({ offset }))
      },
    },
    start(given: Outbox<Kept>) {
      outbox = given
    },
    turn,
    /** The page is gone: nothing is answered any more, and what is on its way may still arrive. */
    end() {
      over = true
      connected = false
      outstanding.clear()
    },
  }
}
