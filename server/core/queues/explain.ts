/** Why a job is not moving: the one question that a person who looks at a queue has. */

import { lifeTopic } from '../../../shared/names.ts'
import type { JobInfo, QueueInfo } from '../../store/contract/store.ts'
import { mainQueue, type QueueSettings } from './settings.ts'

/** One thing that keeps a job where it is. */
export interface Obstacle {
  readonly reason:
    | 'held'
    | 'delayed'
    | 'children'
    | 'behind'
    | 'suspect'
    | 'paused'
    | 'life'
    | 'no_consumer'
    | 'rate'
    | 'dead'
    | 'waiting'
  /** A sentence for people. */
  readonly text: string
  /** Until when, where that is known; milliseconds since 1970. */
  readonly until?: number
  /** The job that is before it in its key's line. */
  readonly job?: string
}

/** What keeps the job from being delivered, the nearest first; never empty. `queue` is where it is. */
export function obstacles(job: JobInfo, queue: QueueInfo, settings: QueueSettings): Obstacle[] {
  const found: Obstacle[] = []
  const { state, holder, expiresAt, key, behind } = job
  if (job.dead !== undefined) {
    const why = job.dead.error === undefined ? '' : `: ${job.dead.error}`
    found.push({
      reason: 'dead',
      text: `it was dead-lettered (${job.dead.reason})${why}; redrive it or consume the dead letters`,
    })
  }
  if (state === 'held') {
    const until = expiresAt === undefined ? {} : { until: expiresAt }
    found.push({ reason: 'held', text: `${holder?.client ?? 'a consumer'} works on it under a lease`, ...until })
    return found
  }
  if (state === 'delayed') {
    const why =
      job.attempts === 0 ? 'it was sent with a delay' : `attempt ${job.attempts} failed, it waits for the next`
    found.push({ reason: 'delayed', text: why, until: job.dueAt })
  }
  if (state === 'waiting') {
    const { open = 0, count = 0 } = job.children ?? {}
    found.push({ reason: 'children', text: `${open} of its ${count} children have not ended` })
    return found
  }
  if (behind !== undefined) {
    found.push({ reason: 'behind', text: `job ${behind} is before it in the line of key ${key ?? ''}`, job: behind })
  }
  if (queue.paused) {
    const { tripped } = queue
    const why =
      tripped && `, by itself: ${tripped.dead} of ${tripped.ended} jobs went to the dead letters within a minute`
    found.push({ reason: 'paused', text: `${queue.queue} is paused${why ?? ''}` })
  }
  if (queue.lifeFull !== undefined) {
    const { events, bytes } = queue.lifeFull
    const text = `${events} events of its life (${bytes} bytes) wait to be moved to ${lifeTopic(mainQueue(queue.queue))}: until they are, it takes no jobs and hands none out; the hub's log says what holds them up`
    found.push({ reason: 'life', text })
  }
  if (queue.consumers === 0) found.push({ reason: 'no_consumer', text: `nobody consumes ${queue.queue}` })
  if (job.suspect) {
    const text =
      'a consumer was lost while it held this job and others: it is delivered alone, to a consumer that holds nothing'
    found.push({ reason: 'suspect', text })
  }
  const { rate, groupRate } = settings
  if (Math.min(rate, groupRate) !== Number.POSITIVE_INFINITY) {
    const group = job.group ?? key
    const whose = group === undefined ? 'those without a group' : `group ${group}`
    const each = groupRate === Number.POSITIVE_INFINITY ? [] : [`${groupRate} of ${whose}`]
    const most = [...(rate === Number.POSITIVE_INFINITY ? [] : [`${rate} jobs`]), ...each]
    found.push({ reason: 'rate', text: `${queue.queue} delivers at most ${most.join(' and ')} a second` })
  }
  if (found.length === 0) {
    const { ready } = queue.counts
    const text = `it waits for its turn: ${ready === 1 ? '1 job is' : `${ready} jobs are`} ready, and consumers (${queue.consumers}) take as many as they have credit for`
    found.push({ reason: 'waiting', text })
  }
  return found
}
