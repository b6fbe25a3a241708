/** A queue's calls beside sending one job and working: many jobs at once, looks at jobs, what became of one, pauses. */

import { RepriseError } from '../../shared/errors.ts'
import { DEFAULT_LIMITS, type Limits } from '../../shared/protocol.ts'
import type { JobDraft, JobEnding, JobLook, JobsPage, JobsQuery, Sent } from '../../shared/queues.ts'
import { checkNames, durationOf } from '../optionChecks.ts'
import { carrying } from '../outgoing/carrying.ts'
import { packed } from '../outgoing/joining.ts'
import { jobDraftOf, measureDraft, tooLarge, withChildren } from '../outgoing/measure.ts'
import { randomName } from '../outgoing/randomName.ts'
import type { BulkDraft, Queue, SendReceipt } from './api.ts'

const WAIT_MS = 30_000
const MAX_WAIT_MS = 3_600_000

export interface LooksContext {
  readonly limits: Limits | undefined
  /** Makes a call again after what may pass, until time is up. */
  ask<R>(timeoutMs: number | undefined, call: (leftMs: number) => Promise<R>): Promise<R>
  call<R>(name: string, ...args: unknown[]): Promise<R>
}

type Looks<T> = Pick<Queue<T>, 'sendAll' | 'job' | 'jobs' | 'counts' | 'pause' | 'resume' | 'waitFor'>

export function looksOf<T>(queue: string, context: LooksContext): Looks<T> {
  const { ask, call } = context
  return {
    async sendAll(drafts, options = {}) {
      checkNames('sendAll', options, ['timeoutMs'])
      const timeoutMs = durationOf('timeoutMs', options.timeoutMs, WAIT_MS)
      if (!Array.isArray(drafts)) throw new RepriseError('bad_request', 'sendAll takes a list of { data, … }')
      if (drafts.length === 0) return []
      // The same ids every time: what is sent again after a lost answer is kept once.
      const all = drafts.map((draft: BulkDraft<T>): JobDraft => carrying({ id: randomName(), ...bulkDraftOf(draft) }))
      const sizes = all.flatMap(withChildren).map((draft) => measureDraft(draft))
      const attachments = sizes.reduce((sum, size) => sum + size.attachments, 0)
      const sent = packed(all, attachments)
      let tries = 0
      return await ask(timeoutMs, async () => {
        const limits = context.limits ?? DEFAULT_LIMITS
        if (sizes.length > limits.batch) {
          const text = `sendAll: ${sizes.length} jobs in one call, with all children; at most ${limits.batch}`
          throw new RepriseError('too_large', text)
        }
        for (const { bytes } of sizes) {
          const refusal = tooLarge(bytes, limits)
          if (refusal !== undefined) throw refusal
        }
        tries++
        const { ids, durability, duplicatesAt = [] } = await call<Sent>('send', queue, sent, null)
        const again = new Set(tries > 1 ? [] : duplicatesAt)
        return ids.map(
          (id, i): SendReceipt => (again.has(i) ? { id, durability, duplicate: true } : { id, durability }),
        )
      })
    },

    async job(id) {
      try {
        return await ask(undefined, () => call<JobLook<T>>('job', queue, id))
      } catch (error) {
        if (error instanceof RepriseError && error.code === 'not_found') return undefined
        throw error
      }
    },

    async jobs(query: JobsQuery = {}) {
      checkNames('jobs', query, ['state', 'after', 'limit'])
      return await ask(undefined, () => call<JobsPage<T>>('jobs', queue, query))
    },

    counts: () => ask(undefined, () => call('counts', queue)),

    pause: async () => {
      await ask(undefined, () => call('pause', queue))
    },

    resume: async () => {
      await ask(undefined, () => call('resume', queue))
    },

    async waitFor(id, options = {}) {
      checkNames('waitFor', options, ['timeoutMs'])
      const { timeoutMs = WAIT_MS } = options
      if (!(durationOf('timeoutMs', timeoutMs, 0) >= 1 && timeoutMs <= MAX_WAIT_MS)) {
        const text = `timeoutMs of waitFor is a number of milliseconds from 1 to an hour, ${MAX_WAIT_MS}`
        throw new RepriseError('bad_request', text)
      }
      return await ask(timeoutMs, (leftMs) => call<JobEnding>('waitFor', queue, id, { timeoutMs: leftMs }))
    },
  }
}

function bulkDraftOf<T>(draft: BulkDraft<T>): JobDraft {
  if (typeof draft !== 'object' || draft === null || !('data' in draft)) {
    throw new RepriseError('bad_request', 'sendAll: each job is { data, … }, with the options of send beside data')
  }
  const { data, ...options } = draft
  return jobDraftOf('sendAll', data, options)
}
