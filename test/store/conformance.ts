/** The contract, sentence by sentence, over any engine. */

import { afterEach, beforeEach, describe } from 'vitest'
import type { Store } from '../../server/store/contract.ts'
import { describeAppend } from './conformance-append.ts'
import { describeCursors } from './conformance-cursors.ts'
import { describeLog } from './conformance-log.ts'
import { describeQueueBounds } from './conformance-queues-bounds.ts'
import { describeQueueEndings } from './conformance-queues-endings.ts'
import { describeQueueLeases } from './conformance-queues-leases.ts'
import { describeQueueOrder } from './conformance-queues-order.ts'
import { describeQueueReturns } from './conformance-queues-returns.ts'
import { describeStoreItself } from './conformance-store.ts'
import type { Engine } from './fixture.ts'

export function describeConformance(name: string, makeEngine: () => Promise<Engine>): void {
  describe(`the ${name} store keeps the contract`, () => {
    let engine: Engine
    let store: Store

    beforeEach(async () => {
      engine = await makeEngine()
      store = await engine.open()
    })

    afterEach(async () => {
      await engine.destroy()
    })

    const reopen = async (): Promise<Store> => {
      await store.close()
      store = await engine.open()
      return store
    }

    const given = () => ({ engine, store, reopen })
    describeAppend(given)
    describeLog(given)
    describeCursors(given)
    describeQueueOrder(given)
    describeQueueLeases(given)
    describeQueueEndings(given)
    describeQueueReturns(given)
    describeQueueBounds(given)
    describeStoreItself(given)
  })
}
