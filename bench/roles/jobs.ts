/** A program that shares work through a hub: sends, consumes, and measures how long a job is on its way. */

import type { Hub } from '../../client/index.ts'
import { importClient } from '../client.ts'
import { chosenProduct, serveCalls } from '../role.ts'
import { keepOutstanding, type Load, loadOf } from '../scenes/load.ts'
import { measureTrickle } from '../scenes/trickling.ts'

let hub: Hub<{ queues: Record<string, Load> }> | undefined
let address = ''
/** Longer than anything takes: what was worked on has to be done. */
const DRAIN_MS = 60_000

const calls = {
  async open({ url }: { url: string }): Promise<void> {
    const { connect } = await importClient(chosenProduct())
    hub = connect<{ queues: Record<string, Load> }>(url, { transports: ['websocket'] })
    address = url
  },

  /** Sends `count` jobs, `outstanding` at a time, each with its own promise. Answers how long it took, in ms. */
  async add({ queue, count, outstanding }: { queue: string; count: number; outstanding: number }): Promise<number> {
    const handle = theHub().queue(queue)
    const started = performance.now()
    await keepOutstanding(count, outstanding, async (n) => handle.send(loadOf(n)))
    return performance.now() - started
  },

  /** Sends jobs that nobody works off, or not yet. */
  async fill({ queue, count, delayMs }: { queue: string; count: number; delayMs: number }): Promise<void> {
    const handle = theHub().queue(queue)
    await keepOutstanding(count, 4_000, async (n) => handle.send(loadOf(n), { delayMs }))
  },

  /** Works off the jobs 1 … `count`, which are there; until the worker has closed. Rejects when one is left. */
  async process({ queue, count, concurrency }: { queue: string; count: number; concurrency: number }): Promise<number> {
    const handle = theHub().queue(queue)
    const seen = new Set<number>()
    let allSeen: () => void = () => {}
    const all = new Promise<void>((resolve) => {
      allSeen = resolve
    })
    const started = performance.now()
    const worker = handle.consume(
      async ({ data }) => {
        seen.add(data.n)
        if (seen.size === count) allSeen()
      },
      { concurrency },
    )
    await all
    // Not from within a handler, where closing does not wait for what is under way.
    await worker.close({ drainMs: DRAIN_MS })
    const ms = performance.now() - started
    const left = await jobsLeft(queue)
    if (left.ready + left.held + left.dead > 0) throw new Error(`jobs are left: ${JSON.stringify(left)}`)
    return ms
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

/** But for those that fall due later. */
async function jobsLeft(queue: string) {
  const response = await fetch(`${address}/v1/queues/${queue}`)
  if (!response.ok) throw new Error(`the hub answered ${response.status} about ${queue}`)
  const { counts } = (await response.json()) as { counts: Record<string, number> }
  const { ready = 0, held = 0, dead = 0 } = counts
  return { ready, held, dead }
}

export type JobsCalls = typeof calls

serveCalls(calls)
