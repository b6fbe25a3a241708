/** What one client that hardly reads costs: the others, and the server's memory. */

import type { Processes } from '../processes.ts'
import type { Opening, Plan, Question, Scale } from '../question.ts'
import type { SlowCalls } from '../roles/slow.ts'
import { openCrowd, openPlainCrowd } from '../scenes/crowds.ts'
import { EVENT_BYTES } from '../scenes/load.ts'

const SIZES = {
  full: { readers: 99, rounds: 5, events: 150_000 },
  quick: { readers: 99, rounds: 3, events: 60_000 },
  smoke: { readers: 4, rounds: 1, events: 400 },
}
const OUTSTANDING = 1_000
const BYTES_PER_SECOND = 1_000
const LEAST = 0.9
const KIB = 1_024

export const slow: Question = {
  name: 'slow',
  about: 'one reader at 1 KB/s among 100: what the others get, and what the server keeps for it',
  plan,
}

function plan(scale: Scale): Plan {
  const { readers, rounds, events } = SIZES[scale]
  let together = 1
  return {
    settings: {
      readers,
      'slow readers': 1,
      'bytes a second of the slow one': BYTES_PER_SECOND,
      'events a round': events,
      'event bytes': EVENT_BYTES,
      outstanding: OUTSTANDING,
    },
    rounds,
    warmUp: true,
    hubs: { alone: openHub(false), slow: openHub(true) },
    peers: { plain: openPlain },
    findings: [
      {
        what: 'fan-out to the others',
        unit: 'delivered events/s',
        better: 'more',
        subject: { of: 'slow.rate', name: 'hub, with a slow reader' },
        beside: [{ of: 'alone.rate', name: 'hub, without one', target: { of: 'ratio', least: LEAST } }],
      },
      {
        what: 'kept by the process when the others have got everything',
        unit: 'KiB of heap and buffers',
        better: 'less',
        subject: { of: 'slow.kept', name: 'hub, with a slow reader' },
        beside: [
          { of: 'alone.kept', name: 'hub, without one' },
          { of: 'plain.kept', name: 'plain Socket.IO, with a slow reader' },
        ],
      },
    ],
    notes: () => [
      'the slow reader connects anew in each round; the system keeps some megabytes for it, too, which are in no figure',
      'after a full garbage collection, above what there was at the beginning of the round',
      'plain Socket.IO gets the same events in the same batches, and keeps what a socket does not take',
    ],
  }

  function openHub(withSlow: boolean): Opening {
    return async (processes) => {
      const hub = await processes.startHub()
      const crowd = await openCrowd(processes, hub.url, readers)
      const measured = besideSlow(processes, { url: hub.url, to: 'hub', memory: () => hub.ask('memory') }, withSlow)
      return {
        measure: async () => {
          const { answer, kept } = await measured(() => crowd.saturate({ events, outstanding: OUTSTANDING }))
          together = Math.max(1, Math.round(answer.packet))
          return { rate: answer.rate, kept }
        },
      }
    }
  }

  async function openPlain(processes: Processes) {
    const crowd = await openPlainCrowd(processes, readers)
    const { url, server } = crowd
    const measured = besideSlow(processes, { url, to: 'plain', memory: () => server.ask('memory') }, true)
    return {
      measure: async () => {
        const how = { events, outstanding: OUTSTANDING, together, packing: 'together' as const }
        const { answer, kept } = await measured(() => crowd.saturate(how))
        return { rate: answer.rate, kept }
      },
    }
  }
}

interface Server {
  readonly url: string
  readonly to: 'hub' | 'plain'
  memory(): Promise<NodeJS.MemoryUsage>
}

/** Runs something beside a slow reader, or without one, and tells what the server keeps at the end. */
function besideSlow(processes: Processes, { url, to, memory }: Server, withSlow: boolean) {
  return async <T>(run: () => Promise<T>) => {
    const reader = withSlow ? await processes.start<SlowCalls>('slow') : undefined
    await reader?.ask('come', { url, to, bytesPerSecond: BYTES_PER_SECOND })
    const before = held(await memory())
    const answer = await run()
    const kept = (held(await memory()) - before) / KIB
    if ((await reader?.ask('here')) === false) throw new Error('the slow reader was cut off')
    await reader?.stop()
    return { answer, kept }
  }
}

function held({ heapUsed, external }: NodeJS.MemoryUsage): number {
  return heapUsed + external
}
