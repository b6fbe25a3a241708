/** Compares what a topic keeps with what its producers were told. */

import type { Event, ReadPage } from '../../../shared/protocol.ts'
import type { Numbered, Publisher } from '../clients/publisher.ts'
import { join } from '../clients/wire.ts'

/** Everything that a topic keeps, read page by page. */
export async function readAll(url: string, topic: string): Promise<Event<Numbered>[]> {
  const wire = await join(url, topic, { from: 'none' })
  const events: Event<Numbered>[] = []
  for (;;) {
    const after = events.at(-1)?.offset ?? 0
    const page = await wire.value<ReadPage<Numbered>>('read', { after, limit: 1_000 })
    for (const event of page.events) events.push(event)
    if (page.events.length === 0) break
  }
  wire.close()
  return events
}

/** What contradicts the guarantees, in sentences; a test expects none. `publishers` have sent everything that is there. */
export function contradictions(events: readonly Event<Numbered>[], publishers: readonly Publisher[]): string[] {
  const found: string[] = []
  const numbers = new Map<string, number>()
  let at = 0
  for (const [i, event] of events.entries()) {
    const { by, n } = event.data
    if (event.offset !== i + 1) found.push(`the event at place ${i + 1} has offset ${event.offset}`)
    if (event.at < at) found.push(`event ${event.offset} is of ${event.at}, the one before of ${at}`)
    at = event.at
    const before = numbers.get(by) ?? 0
    if (n !== before + 1) found.push(`event ${event.offset}: ${by}'s number ${n} behind ${before}`)
    numbers.set(by, n)
  }
  for (const { name, acknowledged, sent } of publishers) {
    for (const [n, offset] of acknowledged) {
      const { by, n: kept } = events[offset - 1]?.data ?? {}
      if (by !== name || kept !== n) found.push(`${name} was told ${offset} for number ${n}; there is ${by} ${kept}`)
    }
    if ((numbers.get(name) ?? 0) > sent) found.push(`${name} has more events than it sent`)
  }
  return found.slice(0, 20)
}
