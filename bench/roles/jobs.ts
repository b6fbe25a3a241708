/** A program that shares work through a hub: sends, consumes, and measures how long a job is on its way. */

import type { Hub } from '../../client/index.ts'
import { importClient } from '../client.ts'
import { keepOutstanding, type Load, loadOf } from '../load.ts'
import { chosenProduct, serveCalls } from '../role.ts'
import { measureTrickle } from '../trickling.ts'

let hub: Hub<{ queues: Record<string, Load> }> | undefined

const calls = {
  async open({ url }: { url: string }): Promise<void> {
    const { connect } = await importClient(chosenProduct())
    hub = connect<{ queues: Record<string, Load> }>(url, { transports: ['websocket'] })
  },

  /** Sends `count` jobs, `outstanding` at a time, each with its own promise. Answers how long it took, in ms. */
  async add({ queue, count, outstanding }: { queue: string; count: number; outstanding: number }): Promise<number> {
    const handle = theHub().queue(queue)
    const started = performance.now()
    await keepOutstanding(count, outstanding, async (n) => handle.send(loadOf(n)))
    return performance.now() - started
  },

  /** Works off `count` jobs that are there, doing nothing. Answers how long it took, in ms. */
  async process({ queue, count, concurrency }: { queue: string; count: number; concurrency: number }): Promise<number> {
    const handle = theHub().queue(queue)
    const started = performance.now()
    let done = 0
    await new Promise<void>((resolve) => {
      const worker = handle.consume(
        async () => {
          done += 1
          if (done === count) void worker.close().then(resolve)
        },
        { concurrency },
      )
    })
    return performance.now() - started
  },

  /** Sends at a steady pace to a worker of its own. The median time from `send` to the handler, in ms. */
  async trickle({ queue, count, everyMs }: { queue: string; count: number; everyMs: number }): Promise<number> {
    const handle = theHub().queue(queue)
    let arrived: (n: number) => void = () => {}
    const worker = handle.consume(async ({ data }) => arrived(data.n), { concurrency: 10 })
    const median = await measureTrickle(
      count,
      everyMs,
      (n) => handle.send(loadOf(n)),
      (listener) => {
        arrived = listener
      },
    )
    await worker.close()
    return median
  },
}

function theHub(): Hub<{ queues: Record<string, Load> }> {
  if (hub === undefined) throw new Error('not connected to a hub')
  return hub
}

export type JobsCalls = typeof calls

serveCalls(calls)
