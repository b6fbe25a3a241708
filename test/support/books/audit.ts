/** What a queue says of itself when the work is done, against the books of those who sent and worked. */

import { expect } from 'vitest'
import type { Sender } from '../clients/sender.ts'
import type { Books, Worker } from '../clients/worker.ts'
import { soak } from '../tools.ts'
import { until } from '../until.ts'

export interface Counts {
  readonly sent: number
  readonly ready: number
  readonly delayed: number
  readonly held: number
  readonly waiting: number
  readonly done: number
  readonly dead: number
  readonly removed: number
}

const NOTHING: Counts = { sent: 0, ready: 0, delayed: 0, held: 0, waiting: 0, done: 0, dead: 0, removed: 0 }

/** Waits while the store is away. */
export async function countsOf(url: string, queue: string): Promise<Counts> {
  return await until(
    async () => {
      const response = await fetch(`${url}/v1/queues/${queue}`)
      if (response.status === 404) return NOTHING
      const body = (await response.json()) as { counts?: Counts }
      if (body.counts === undefined && response.status !== 503) throw new Error(`no counts but ${JSON.stringify(body)}`)
      return body.counts
    },
    { what: 'the counts', deadlineMs: 20_000 },
  )
}

export function balance({ sent, ready, delayed, held, waiting, done, dead, removed }: Counts): void {
  expect(ready + delayed + held + waiting + done + dead + removed).toBe(sent)
}

/** Resolves when `worker`, the last one, has emptied the queue. */
export async function drained(url: string, queue: string, worker: Worker, books: Books): Promise<Counts> {
  let counted: Counts = NOTHING
  await until(
    async () => {
      counted = await countsOf(url, queue)
      const { ready, delayed, held, waiting } = counted
      return ready + delayed + held + waiting === 0 && worker.idle
    },
    {
      what: 'the queue to be empty',
      // Jobs with keys go one after the other, and a long run leaves thousands.
      deadlineMs: soak ? 600_000 : 30_000,
      everyMs: 50,
      seen: () => [counted, worker.idle, worker.socket.connected, worker.errors.slice(-3), books.faults],
    },
  )
  return counted
}

/** Nothing was lost, done twice or made up. Answers how many jobs there were. */
export async function audit(url: string, queue: string, books: Books, senders: readonly Sender[]): Promise<number> {
  expect(books.faults).toEqual([])
  const counts = await countsOf(url, queue)
  balance(counts)
  const ids = new Set(senders.flatMap((sender) => [...sender.ids]))
  expect(counts.sent).toBe(ids.size)
  const dead = await deadOf(url, queue)
  expect(dead.size).toBe(counts.dead)
  expect(counts.removed).toBe(0)
  // A worker that died may not have heard that its settlement was taken.
  expect(counts.done).toBeGreaterThanOrEqual(books.done.size)
  expect(counts.done + counts.dead).toBe(ids.size)
  for (const id of books.done.keys()) {
    expect(ids.has(id), id).toBe(true)
    expect(dead.has(id), id).toBe(false)
  }
  return ids.size
}

async function deadOf(url: string, queue: string): Promise<Set<string>> {
  const ids = new Set<string>()
  for (let after = ''; ; ) {
    const response = await fetch(`${url}/v1/queues/${queue}/dead/jobs?state=ready&limit=500${after}`)
    const { jobs, next } = (await response.json()) as { jobs: { id: string }[]; next?: string }
    for (const { id } of jobs) ids.add(id)
    if (next === undefined) return ids
    after = `&after=${encodeURIComponent(next)}`
  }
}
