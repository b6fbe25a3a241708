/** What the hub's memory pays for clients that are connected and quiet. */

import type { Processes } from '../processes.ts'
import type { Plan, Question, Scale, Side } from '../question.ts'
import type { CrowdCalls } from '../roles/crowd.ts'
import type { PlainCalls } from '../roles/plain.ts'

const SIZES = {
  full: { connections: 1_000, rounds: 3, shared: 5, own: 2 },
  quick: { connections: 500, rounds: 2, shared: 5, own: 2 },
  smoke: { connections: 20, rounds: 1, shared: 2, own: 1 },
}
const KIB = 1_024
const TOPIC = 'bench'
/** A topic more, that other connections have, too. */
const MOST_TOPIC_KIB = 2.5
const TIMES = 1.25

export const memory: Question = {
  name: 'memory',
  about: "the server's memory for an idle subscribed connection, and for each further topic",
  plan,
}

interface Server {
  readonly url: string
  readonly to: 'hub' | 'plain'
  memory(): Promise<NodeJS.MemoryUsage>
}

function plan(scale: Scale): Plan {
  const { connections, rounds, shared, own } = SIZES[scale]
  const unit = 'KiB of heap and buffers'
  const plain = { of: 'plain.heap', name: 'plain Socket.IO, in a room', target: { of: 'ratio', most: TIMES } } as const
  return {
    settings: { connections, 'further topics': `${shared} that all have, ${own} of its own` },
    rounds,
    warmUp: true,
    hubs: { hub: openHub },
    peers: { plain: openPlain },
    findings: [
      {
        what: 'idle subscribed connection',
        unit,
        better: 'less',
        subject: { of: 'hub.heap', name: 'hub' },
        beside: [plain],
      },
      {
        what: 'idle subscribed connection with a client name',
        unit,
        better: 'less',
        subject: { of: 'hub.named', name: 'hub, with a client name' },
        beside: [plain],
      },
      {
        what: 'idle subscribed connection',
        unit: 'KiB of the process (RSS)',
        better: 'less',
        subject: { of: 'hub.rss', name: 'hub, RSS' },
        beside: [{ of: 'plain.rss', name: 'plain Socket.IO, in a room' }],
      },
      {
        what: 'each further topic of a connection',
        unit,
        better: 'less',
        subject: { of: 'hub.shared', name: 'hub, topics that all connections have' },
        beside: [],
        most: MOST_TOPIC_KIB,
      },
      {
        what: 'each further topic of its own',
        unit,
        better: 'less',
        subject: { of: 'hub.own', name: 'hub, topics that one connection has' },
        beside: [],
      },
    ],
    notes: () => [
      'all after a full garbage collection; differences between before and after the connections came, for each of them',
      'WebSocket alone, without compression; RSS is rough, as a process gives memory back late',
    ],
  }

  async function openHub(processes: Processes): Promise<Side> {
    const hub = await processes.startHub()
    const server: Server = { url: hub.url, to: 'hub', memory: () => hub.ask('memory') }
    return {
      measure: async () => {
        const { heap, rss, shared, own } = await measure(processes, server, false)
        return { heap, rss, shared, own, named: (await measure(processes, server, true)).heap }
      },
    }
  }

  async function openPlain(processes: Processes): Promise<Side> {
    const plain = await processes.start<PlainCalls>('plain')
    const url = await plain.ask('start', { recovery: false })
    const server: Server = { url, to: 'plain', memory: () => plain.ask('memory') }
    return {
      measure: async () => {
        const { heap, rss } = await measure(processes, server, false)
        return { heap, rss }
      },
    }
  }

  async function measure(processes: Processes, server: Server, client: boolean) {
    const crowd = await processes.start<CrowdCalls>('crowd')
    const empty = await server.memory()
    await crowd.ask('come', { url: server.url, to: server.to, topic: TOPIC, count: connections, client })
    const full = await server.memory()
    const each = (before: number, after: number, count: number) => (after - before) / count / KIB
    const further = { shared: 0, own: 0 }
    if (server.to === 'hub') {
      await crowd.ask('further', { topics: shared, shared: true })
      const more = await server.memory()
      further.shared = each(held(full), held(more), connections * shared)
      await crowd.ask('further', { topics: own, shared: false })
      further.own = each(held(more), held(await server.memory()), connections * own)
    }
    await crowd.stop()
    await emptied(server)
    return { heap: each(held(empty), held(full), connections), rss: each(empty.rss, full.rss, connections), ...further }
  }
}

function held({ heapUsed, external }: NodeJS.MemoryUsage): number {
  return heapUsed + external
}

/** Resolves when a server has noticed that its connections are gone, which is when its memory has stopped falling. */
async function emptied(server: Server): Promise<void> {
  for (let last = Number.POSITIVE_INFINITY, now = held(await server.memory()); now < last * 0.99; ) {
    await new Promise((resolve) => setTimeout(resolve, 100))
    last = now
    now = held(await server.memory())
  }
}
