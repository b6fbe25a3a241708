/** Trims topics by age in the background, even when nothing is published. */

import type { Store } from '../../store/contract/store.ts'
import { every } from '../every.ts'
import type { Telemetry } from '../telemetry.ts'
import type { HubSettings } from './settings.ts'

/** Between two rounds; a round looks at one page of topics and goes on from there in the next. */
const ROUND_MS = 5_000
const TOPICS_A_ROUND = 1_000

/** Starts it; the result stops it and resolves when it is not at work. */
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
    const page = await store.topics.list({ after, limit: TOPICS_A_ROUND })
    after = page.length < TOPICS_A_ROUND ? undefined : page.at(-1)?.topic
    for (const { topic, events } of page) {
      const { retain } = settings.forTopic(topic)
      if (events > 0) await store.topics.append(topic, { subject: '', drafts: [], retain })
    }
  }
  const trimming = every(ROUND_MS, trim, (error) => telemetry.failed('trimming topics', error))
  const unlisten = settings.onChange(() => {
    changed = true
    trimming.soon()
  })
  return () => {
    stopped = true
    unlisten()
    return trimming.stop()
  }
}
