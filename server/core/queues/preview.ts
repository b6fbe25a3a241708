/** What other settings would do to a queue that is there: said before they are stored. Nothing is changed. */

import type { JobInfo, JobState } from '../../store/contract/store.ts'
import type { Caller } from '../access.ts'
import { itsTurn, PAGE_WEIGHT } from '../turns.ts'
import { LOOK } from './filter.ts'
import type { Queues } from './queues.ts'
import { isThere } from './redrive.ts'
import type { QueueSettings } from './settings.ts'

export interface SettingsPreview {
  /** Dead letters that would go, as they are kept longer than `deadMs`. */
  readonly drops: number
  /** Waiting jobs that would be dead-lettered in place of their next delivery, as they failed too often already. */
  readonly deadLetters: number
  /** Not all were looked at: there may be more of both. */
  readonly more: boolean
  /** It holds so much that it would take no more for now. */
  readonly refuses: boolean
  /** Topics whose bindings would begin and end. */
  readonly binds: readonly string[]
  readonly unbinds: readonly string[]
}

export async function previewSettings(
  queues: Queues,
  caller: Caller,
  queue: string,
  before: QueueSettings,
  would: QueueSettings,
): Promise<SettingsPreview> {
  let more = false
  const count = async (name: string, states: readonly JobState[], fits: (job: JobInfo) => boolean) => {
    let found = 0
    for (const state of states) {
      const part = await look(queues, caller, name, state, fits)
      found += part.found
      more ||= part.more
    }
    return found
  }
  const keptSince = queues.now - would.deadMs
  const drops =
    would.deadMs < before.deadMs
      ? await count(`${queue}/dead`, ['ready', 'delayed'], ({ dead }) => (dead?.at ?? queues.now) <= keptSince)
      : 0
  const deadLetters =
    would.maxAttempts < before.maxAttempts
      ? await count(queue, ['delayed', 'ready'], ({ attempts }) => attempts >= would.maxAttempts)
      : 0
  const info = await queues.known(caller, queue)
  const { ready = 0, delayed = 0, held = 0, waiting = 0 } = info?.counts ?? {}
  const refuses = ready + delayed + held + waiting >= would.maxJobs || (info?.bytes ?? 0) >= would.maxBytes
  const topicsOf = ({ from }: QueueSettings): string[] => from.map(({ topic }) => topic)
  const [bound, wanted] = [topicsOf(before), topicsOf(would)]
  return {
    drops,
    deadLetters,
    more,
    refuses,
    binds: wanted.filter((topic) => !bound.includes(topic)),
    unbinds: bound.filter((topic) => !wanted.includes(topic)),
  }
}

async function look(
  queues: Queues,
  caller: Caller,
  queue: string,
  state: JobState,
  fits: (job: JobInfo) => boolean,
): Promise<{ readonly found: number; readonly more: boolean }> {
  let [found, looked, bytes] = [0, 0, 0]
  let after: string | undefined
  while (looked < LOOK.jobs && bytes < LOOK.bytes) {
    await itsTurn(PAGE_WEIGHT)
    const page = await queues.jobs(caller, queue, { state, after, limit: LOOK.part })
    for (const job of page) {
      if (fits(job)) found++
      bytes += job.body?.json.length ?? 0
    }
    looked += page.length
    if (page.length < LOOK.part) {
      // Behind a job that is gone meanwhile nothing is found, whatever is there.
      const isLost = page.length === 0 && after !== undefined && !(await isThere(queues, caller, queue, after))
      return { found, more: isLost }
    }
    after = page.at(-1)?.id
  }
  return { found, more: true }
}
