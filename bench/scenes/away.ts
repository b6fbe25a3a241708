/** Clients that were cut off and missed little, while others got much. One comes back each round. */

import type { Processes } from '../processes.ts'
import type { Side } from '../question.ts'
import type { PlainCalls } from '../roles/plain.ts'
import type { PublisherCalls } from '../roles/publisher.ts'
import type { ReaderCalls } from '../roles/reader.ts'
import type { RecoveredCalls } from '../roles/recovered.ts'

export interface Missing {
  readonly clients: number
  /** Events that each has missed. */
  readonly missed: number
  /** Topics of others. */
  readonly others: number
  /** Events in all of them. */
  readonly foreign: number
}

/** From a hub; its figure is `back`, from opening the transport to the last missed event, in ms. */
export async function openAway(processes: Processes, url: string, missing: Missing): Promise<Side> {
  const { mine, others } = topicsOf(missing)
  const [reader, publisher] = await Promise.all([
    processes.start<ReaderCalls>('reader'),
    processes.start<PublisherCalls>('publisher'),
  ])
  await publisher.ask('open', { url, to: 'hub' })
  await reader.ask('attach', { url, topics: mine })
  await reader.ask('cut')
  await publisher.ask('spread', { topics: mine, each: missing.missed / 2 })
  await publisher.ask('spread', { topics: others, each: missing.foreign / missing.others })
  await publisher.ask('spread', { topics: mine, each: missing.missed / 2 })
  await publisher.stop()
  return {
    measure: async (round) => ({
      back: await reader.ask('resume', { topic: mine[round - 1] ?? '', missed: missing.missed }),
    }),
  }
}

/** From a plain Socket.IO server with connection state recovery, in its memory or over Redis. */
export async function openPlainAway(processes: Processes, missing: Missing, redis?: string): Promise<Side> {
  const { mine, others } = topicsOf(missing)
  const [server, client] = await Promise.all([
    processes.start<PlainCalls>('plain'),
    processes.start<RecoveredCalls>('recovered'),
  ])
  const url = await server.ask('start', { recovery: true, ...(redis === undefined ? {} : { redis }) })
  await client.ask('attach', { url, rooms: mine })
  await client.ask('cut')
  await server.ask('fill', { rooms: mine, each: missing.missed / 2 })
  await server.ask('fill', { rooms: others, each: missing.foreign / missing.others })
  await server.ask('fill', { rooms: mine, each: missing.missed / 2 })
  if (redis !== undefined) await server.ask('settled')
  return {
    measure: async (round) => ({
      back: await client.ask('resume', { room: mine[round - 1] ?? '', missed: missing.missed }),
    }),
  }
}

function topicsOf({ clients, others }: Missing) {
  return {
    mine: Array.from({ length: clients }, (_, i) => `mine-${i}`),
    others: Array.from({ length: others }, (_, i) => `other-${i}`),
  }
}
