/** Subscribes with the SDK: replays a whole topic, or is cut off and comes back. */

import type { Hub } from '../../client/index.ts'
import { importClient } from '../client.ts'
import { chosenProduct, serveCalls } from '../role.ts'
import type { Load } from '../scenes/load.ts'

interface Away {
  readonly hub: Hub
  /** Resolves when so many more events were handled. */
  got(count: number): Promise<void>
}

const clients = new Map<string, Away>()

const calls = {
  /** Reads a topic from its start under a name that the hub keeps a cursor for. Answers how long the events took. */
  async replay({ url, topic, client, count }: { url: string; topic: string; client: string; count: number }) {
    const { connect } = await importClient(chosenProduct())
    const hub = connect<{ topics: Record<string, Load> }>(url, { client, transports: ['websocket'] })
    let last = 0
    const started = performance.now()
    const ms = await new Promise<number>((resolve, reject) => {
      const subscription = hub.topic(topic).subscribe(
        ({ offset }) => {
          if (offset !== last + 1) reject(new Error(`event ${last} was followed by ${offset}`))
          last = offset
          if (offset === count) resolve(performance.now() - started)
        },
        { from: 'start' },
      )
      void subscription.ended.then((ending) => reject(new Error(`the subscription ended: ${ending.code}`)))
    })
    await hub.close()
    return ms
  },

  /** One client with a connection of its own for each topic; resolves when all are live. */
  async attach({ url, topics }: { url: string; topics: readonly string[] }): Promise<void> {
    const { connect } = await importClient(chosenProduct())
    const attaching = topics.map(async (topic) => {
      const hub = connect(url, { client: topic, transports: ['websocket'] })
      let last: number | undefined
      let goal = { left: 0, reached: () => {} }
      const subscription = hub.topic(topic).subscribe(({ offset }) => {
        if (last !== undefined && offset !== last + 1) throw new Error(`event ${last} was followed by ${offset}`)
        last = offset
        goal.left -= 1
        if (goal.left === 0) goal.reached()
      })
      clients.set(topic, {
        hub,
        got: (count) =>
          new Promise((resolve) => {
            goal = { left: count, reached: resolve }
          }),
      })
      await new Promise<void>((resolve) => {
        subscription.onStatus(({ state }) => {
          if (state === 'live') resolve()
        })
      })
    })
    await Promise.all(attaching)
  },

  cut(): void {
    for (const { hub } of clients.values()) hub.suspend()
  },

  /** Brings a client back; answers the time from opening the transport to the last of the missed events, in ms. */
  async resume({ topic, missed }: { topic: string; missed: number }): Promise<number> {
    const client = clients.get(topic)
    if (client === undefined) throw new Error(`nobody is attached to ${topic}`)
    const arrived = client.got(missed)
    const started = performance.now()
    client.hub.resume()
    await arrived
    return performance.now() - started
  },
}

export type ReaderCalls = typeof calls

serveCalls(calls)
