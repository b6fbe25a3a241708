/** What a second node costs: the processor time of all hubs for each delivered event. */

import { EVENT_BYTES } from './load.ts'
import type { HubRole } from './processes.ts'
import { type Answer, type Context, compare, type Question, Rounds } from './question.ts'
import type { PublisherCalls } from './roles/publisher.ts'
import type { SubscriberCalls } from './roles/subscribers.ts'

const SIZES = {
  full: { sockets: 100, rounds: 7, events: 40_000 },
  quick: { sockets: 100, rounds: 3, events: 20_000 },
  smoke: { sockets: 4, rounds: 1, events: 400 },
}
const OUTSTANDING = 1_000
const APPENDFSYNC = 'everysec'
const TOPIC = 'bench'
const MOST = 1.15

export const redisNodes: Question = {
  name: 'redis-nodes',
  about: "the hubs' processor time for a delivered event, with one node and with two",
  ask,
}

interface Side {
  readonly hubs: readonly HubRole[]
  readonly crowds: readonly Awaited<ReturnType<typeof openCrowd>>[]
  readonly publisher: Awaited<ReturnType<typeof openPublisher>>
}

async function openCrowd({ processes }: Context, url: string, count: number) {
  const subscribers = await processes.start<SubscriberCalls>('subscribers')
  await subscribers.ask('open', { url, to: 'hub', topic: TOPIC, count })
  return subscribers
}

async function openPublisher({ processes }: Context, url: string) {
  const publisher = await processes.start<PublisherCalls>('publisher')
  await publisher.ask('open', { url, to: 'hub' })
  return publisher
}

async function ask(context: Context): Promise<Answer> {
  const { scale, processes, note } = context
  const { sockets, rounds, events } = SIZES[scale]
  const one = await open([sockets])
  const two = await open([sockets, sockets])
  const split = await open([sockets / 2, sockets / 2])

  const figures = new Rounds()
  // The first round warms all of them up.
  for (let round = scale === 'smoke' ? 1 : 0; round <= rounds; round++) {
    const took = { one: await measure(one), two: await measure(two), split: await measure(split) }
    if (round === 0) continue
    for (const [name, ns] of Object.entries(took)) figures.add(name, ns)
    note(`round ${round} of ${rounds}`)
  }

  const subject = { ...figures.series('two'), name: `two nodes, ${sockets} sockets each` }
  const half = { ...figures.series('split'), name: `two nodes, ${sockets / 2} sockets each` }
  const single = { ...figures.series('one'), name: `one node, ${sockets} sockets` }
  const unit = 'ns of processor time for a delivered event'
  return {
    settings: {
      'event bytes': EVENT_BYTES,
      'events a round': events,
      outstanding: OUTSTANDING,
      rounds,
      appendfsync: APPENDFSYNC,
    },
    findings: [
      {
        what: 'a second node with clients of its own',
        unit,
        subject,
        comparisons: [compare(subject, single, { of: 'ratio', most: MOST })],
      },
      {
        what: 'the same clients on two nodes',
        unit,
        subject: half,
        comparisons: [compare(half, single, { of: 'ratio', most: MOST })],
      },
    ],
    notes: [
      'user and system time of the hub processes together; Redis, publisher and subscribers are not in it',
      'one SDK client publishes to the first node; every event of every socket is checked: once, in order',
    ],
  }

  async function open(counts: readonly number[]): Promise<Side> {
    const redis = await processes.startRedis(APPENDFSYNC)
    const hubs: HubRole[] = []
    const crowds: Side['crowds'][number][] = []
    for (const count of counts) {
      const hub = await processes.startHub('hub', redis.url)
      hubs.push(hub)
      crowds.push(await openCrowd(context, hub.url, count))
    }
    const publisher = await openPublisher(context, hubs[0]?.url ?? '')
    return { hubs, crowds, publisher }
  }

  async function measure({ hubs, crowds, publisher }: Side): Promise<number> {
    // The publisher's first event of a round is one more.
    for (const crowd of crowds) await crowd.ask('arm', { total: events + 1 })
    const before = await cpuOf(hubs)
    await publisher.ask('toHub', { topic: TOPIC, count: events, outstanding: OUTSTANDING })
    const arrived = await Promise.all(crowds.map((crowd) => crowd.ask('arrived')))
    const used = (await cpuOf(hubs)) - before
    return (used * 1_000) / arrived.reduce((sum, { deliveries }) => sum + deliveries, 0)
  }
}

/** Microseconds. */
async function cpuOf(hubs: readonly HubRole[]): Promise<number> {
  const used = await Promise.all(hubs.map((hub) => hub.ask('cpu')))
  return used.reduce((sum, { user, system }) => sum + user + system, 0)
}
