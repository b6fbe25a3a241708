/** A queue's calls beside sending one job and working: many jobs at once, looks at jobs, what became of one, pauses. */

import { RepriseError } from '../../shared/errors.ts'
import { DEFAULT_LIMITS } from '../../shared/protocol.ts'
import type { JobDraft, JobEnding, JobLook, JobsPage, JobsQuery, Sent } from '../../shared/queues.ts'
import { checkNames, durationOf } from '../optionChecks.ts'
import { carrying } from '../outgoing/carrying.ts'
import { packed } from '../outgoing/joining.ts'
import { checkSize, jobDraftOf, measureDraft, OF_THE_CALL, withChildren } from '../outgoing/measure.ts'
import { randomName } from '../outgoing/randomName.ts'
import { marked } from '../outgoing/receipts.ts'
import type { BulkDraft, Queue, SendReceipt } from './api.ts'
import { type QueueCalls, waitMsOf } from './calls.ts'

const SEND_MS = 30_000

type Looks<T> = Pick<Queue<T>, 'sendAll' | 'remove' | 'job' | 'jobs' | 'counts' | 'pause' | 'resume' | 'waitFor'>

export function looksOf<T>(calls: QueueCalls): Looks<T> {
  const { ask, read, call } = calls
  return {
    async sendAll(drafts, options = {}) {
      checkNames('sendAll', options, ['timeoutMs'])
      const timeoutMs = durationOf('timeoutMs', options.timeoutMs, SEND_MS)
      if (!Array.isArray(drafts)) throw new RepriseError('bad_request', 'sendAll takes a list of { data, … }')
      if (drafts.length === 0) return []
      // The same ids every time: what is sent again after a lost answer is kept once.
      const all = drafts.map((draft: BulkDraft<T>): JobDraft => carrying({ id: randomName(), ...bulkDraftOf(draft) }))
      const sizes = all.flatMap(withChildren).map((draft) => measureDraft(draft))
      const attachments = sizes.reduce((sum, size) => sum + size.attachments, 0)
      const sent = packed(all, attachments)
      return await ask(async (_, tries) => {
        const { batch } = calls.limits ?? DEFAULT_LIMITS
        if (sizes.length > batch) {
          const text = `sendAll: ${sizes.length} jobs in one call, with all children; at most ${batch}`
          throw new RepriseError('too_large', text)
        }
        for (const { bytes } of sizes) checkSize(bytes, calls.limits)
        const { ids, durability, duplicatesAt } = await call<Sent>('send', sent, null)
        const receipts = ids.map((id): SendReceipt => ({ id, durability }))
        return marked(receipts, tries > 1 ? [] : duplicatesAt)
      }, timeoutMs)
    },

    remove: (id) => calls.remove('job', 'remove', id),

    async job(id) {
      try {
        return await read<JobLook<T>>('job', id)
      } catch (error) {
        if (error instanceof RepriseError && error.code === 'not_found') return undefined
        throw error
      }
    },

    async jobs(query: JobsQuery = {}) {
      checkNames('jobs', query, ['state', 'after', 'limit'])
      return await read<JobsPage<T>>('jobs', query)
    },

    counts: () => read('counts'),

    pause: async () => {
      await read('pause')
    },

    resume: async () => {
      await read('resume')
    },

    async waitFor(id, options = {}) {
      checkNames('waitFor', options, ['timeoutMs'])
      const timeoutMs = waitMsOf('waitFor', options.timeoutMs)
      return await ask((leftMs) => call<JobEnding>('waitFor', id, { timeoutMs: leftMs }), timeoutMs)
    },
  }
}

function bulkDraftOf<T>(draft: BulkDraft<T>): JobDraft {
  if (typeof draft !== 'object' || draft === null || !('data' in draft)) {
    throw new RepriseError('bad_request', 'sendAll: each job is { data, … }, with the options of send beside data')
  }
  const { data, ...options } = draft
  return jobDraftOf('sendAll', data, options, OF_THE_CALL)
}
