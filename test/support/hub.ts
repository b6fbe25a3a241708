/** A hub in this process, on the store that this run of the tests is about; gone when its test is. */

import type { ServeOptions } from '../../server/options.ts'
import { createTestHub, type TestHub } from '../../server/testing.ts'
import { atEnd } from './ending.ts'

export async function startHub(options: ServeOptions = {}): Promise<TestHub> {
  const hub = await createTestHub(options)
  atEnd(() => hub.close())
  return hub
}
