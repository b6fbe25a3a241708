/** A hub in this process, on the store that this run of the tests is about; gone when its test is. */

import type { ServeOptions } from '../../server/options.ts'
import { createTestHub, type TestHub } from '../../server/testing.ts'
import { atEnd } from './ending.ts'
import { storeOfRun } from './run-store.ts'

export async function startHub(options: ServeOptions = {}): Promise<TestHub> {
  const hub = await createTestHub({ ...storeOfRun(), ...options })
  atEnd(() => hub.close())
  return hub
}
