/** Randomness that can be replayed: `REPRISE_SEED=n` repeats what a failed run printed. */

export interface Random {
  readonly seed: number
  /** From 0 up to, not including, 1. */
  next(): number
  /** A whole number from `low` to `high`, both included. */
  integer(low: number, high: number): number
  chance(probability: number): boolean
  pick<T>(items: readonly T[]): T
  shuffle<T>(items: readonly T[]): T[]
  bytes(length: number): Uint8Array
}

/** The run's seed, printed with the name of the test that asks for it. */
export function runSeed(test: string): number {
  const given = process.env.REPRISE_SEED
  const seed = given === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(given)
  if (!Number.isSafeInteger(seed)) throw new Error(`REPRISE_SEED has to be a whole number, not ${given}`)
  console.info(`${test}: REPRISE_SEED=${seed}`)
  return seed
}

/** A small generator (mulberry32); the same seed gives the same row. */
export function seededRandom(seed: number): Random {
  let state = seed | 0
  const next = (): number => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  const integer = (low: number, high: number): number => low + Math.floor(next() * (high - low + 1))
  const pick = <T>(items: readonly T[]): T => {
    if (items.length === 0) throw new Error('nothing to pick from')
    return items[integer(0, items.length - 1)] as T
  }
  const shuffle = <T>(items: readonly T[]): T[] => {
    const row = [...items]
    for (let i = row.length - 1; i > 0; i--) {
      const j = integer(0, i)
      ;[row[i], row[j]] = [row[j] as T, row[i] as T]
    }
    return row
  }
  return {
    seed,
    next,
    integer,
    pick,
    shuffle,
    chance: (probability) => next() < probability,
    bytes: (length) => Uint8Array.from({ length }, () => integer(0, 255)),
  }
}
