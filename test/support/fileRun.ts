/** Set-up of every test file: what its tests share ends with it. */

import { afterAll } from 'vitest'
import { endFile } from './ending.ts'
import { useNodes, useRedis } from './hub/runStore.ts'

afterAll(async () => {
  useRedis(undefined)
  useNodes(1)
  await endFile()
})
