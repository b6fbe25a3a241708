/** A publisher to try things on. */

import { type FakeHub, nextPublish, startFakeHub } from './fakeHub.ts'
import { open } from './handles.ts'

export const data = (drafts: readonly { readonly data: unknown }[]) => drafts.map((draft) => draft.data)

export async function publisher(options = {}) {
  const fake = await startFakeHub()
  const hub = open(fake.url, options)
  return { fake, hub, topic: hub.topic('orders') }
}

/** Drafts that fill the whole window of packets in flight: four packets, told apart by their first draft. */
export async function fourPackets(fake: FakeHub, topic: { publish(data: unknown): Promise<unknown> }) {
  const outcomes: Promise<unknown>[] = []
  const packets = []
  for (const name of ['a', 'b', 'c', 'd']) {
    outcomes.push(topic.publish(name))
    packets.push(await nextPublish(fake))
  }
  const [a, b, c, d] = packets
  if (a === undefined || b === undefined || c === undefined || d === undefined) throw new Error('four came')
  return { outcomes, a, b, c, d }
}
