/** The short form of `npm run fuzz`. */

import { expect, it } from 'vitest'
import { fuzz, SMALL_HEAP } from '../../support/fuzz/fuzz.ts'
import { spawnHub } from '../../support/hub/process.ts'
import { runSeed } from '../../support/seed.ts'
import { soak } from '../../support/tools.ts'

it('random bytes and mutated packets on every transport end no hub, and leave nothing behind', async () => {
  const report = await fuzz(await spawnHub({ env: SMALL_HEAP }), { seed: runSeed('fuzz'), seconds: soak ? 600 : 3 })
  expect(report.faults).toEqual([])
  if (soak) expect(report.p99Ms).toBeLessThan(100)
})
