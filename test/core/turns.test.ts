/** Whoever does what is light waits for a few heavy pieces, never for one of everybody who does what is heavy. */

import { describe, expect, it } from 'vitest'
import { itsTurn, PAGE_WEIGHT, turnOfConnection } from '../../server/core/turns.ts'

describe('a turn of the event loop', () => {
  it('begins a few pages, and light pieces beside them', async () => {
    let pages = 0
    let stopped = false
    const reader = async () => {
      while (!stopped) {
        await itsTurn(PAGE_WEIGHT)
        pages++
      }
    }
    const readers = Array.from({ length: 100 }, reader)
    for (let turn = 0; turn < 20; turn++) {
      const before = pages
      await new Promise((resolve) => setImmediate(resolve))
      await itsTurn(1)
      expect(pages - before).toBeLessThan(6)
    }
    expect(pages).toBeGreaterThan(15)
    stopped = true
    await Promise.all(readers)
  })

  it('lets a few connections in, and holds nobody up with those that wait', async () => {
    let begun = 0
    const all = Array.from({ length: 200 }, async () => {
      await turnOfConnection()
      begun++
    })
    for (let turn = 0; begun < 200; turn++) {
      const before = begun
      await itsTurn(1)
      await new Promise((resolve) => setImmediate(resolve))
      expect(begun - before).toBeLessThanOrEqual(turn === 0 ? 40 : 20)
    }
    await Promise.all(all)
  })
})
