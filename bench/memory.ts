/** What the hub's memory pays for clients that are connected and quiet. */

import { type Answer, type Context, compare, type Question, Rounds } from './question.ts'
import type { CrowdCalls } from './roles/crowd.ts'
import type { PlainCalls } from './roles/plain.ts'

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
  ask,
}

interface Server {
  readonly url: string
  readonly to: 'hub' | 'plain'
  memory(): Promise<NodeJS.MemoryUsage>
}

async function ask({ scale, processes, note }: Context): Promise<Answer> {
  const { connections, rounds, shared, own } = SIZES[scale]
  const [hub, plain] = await Promise.all([processes.startHub(), processes.start<PlainCalls>('plain')])
  const ours: Server = { url: hub.url, to: 'hub', memory: () => hub.ask('memory') }
  const url = await plain.ask('start', { recovery: false })
  const theirs: Server = { url, to: 'plain', memory: () => plain.ask('memory') }

  const figures = new Rounds()
  // The first round warms both up.
  for (let round = scale === 'smoke' ? 1 : 0; round <= rounds; round++) {
    const keep = round > 0
    await measure(ours, 'hub', keep, false)
    await measure(theirs, 'plain', keep, false)
    await measure(ours, 'named', keep, true)
    if (keep) note(`round ${round} of ${rounds}`)
  }

  const heap = { ...figures.series('hub heap'), name: 'hub' }
  const named = { ...figures.series('named heap'), name: 'hub, with a client name' }
  const plainHeap = { ...figures.series('plain heap'), name: 'plain Socket.IO, in a room' }
  const rss = { ...figures.series('hub rss'), name: 'hub' }
  const plainRss = { ...figures.series('plain rss'), name: 'plain Socket.IO, in a room' }
  const topic = { ...figures.series('shared'), name: 'hub, topics that all connections have' }
  const ownTopic = { ...figures.series('own'), name: 'hub, topics that one connection has' }
  return {
    settings: { connections, rounds, 'further topics': `${shared} that all have, ${own} of its own` },
    findings: [
      {
        what: 'idle subscribed connection',
        unit: 'KiB of heap and buffers',
        subject: heap,
        comparisons: [compare(heap, plainHeap, { of: 'ratio', most: TIMES })],
      },
      {
        what: 'idle subscribed connection with a client name',
        unit: 'KiB of heap and buffers',
        subject: named,
        comparisons: [compare(named, plainHeap, { of: 'ratio', most: TIMES })],
      },
      {
        what: 'idle subscribed connection',
        unit: 'KiB of the process (RSS)',
        subject: rss,
        comparisons: [compare(rss, plainRss)],
      },
      {
        what: 'each further topic of a connection',
        unit: 'KiB of heap and buffers',
        subject: topic,
        comparisons: [],
        most: MOST_TOPIC_KIB,
        met: topic.median <= MOST_TOPIC_KIB,
      },
      { what: 'each further topic of its own', unit: 'KiB of heap and buffers', subject: ownTopic, comparisons: [] },
    ],
    notes: [
      'all after a full garbage collection; differences between before and after the connections came, for each of them',
      'WebSocket alone, without compression; RSS is rough, as a process gives memory back late',
    ],
  }

  async function measure(server: Server, name: string, keep: boolean, client: boolean): Promise<void> {
    const crowd = await processes.start<CrowdCalls>('crowd')
    const add = (what: string, before: number, after: number, count: number) => {
      if (keep) figures.add(what, (after - before) / count / KIB)
    }
    const empty = await server.memory()
    await crowd.ask('come', { url: server.url, to: server.to, topic: TOPIC, count: connections, client })
    const full = await server.memory()
    add(`${name} heap`, held(empty), held(full), connections)
    add(`${name} rss`, empty.rss, full.rss, connections)
    if (name === 'hub') {
      await crowd.ask('further', { topics: shared, shared: true })
      const more = await server.memory()
      add('shared', held(full), held(more), connections * shared)
      await crowd.ask('further', { topics: own, shared: false })
      add('own', held(more), held(await server.memory()), connections * own)
    }
    await crowd.stop()
    await emptied(server)
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
