/** What the routes of connections take and answer. */

import { z } from 'zod'
import {
  CLIENT_SORTS,
  type ClientConsumer,
  type ClientRow,
  type ClientSeen,
  type ClientSubscription,
  SUBSCRIPTION_STATES,
} from '../../../shared/console/protocol.ts'
import { MAX_ROWS } from '../../core/seeing/observer.ts'
import { nameSchema, positionSchema, queueNameSchema } from '../../wire/calls.ts'
import { flag, whole } from './topics.ts'

export const clientsQuery = {
  search: z.string().max(128).meta({ description: "A part of a client's name, a subject or an address" }),
  topic: nameSchema.meta({ description: 'Only who is in this topic, and what they do there' }),
  queue: queueNameSchema.meta({ description: 'Only who consumes from this queue, and what they do there' }),
  sort: z.enum(CLIENT_SORTS).meta({ description: 'What the list is in the order of', default: 'client' }),
  descending: flag.meta({ description: 'The largest first', type: 'boolean' }),
  offset: whole(0).meta({ description: 'So many are left out before the first' }),
  limit: whole(1, MAX_ROWS).meta({ description: 'At most this many, 200 at most', default: 50 }),
}

const amount = z.number().min(0)
const state = z.enum(SUBSCRIPTION_STATES)

const ROW = {
  id: '4f21c0-17',
  subjects: ['ann'],
  clients: ['phone'],
  address: '192.0.2.7',
  transport: 'websocket',
  since: 1_760_000_000_000,
  console: false,
  subscriptions: 1,
  consumers: 0,
  held: 0,
  lag: 0,
  state: 'live',
} as const

export const clientRow = z
  .object({
    id: z.string(),
    subjects: z.array(z.string()),
    clients: z.array(z.string()),
    address: z.string().exactOptional(),
    transport: z.string(),
    since: amount,
    console: z.boolean(),
    subscriptions: amount,
    consumers: amount,
    held: amount,
    lag: amount,
    state,
  })
  .meta({ id: 'ClientRow', examples: [ROW] }) satisfies z.ZodType<ClientRow>

const subscription = z
  .object({
    topic: z.string(),
    client: z.string().exactOptional(),
    state,
    position: positionSchema.exactOptional(),
    lag: amount,
  })
  .meta({ id: 'ClientSubscription' }) satisfies z.ZodType<ClientSubscription>

const consumer = z
  .object({ queue: z.string(), client: z.string().exactOptional(), credit: amount, held: amount })
  .meta({ id: 'ClientConsumer' }) satisfies z.ZodType<ClientConsumer>

export const clientAnswer = z
  .object({
    node: z.string(),
    client: clientRow,
    subscriptions: z.array(subscription),
    consumers: z.array(consumer),
  })
  .meta({
    id: 'ClientSeen',
    examples: [
      {
        node: 'host-4f21c0',
        client: ROW,
        subscriptions: [{ topic: 'orders', state: 'live', position: { epoch: '3f2a', offset: 42 }, lag: 0 }],
        consumers: [],
      },
    ],
  }) satisfies z.ZodType<ClientSeen>

export const clientsAnswer = z
  .object({ node: z.string(), at: amount, total: amount, matched: amount, clients: z.array(clientRow) })
  .meta({ id: 'Clients', examples: [{ node: 'host-4f21c0', at: ROW.since, total: 1, matched: 1, clients: [ROW] }] })
