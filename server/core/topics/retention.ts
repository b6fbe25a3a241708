/** Housekeeping in the background: trims topics by age even when nothing is published, sweeps what is over its time. */

import type { Store } from '../../store/contract/store.ts'
import { every } from '../every.ts'
import type { Telemetry } from '../telemetry.ts'
import type { HubSettings } from './settings.ts'

/** Between two rounds; a round looks at one page of topics and goes on from there in the next. */
const ROUND_MS = 5_000
const TOPICS_A_ROUND = 1_000
const SWEEP_MS = 30_000

/** Starts both; the result stops them and resolves when neither is at work. */
export function startRetention(store: Store, settings: HubSettings, telemetry: Telemetry): () => Promise<void> {
  let after: string | undefined
  let changed = false
  let stopped = false
  const trim = async () => {
    // What a changed setting no longer keeps goes in one round, from the first topic on.
    const isWhole = changed
    if (isWhole) [changed, after] = [false, undefined]
    do await trimPage()
    while (isWhole && after !== undefined && !changed && !stopped)
  }
  const trimPage = async () => {
    const page = await store.topics.list(
      after === undefined ? { limit: TOPICS_A_ROUND } : { after, limit: TOPICS_A_ROUND },
    )
    after = page.length < TOPICS_A_ROUND ? undefined : page.at(-1)?.topic
    for (const { topic, events } of page) {
      if (events > 0) await store.topics.trim(topic, settings.forTopic(topic).retain)
    }
  }
  const sweep = async () => {
    while ((await store.sweep()).more);
  }
  const trimming = every(ROUND_MS, trim, (error) => telemetry.failed('trimming topics', error))
  const sweeping = every(SWEEP_MS, sweep, (error) => telemetry.failed('sweeping the store', error))
  const unlisten = settings.onChange(() => {
    changed = true
    trimming.soon()
  })
  return async () => {
    stopped = true
    unlisten()
    await Promise.all([trimming.stop(), sweeping.stop()])
  }
}
