/** Sorts very many without holding anybody up: piece by piece, then two pieces at a time made one, each in its turn. */

import { itsTurn, PAGE_WEIGHT } from '../turns.ts'

/** What is sorted in one turn. */
const PIECE = 1_000

interface Valued<Row> {
  readonly row: Row
  /** Worked out once. */
  readonly by: string | number
}

/** Those with the same value stay in their order. */
export async function sortedBy<Row>(rows: readonly Row[], value: (row: Row) => string | number): Promise<Row[]> {
  let pieces: Valued<Row>[][] = []
  for (let from = 0; from < rows.length; from += PIECE) {
    await itsTurn(PAGE_WEIGHT)
    const piece = rows.slice(from, from + PIECE).map((row) => ({ row, by: value(row) }))
    pieces.push(piece.sort(({ by: one }, { by: other }) => (one < other ? -1 : one > other ? 1 : 0)))
  }
  while (pieces.length > 1) {
    const larger: Valued<Row>[][] = []
    for (let at = 0; at < pieces.length; at += 2) {
      await itsTurn(PAGE_WEIGHT)
      larger.push(merged(pieces[at] ?? [], pieces[at + 1] ?? []))
    }
    pieces = larger
  }
  return (pieces[0] ?? []).map(({ row }) => row)
}

function merged<Row>(first: readonly Valued<Row>[], second: readonly Valued<Row>[]): Valued<Row>[] {
  const all: Valued<Row>[] = []
  let at = 0
  for (const one of first) {
    for (let other = second[at]; other !== undefined && other.by < one.by; other = second[at]) {
      all.push(other)
      at += 1
    }
    all.push(one)
  }
  return at === 0 ? all.concat(second) : all.concat(second.slice(at))
}
