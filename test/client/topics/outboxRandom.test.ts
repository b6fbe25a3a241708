import { describe, expect, it } from 'vitest'
import { RepriseError } from '../../../client/index.ts'
import { type DraftStore, Keeping, type KeptDraft, restored } from '../../../client/outgoing/keeping.ts'
import { Outbox } from '../../../client/outgoing/outbox.ts'
import type { DraftKey } from '../../../client/outgoing/packet.ts'
import type { Draft, ProducerSeq } from '../../../shared/protocol.ts'
import { StrictLog } from '../../support/sdk/strictLog.ts'
import { type Kept, weather } from '../../support/sdk/weather.ts'
import { type Random, runSeed, seededRandom } from '../../support/seed.ts'

const ROUNDS = process.env.REPRISE_SOAK === '1' ? 5_000 : 300
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

  it('has pages that die at any moment: the next one sends what is kept, each draft once and in order', async () => {
    const jitter = Math.random
    Math.random = () => jitter() / 1_000
    try {
      for (let round = 0; round < ROUNDS; round++) await manyPages(seededRandom(seed + round), seed + round)
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

/** What outlives a page: drafts as soon as their write is done, which takes its time. */
class PageStore implements DraftStore {
  readonly #disk: Map<string, KeptDraft>
  readonly #random: Random
  readonly #page: number
  #n = 0
  #over = false
  #writes: Promise<void> = Promise.resolve()

  constructor(disk: Map<string, KeptDraft>, random: Random, page: number) {
    this.#disk = disk
    this.#random = random
    this.#page = page
  }

  /** Resolves when all is written. */
  get idle(): Promise<void> {
    return this.#writes
  }

  nextKey(): DraftKey {
    return [this.#page, 'page', ++this.#n]
  }

  put(drafts: readonly KeptDraft[]): Promise<void> {
    return this.#write(() => {
      for (const draft of drafts) this.#disk.set(String(draft.key), draft)
    })
  }

  delete(key: DraftKey): void {
    void this.#write(() => this.#disk.delete(String(key)))
  }

  /** What is not written by now never is. */
  end(): void {
    this.#over = true
  }

  #write(done: () => void): Promise<void> {
    const turns = this.#random.integer(0, 3)
    this.#writes = this.#writes.then(async () => {
      for (let i = 0; i < turns; i++) await new Promise((resolve) => setImmediate(resolve))
      // A page that is gone hears of nothing any more.
      if (this.#over) await new Promise(() => {})
      done()
    })
    return this.#writes
  }
}

describe('what an earlier page has left', () => {
  it('has an unknown outcome when the hub may have forgotten it, and all else is sent', async () => {
    const sent: { data: unknown[]; seq: number; producer: string }[] = []
    const post = {
      connected: true,
      open: () => {},
      send: async (drafts: object, { producer, seq }: ProducerSeq) => {
        const data = (drafts as readonly Draft[]).map((draft) => draft.data)
        sent.push({ data, producer, seq })
        return data.map((_, i) => ({ offset: seq + i }))
      },
    }
    const week = Date.now() - 7 * 86_400_000
    const draft = (n: number, producer?: string, sentAt = Date.now()): KeptDraft => ({
      key: [1, 'page', n],
      topic: 'topic',
      draft: { data: n },
      at: week,
      ...(producer === undefined ? {} : { row: { producer, seq: n, sentAt } }),
    })
    const late = { ...draft(7), expiresAt: week + 1 }
    const drafts = [draft(3, 'old', week), draft(4, 'old', week), draft(5, 'new'), draft(6), late]
    const { rows, waiting } = restored<Kept>(drafts)
    const outcomes = [...rows.flatMap(({ packets }) => packets.flatMap(({ entries }) => entries)), ...waiting]
    const outbox = new Outbox<Kept>(post, { maxDrafts: 10, maxBytes: 1_000 })
    outbox.restore(rows, waiting)
    const settled = await Promise.allSettled(outcomes.map(({ outcome }) => outcome))
    expect(settled.map((one) => (one.status === 'fulfilled' ? one.value : String(one.reason)))).toEqual([
      expect.stringContaining('the outcome is unknown'),
      expect.stringContaining('the outcome is unknown'),
      { offset: 5 },
      { offset: 1 },
      expect.stringContaining('was not sent and will not be'),
    ])
    expect(sent).toEqual([
      { data: [5], producer: 'new', seq: 5 },
      { data: [6], producer: expect.not.stringMatching(/^(old|new)$/), seq: 1 },
    ])
  })
})

async function manyPages(random: Random, seed: number): Promise<void> {
  const where = `REPRISE_SEED=${seed}`
  const log = new StrictLog()
  const disk = new Map<string, KeptDraft>()
  const outcomes = new Map<number, unknown>()
  let next = 0
  for (let pages = random.integer(2, 5); pages > 0; pages--) {
    const left = [...disk.values()].sort((a, b) => a.key[0] - b.key[0] || a.key[2] - b.key[2])
    const { rows, waiting } = restored<Kept>(left)
    const store = new PageStore(disk, random, -pages)
    const sky = weather(random, log)
    const outbox = new Outbox(sky.post, { maxDrafts: 1_000, maxBytes: 1_000_000, keeping: new Keeping(store, 'topic') })
    sky.start(outbox)
    outbox.restore(rows, waiting)
    const hear = (data: number, outcome: Promise<unknown>) => {
      outcome.then(
        (receipt) => outcomes.set(data, receipt),
        (error: unknown) => outcomes.set(data, error),
      )
    }
    for (const { draft, outcome } of outbox.waiting) hear(draft.data as number, outcome)
    for (let i = random.integer(0, 30); i > 0; i--) {
      const data = next++
      hear(data, outbox.add({ data }, { bytes: 10, attachments: 0 }, undefined))
      if (random.chance(0.4)) await sky.turn()
    }
    // The last one lives until all is settled.
    if (pages === 1) await outbox.drained().then(() => store.idle)
    else for (let turns = random.integer(0, 12); turns > 0; turns--) await sky.turn()
    sky.end()
    store.end()
  }
  for (let data = 0; data < next; data++) {
    const copies = log.kept.filter((kept) => kept === data).length
    const outcome = outcomes.get(data)
    expect(copies, `${where}: draft ${data}`).toBeLessThanOrEqual(1)
    if (outcome instanceof RepriseError) {
      if (!outcome.message.includes('unknown')) expect(copies, `${where}: ${data} ${outcome.message}`).toBe(0)
    } else if (outcome !== undefined)
      expect(log.kept[(outcome as Kept).offset - 1], `${where}: draft ${data}`).toBe(data)
  }
  const certain = log.kept.filter((data) => !(outcomes.get(data as number) instanceof RepriseError)) as number[]
  expect(certain, where).toEqual([...certain].sort((a, b) => a - b))
  expect([...disk.keys()], where).toEqual([])
}
