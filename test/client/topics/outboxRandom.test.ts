import { describe, expect, it } from 'vitest'
import { RepriseError } from '../../../client/index.ts'
import { Outbox } from '../../../client/outgoing/outbox.ts'
import type { Draft, ProducerSeq, Published } from '../../../shared/protocol.ts'
import { StrictLog } from '../../support/sdk/strictLog.ts'
import { type Random, runSeed, seededRandom } from '../../support/seed.ts'

const ROUNDS = process.env.REPRISE_SOAK === '1' ? 5_000 : 300
const REFUSALS = ['unavailable', 'too_many', 'storage_full', 'timeout', 'internal'] as const

interface Kept {
  readonly offset: number
}

/** A hub in memory whose replies are late, lost, or refusals, in the order of a random row. */
function weather(random: Random, log: StrictLog) {
  const outstanding = new Set<(error: RepriseError) => void>()
  let connected = true
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
          connected = true
          outbox?.joined()
        })
      },
      send: async (drafts: readonly Draft[], row: ProducerSeq) => {
        const { offsets } = await publish(drafts, row)
        return offsets.map((offset) => ({ offset }))
      },
    },
    start(given: Outbox<Kept>) {
      outbox = given
    },
    turn,
  }
}

describe('the outbox in bad weather', () => {
  const seed = runSeed('the outbox in bad weather')

  it('keeps every draft that it resolves once and in order, and none that it rejects with a certain outcome', async () => {
    const jitter = Math.random
    Math.random = () => jitter() / 1_000
    try {
      for (let round = 0; round < ROUNDS; round++) await oneRound(seededRandom(seed + round), seed + round)
    } finally {
      Math.random = jitter
    }
  })
})

async function oneRound(random: Random, seed: number): Promise<void> {
  const log = new StrictLog()
  const sky = weather(random, log)
  const outbox = new Outbox(sky.post, { maxDrafts: 1_000, maxBytes: 1_000_000 })
  sky.start(outbox)
  const outcomes: Promise<unknown>[] = []
  const count = random.integer(5, 60)
  for (let i = 0; i < count; i++) {
    const data = random.chance(0.03) ? 'poison' : i
    outcomes.push(outbox.add({ data }, { bytes: 10, attachments: 0 }, undefined).catch((error: unknown) => error))
    if (random.chance(0.4)) await sky.turn()
  }
  const results = await Promise.all(outcomes)
  const where = `REPRISE_SEED=${seed}`
  let last = 0
  for (const [i, result] of results.entries()) {
    const copies = log.kept.filter((data) => data === i).length
    if (result instanceof RepriseError) {
      if (!result.message.includes('unknown')) expect(copies, `${where}: ${i} ${result.message}`).toBe(0)
      else expect(copies, `${where}: draft ${i}`).toBeLessThanOrEqual(1)
      continue
    }
    const { offset } = result as { offset: number }
    expect(log.kept[offset - 1], `${where}: draft ${i}`).toBe(i)
    expect(copies, `${where}: draft ${i}`).toBe(1)
    expect(offset, `${where}: draft ${i} stays behind the one before`).toBeGreaterThan(last)
    last = offset
  }
}
