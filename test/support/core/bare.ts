/** The rules without sockets: a log and its fan-out on a store, whose notifications may be as bad as a test wants. */

import { anonymous } from '../../../server/core/access.ts'
import { CallerLimits } from '../../../server/core/guards/callers.ts'
import { Fanout } from '../../../server/core/topics/fanout.ts'
import { Log } from '../../../server/core/topics/log.ts'
import { Pages } from '../../../server/core/topics/pages.ts'
import { openSettings } from '../../../server/core/topics/settings.ts'
import { Subscription } from '../../../server/core/topics/subscription.ts'
import { LIMIT_DEFAULTS } from '../../../server/options/limits.ts'
import type { Store } from '../../../server/store/contract/store.ts'
import { DEFAULT_LIMITS } from '../../../shared/protocol.ts'
import type { Random } from '../seed.ts'
import type { TestOutlet } from './outlet.ts'
import { SILENT } from './silent.ts'

const CALLER = anonymous()

/** The store with late, doubled and stripped notifications, and `lost` of them lost; half of those are told as lost. */
export function withBadNotifications(store: Store, random: Random, lost: number): Store {
  const topics = Object.create(store.topics) as Store['topics']
  topics.watch = (topic, listener) =>
    store.topics.watch(topic, (notification) => {
      if (random.chance(lost)) {
        if (random.chance(0.5)) setTimeout(() => listener({ kind: 'lost' }), random.integer(0, 20))
        return
      }
      if (random.chance(0.1)) listener(notification)
      if (random.chance(0.5)) setTimeout(() => listener(notification), random.integer(0, 8))
      else listener(notification)
      if (notification.kind === 'appended' && random.chance(0.1)) listener({ ...notification, events: [] })
    })
  return { ...store, topics, cursors: store.cursors, settings: store.settings } as Store
}

export async function hubOn(store: Store) {
  const settings = await openSettings({ store: store.settings })
  const callers = new CallerLimits(LIMIT_DEFAULTS)
  const log = new Log(store, settings, DEFAULT_LIMITS, callers, SILENT)
  const fanout = new Fanout(store, log, SILENT)
  const context = { store, log, pages: new Pages(log), fanout, callers, telemetry: SILENT }
  const subscribe = (topic: string, outlet: TestOutlet) => new Subscription(context, CALLER, topic, outlet)
  const publish = (topic: string, data: unknown[]) =>
    log.publish(
      CALLER,
      topic,
      data.map((one) => ({ data: one })),
    )
  return { log, fanout, context, subscribe, publish }
}
