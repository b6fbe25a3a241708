/** What guards cost: a hub that asks for tokens, and one that encrypts what it stores, beside one that does neither. */

import { randomBytes } from 'node:crypto'
import { SignJWT } from 'jose'
import type { Processes } from '../processes.ts'
import type { Plan, Question, Scale } from '../question.ts'
import type { VisitorCalls } from '../roles/visitors.ts'
import { withCost } from '../scenes/costs.ts'
import { openCrowd } from '../scenes/crowds.ts'
import { EVENT_BYTES } from '../scenes/load.ts'

const SIZES = {
  full: { sockets: 100, rounds: 7, events: 60_000, publishes: 60_000, visits: 1_000 },
  quick: { sockets: 100, rounds: 5, events: 25_000, publishes: 30_000, visits: 500 },
  smoke: { sockets: 5, rounds: 1, events: 400, publishes: 400, visits: 20 },
}
const OUTSTANDING = 1_000
const LIFETIME = '2h'
/** A guard may take a twentieth of what there is without it. */
const LEAST = 0.95
const MOST_US_A_TOKEN = 1_000

export const guards: Question = {
  name: 'guards',
  about: 'what tokens, and encryption at rest, cost publishing, fan-out and a connection',
  plan,
}

interface Guarded {
  readonly options: object
  /** A token of this subject. */
  token?(subject: string): Promise<string>
}

function plan(scale: Scale): Plan {
  const { sockets, rounds, events, publishes, visits } = SIZES[scale]
  const side =
    ({ options, token }: Guarded) =>
    async (processes: Processes) => {
      const hub = await processes.startHub('hub', undefined, options)
      const crowd = await openCrowd(processes, hub.url, sockets, await token?.('crowd'))
      const visitors = await processes.start<VisitorCalls>('visitors')
      return {
        measure: async (round: number) => {
          const toAll = await withCost([hub], () => crowd.saturate({ events, outstanding: OUTSTANDING }))
          const alone = { topic: 'alone', count: publishes, outstanding: OUTSTANDING }
          const toNobody = await withCost([hub], () => crowd.publisher.ask('toHub', alone))
          // Each has a token of its own: the hub has seen none of them.
          const tokens = token && (await Promise.all(Array.from({ length: visits }, (_, i) => token(`${round}-${i}`))))
          const visited = { url: hub.url, topic: 'visited', count: visits, ...(tokens === undefined ? {} : { tokens }) }
          const { us } = await withCost([hub], () => visitors.ask('visit', visited))
          return {
            fanout: toAll.answer.rate,
            fanoutCost: toAll.us / events,
            publish: (publishes * 1_000) / toNobody.answer.ms,
            publishCost: toNobody.us / publishes,
            visit: us / visits,
          }
        },
      }
    }
  return {
    settings: {
      sockets,
      'event bytes': EVENT_BYTES,
      'events a round': events,
      'published a round': publishes,
      outstanding: OUTSTANDING,
      'connections a round': visits,
    },
    rounds,
    warmUp: true,
    hubs: {
      open: side({ options: {} }),
      tokens: side(withTokens()),
      encrypted: side({ options: { encryption: { current: 'k', keys: { k: randomBytes(32).toString('base64') } } } }),
    },
    peers: {},
    findings: [
      ...(['tokens', 'encrypted'] as const).flatMap((guard) => [
        {
          what: 'publish',
          unit: 'events/s',
          better: 'more' as const,
          subject: { of: `${guard}.publish`, name: NAMES[guard] },
          beside: [{ of: 'open.publish', name: NAMES.open, ...TARGETS[guard] }],
        },
        {
          what: 'fan-out',
          unit: 'delivered events/s',
          better: 'more' as const,
          subject: { of: `${guard}.fanout`, name: NAMES[guard] },
          beside: [{ of: 'open.fanout', name: NAMES.open, ...TARGETS[guard] }],
        },
        {
          what: "the hub's processor time",
          unit: 'µs for a published event',
          better: 'less' as const,
          subject: { of: `${guard}.publishCost`, name: NAMES[guard] },
          beside: [{ of: 'open.publishCost', name: NAMES.open }],
        },
        {
          what: "the hub's processor time",
          unit: 'µs for an event to all sockets',
          better: 'less' as const,
          subject: { of: `${guard}.fanoutCost`, name: NAMES[guard] },
          beside: [{ of: 'open.fanoutCost', name: NAMES.open }],
        },
      ]),
      {
        what: "the hub's processor time",
        unit: 'µs for a connection',
        better: 'less',
        subject: { of: 'tokens.visit', name: NAMES.tokens },
        beside: [{ of: 'open.visit', name: NAMES.open, target: { of: 'difference', most: MOST_US_A_TOKEN } }],
      },
    ],
    notes: () => [
      'the three hubs are open all the time and take turns, round by round',
      'each connection shows a token that the hub has not seen',
    ],
  }
}

const NAMES = { open: 'without', tokens: 'with tokens (HS256)', encrypted: 'encrypted at rest' }
const TARGETS = { tokens: { target: { of: 'ratio', least: LEAST } as const }, encrypted: {} }

function withTokens(): Guarded {
  const secret = randomBytes(32).toString('base64')
  const key = new TextEncoder().encode(secret)
  return {
    options: { auth: { jwt: { secret }, roles: { all: [{ actions: ['*'], names: ['*'] }] } } },
    token: (subject) =>
      new SignJWT({ reprise: { roles: ['all'] } })
        .setProtectedHeader({ alg: 'HS256' })
        .setSubject(subject)
        .setIssuedAt()
        .setExpirationTime(LIFETIME)
        .sign(key),
  }
}
