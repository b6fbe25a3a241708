import { afterEach, describe, expect, it, vi } from 'vitest'
import { startTimer, timeoutSignal } from '../../shared/timer.ts'

describe('a timer', () => {
  afterEach(() => void vi.restoreAllMocks())

  it('of any length waits in parts that setTimeout keeps, and runs once', () => {
    const waits: number[] = []
    const due: (() => void)[] = []
    vi.spyOn(globalThis, 'setTimeout').mockImplementation(((run: () => void, ms: number) => {
      waits.push(ms)
      due.push(run)
      return {}
    }) as never)
    let runs = 0
    startTimer(2 ** 32 + 5, () => runs++)
    while (due.length > 0) due.shift()?.()
    expect(waits).toEqual([2 ** 31 - 1, 2 ** 31 - 1, 7])
    expect(runs).toBe(1)
  })

  it.each([2 ** 31, 2 ** 32, Number.MAX_SAFE_INTEGER, Number.POSITIVE_INFINITY])(
    'of %d ms does not fire at once',
    async (ms) => {
      let fired = false
      const stop = startTimer(ms, () => {
        fired = true
      })
      const signal = timeoutSignal(ms)
      await new Promise((resolve) => setTimeout(resolve, 20))
      stop()
      expect({ fired, aborted: signal.aborted }).toEqual({ fired: false, aborted: false })
    },
  )

  it('that is stopped does not run', async () => {
    let fired = false
    startTimer(1, () => {
      fired = true
    })()
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect(fired).toBe(false)
  })
})
