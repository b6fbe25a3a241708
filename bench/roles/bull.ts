/** The peer that shares work through the same Redis: BullMQ, with its own defaults but for what is done with old jobs. */

import { type ConnectionOptions, Queue, Worker } from 'bullmq'
import { Redis } from 'ioredis'
import { keepOutstanding, loadOf } from '../load.ts'
import { serveCalls } from '../role.ts'
import { measureTrickle } from '../trickling.ts'

let connection: ConnectionOptions = {}
const queues = new Map<string, Queue>()
// As ours does: what is done is gone.
const OPTIONS = { removeOnComplete: true, removeOnFail: true }

const calls = {
  async open({ url }: { url: string }): Promise<void> {
    // A module that is no CommonJS has to hand the client in; its types are those of an older ioredis.
    connection = new Redis(url, { maxRetriesPerRequest: null }) as unknown as ConnectionOptions
  },

  async add({ queue, count, outstanding }: { queue: string; count: number; outstanding: number }): Promise<number> {
    const handle = queueOf(queue)
    await handle.waitUntilReady()
    const started = performance.now()
    await keepOutstanding(count, outstanding, (n) => handle.add('job', loadOf(n), OPTIONS))
    return performance.now() - started
  },

  async process({ queue, count, concurrency }: { queue: string; count: number; concurrency: number }): Promise<number> {
    const started = performance.now()
    let done = 0
    let end: () => void = () => {}
    const ended = new Promise<void>((resolve) => {
      end = resolve
    })
    const worker = new Worker(queue, async () => {}, { connection, concurrency })
    worker.on('completed', () => {
      done += 1
      if (done === count) end()
    })
    await ended
    const ms = performance.now() - started
    await worker.close()
    return ms
  },

  async trickle({ queue, count, everyMs }: { queue: string; count: number; everyMs: number }): Promise<number> {
    let arrived: (n: number) => void = () => {}
    const worker = new Worker(queue, async ({ data }) => arrived(data.n), { connection, concurrency: 10 })
    await worker.waitUntilReady()
    const handle = queueOf(queue)
    const median = await measureTrickle(
      count,
      everyMs,
      (n) => handle.add('job', loadOf(n), OPTIONS),
      (listener) => {
        arrived = listener
      },
    )
    await worker.close()
    return median
  },
}

function queueOf(name: string): Queue {
  const known = queues.get(name) ?? new Queue(name, { connection })
  queues.set(name, known)
  return known
}

export type BullCalls = typeof calls

serveCalls(calls)
