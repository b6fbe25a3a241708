/** A subscriber that is away for a while and misses nothing. Run with a hub: `npx tsx examples/replay.ts`. */

import { connect } from 'reprise/client'

const url = process.env.REPRISE_URL ?? 'http://127.0.0.1:3000'
const publisher = connect(url)
const prices = publisher.topic('example.prices')

async function listen(until: number): Promise<number[]> {
  const seen: number[] = []
  const hub = connect(url, { client: 'example-listener' })
  await new Promise<void>((resolve) => {
    hub.topic('example.prices').subscribe(
      ({ data }) => {
        seen.push(data as number)
        if (data === until) resolve()
      },
      { from: 'start' },
    )
  })
  await hub.close()
  return seen
}

for (const price of [1, 2, 3]) await prices.publish(price)
console.log('first visit:', await listen(3))
for (const price of [4, 5, 6]) await prices.publish(price)
console.log('second visit:', await listen(6))
await publisher.close()
