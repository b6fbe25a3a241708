/** The contract, sentence by sentence, over any engine. */

import { afterEach, beforeEach, describe } from 'vitest'
import type { Store } from '../../../server/store/contract/store.ts'
import { describeSchedules } from '../schedules.ts'
import { describeAppend } from './append.ts'
import { describeCursors } from './cursors.ts'
import type { Engine } from './fixture.ts'
import { describeLog } from './log.ts'
import { describeQueueBreaker } from './queues/breaker.ts'
import { describeQueueChildren } from './queues/children.ts'
import { describeQueueDrop } from './queues/drop.ts'
import { describeQueueErrands } from './queues/elsewhere.ts'
import { describeQueueFinished } from './queues/finished.ts'
import { describeQueueGroups } from './queues/groups.ts'
import { describeJobPolicy } from './queues/jobPolicy.ts'
import { describeQueueLife, describeQueueLifeBound } from './queues/life.ts'
import { describeQueueProgress } from './queues/progress.ts'
import { describeQueueBounds } from './queuesBounds.ts'
import { describeQueueCrowd, describeQueueEndings } from './queuesEndings.ts'
import { describeQueueLeases } from './queuesLeases.ts'
import { describeQueueNext } from './queuesNext.ts'
import { describeQueueOrder } from './queuesOrder.ts'
import { describeQueueReturns } from './queuesReturns.ts'
import { describeStoreItself } from './store.ts'

interface Parts {
  /** What concerns payloads and what is done to them, for an engine that is tested whole besides. */
  readonly payloadsAlone?: boolean
  /** Its rules are in the code of another engine, which is tested besides: without the costliest tests. */
  readonly sameRules?: boolean
}

export function describeConformance(name: string, makeEngine: () => Promise<Engine>, parts: Parts = {}): void {
  const { payloadsAlone = false, sameRules = payloadsAlone } = parts
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
    describeQueueOrder(given)
    describeQueueGroups(given)
    describeQueueBreaker(given)
    describeJobPolicy(given)
    describeQueueLife(given)
    if (!sameRules) describeQueueLifeBound(given)
    describeQueueProgress(given)
    describeQueueLeases(given)
    describeQueueEndings(given)
    describeQueueNext(given)
    describeQueueReturns(given)
    describeQueueChildren(given)
    describeQueueErrands(given)
    describeQueueFinished(given)
    describeQueueDrop(given)
    describeQueueBounds(given)
    describeSchedules(given)
    if (payloadsAlone) return
    describeCursors(given)
    describeQueueCrowd(given)
    describeStoreItself(given)
  })
}
