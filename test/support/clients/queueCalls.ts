/** What tests ask of queues over HTTP, as any client would. */

import { expect } from 'vitest'
import type { Job, Sent, Settled } from '../../../shared/queues.ts'
import { type Ask, asking } from './ask.ts'

export interface Problem {
  readonly code: string
  readonly detail: string
}

export interface Explained {
  readonly queue: string
  readonly id: string
  readonly state: string
  readonly attempts: number
  readonly why: readonly { readonly reason: string; readonly text: string; readonly job?: string }[]
  readonly history: readonly { readonly what: string; readonly why?: string }[]
  readonly data?: unknown
}

export interface Page {
  readonly jobs: readonly Explained[]
  readonly next?: string
}

export interface Looked {
  readonly counts: Readonly<Record<string, number>>
  readonly oldestReadyMs: number | null
  readonly consumers: number
  readonly bindings: readonly object[]
  readonly settings: object
}

export interface QueueCalls {
  readonly ask: Ask
  send(queue: string, ...drafts: readonly object[]): Promise<readonly string[]>
  claim(queue: string, body?: object): Promise<readonly Job[]>
  settle(queue: string, ...settlements: readonly object[]): Promise<readonly Settled[]>
  /** Sends them, and dead-letters them with the error `no <data>`. */
  bury(queue: string, ...drafts: readonly object[]): Promise<void>
  look(queue: string): Promise<Looked>
  explain(queue: string, id: string): Promise<Explained>
  jobs(queue: string, query?: string): Promise<Page>
}

export function queueCalls(url: string): QueueCalls {
  const ask = asking(url)
  const calls: QueueCalls = {
    ask,
    async send(queue, ...drafts) {
      const { status, body } = await ask<Sent>('POST', `/v1/queues/${queue}/jobs`, drafts)
      expect(status).toBe(201)
      return body.ids
    },
    async claim(queue, body = {}) {
      const answer = await ask<{ jobs: Job[] }>('POST', `/v1/queues/${queue}/claims`, body)
      expect(answer.status).toBe(200)
      return answer.body.jobs
    },
    async settle(queue, ...settlements) {
      const { status, body } = await ask<Settled[]>('POST', `/v1/queues/${queue}/settlements`, settlements)
      expect(status).toBe(200)
      return body
    },
    async bury(queue, ...drafts) {
      await calls.send(queue, ...drafts)
      const jobs = await calls.claim(queue, { max: drafts.length })
      await calls.settle(queue, ...jobs.map(({ id, lease, data }) => ({ id, lease, as: 'dead', reason: `no ${data}` })))
    },
    look: async (queue) => (await ask<Looked>('GET', `/v1/queues/${queue}`)).body,
    explain: async (queue, id) =>
      (await ask<Explained>('GET', `/v1/queues/${queue}/jobs/${encodeURIComponent(id)}`)).body,
    jobs: async (queue, query = '') => (await ask<Page>('GET', `/v1/queues/${queue}/jobs${query}`)).body,
  }
  return calls
}
