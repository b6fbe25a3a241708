/** What open consoles cost those who publish. */

import type { Opening, Plan, Question, Scale } from '../question.ts'
import type { ConsolesCalls } from '../roles/consoles.ts'
import type { PublisherCalls } from '../roles/publisher.ts'
import { withCost } from '../scenes/costs.ts'
import { EVENT_BYTES } from '../scenes/load.ts'

const SIZES = {
  full: { consoles: 50, topics: 1_000, rounds: 7, events: 400_000, paced: 20_000 },
  quick: { consoles: 50, topics: 200, rounds: 3, events: 150_000, paced: 10_000 },
  smoke: { consoles: 3, topics: 5, rounds: 1, events: 500, paced: 100 },
}
const OUTSTANDING = 1_000
const RATE = 5_000
const TOPIC = 'bench'
const LEAST = 0.9

export const consoles: Question = {
  name: 'consoles',
  about: 'what 50 open consoles cost a publisher, as fast as it can and at 5,000 events a second',
  plan,
}

function plan(scale: Scale): Plan {
  const { consoles, topics, rounds, events, paced } = SIZES[scale]
  return {
    settings: {
      consoles,
      topics,
      'events a round, as fast as it can': events,
      'events a round, paced': paced,
      'event bytes': EVENT_BYTES,
      outstanding: OUTSTANDING,
    },
    rounds,
    warmUp: true,
    hubs: { alone: opening(0), seen: opening(consoles) },
    peers: {},
    findings: [
      {
        what: 'publish',
        unit: 'events/s',
        better: 'more',
        subject: { of: 'seen.rate', name: `with ${consoles} consoles` },
        beside: [{ of: 'alone.rate', name: 'with none', target: { of: 'ratio', least: LEAST } }],
      },
      {
        what: `publish, offered ${RATE} a second`,
        unit: 'events/s',
        better: 'more',
        subject: { of: 'seen.paced', name: `with ${consoles} consoles` },
        beside: [{ of: 'alone.paced', name: 'with none', target: { of: 'ratio', least: LEAST } }],
      },
      {
        what: "the hub's processor time at that rate",
        unit: 'ms a second',
        better: 'less',
        subject: { of: 'seen.cost', name: `with ${consoles} consoles` },
        beside: [{ of: 'alone.cost', name: 'with none' }],
      },
    ],
    notes: () => [
      'a third of the consoles shows the overview, a third a list of topics, a third the log of the topic that is published to',
      'consoles are a process of their own and share the cores with hub and publisher',
    ],
  }

  function opening(count: number): Opening {
    return async (processes) => {
      const [hub, sdk, pages] = await Promise.all([
        processes.startHub(),
        processes.start<PublisherCalls>('publisher'),
        processes.start<ConsolesCalls>('consoles'),
      ])
      await sdk.ask('open', { url: hub.url, to: 'hub' })
      await sdk.ask('spread', { topics: Array.from({ length: topics }, (_, i) => `topic-${i}`), each: 1 })
      await pages.ask('open', { url: hub.url, topic: TOPIC, count })
      return {
        measure: async () => {
          await pages.ask('seen')
          const { ms } = await sdk.ask('toHub', { topic: TOPIC, count: events, outstanding: OUTSTANDING })
          const { answer, us } = await withCost([hub], () =>
            sdk.ask('paced', { topic: TOPIC, count: paced, perSecond: RATE }),
          )
          const { summaries } = await pages.ask('seen')
          if (scale !== 'smoke' && count > 0 && summaries < count) throw new Error('the consoles were told nothing')
          return { rate: (events * 1_000) / ms, paced: (paced * 1_000) / answer, cost: us / answer }
        },
      }
    }
  }
}
