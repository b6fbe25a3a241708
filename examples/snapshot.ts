/** A snapshot over REST, then the stream: nothing is missed, nothing counts twice. `npx tsx examples/snapshot.ts`. */

import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import express from 'express'
import { connect, type Position } from 'reprise/client'

type Item = { readonly id: string; readonly count: number; readonly version: number }
type Types = { topics: { 'example.stock': Item } }
const url = process.env.REPRISE_URL ?? 'http://127.0.0.1:3000'

// The program with the database: it writes first and publishes then, so what the topic has, the database has.
await using hub = connect<Types>(url)
const topic = hub.topic('example.stock')
const database = new Map<string, Item>()
async function add(id: string) {
  const { version = 0, count = 0 } = database.get(id) ?? {}
  const item = { id, count: count + 1, version: version + 1 }
  database.set(id, item)
  await topic.publish(item)
}
const app = express().get('/stock', async (_request, response) => {
  // The position before the database: what the snapshot lacks comes behind it.
  const position = await topic.head()
  response.json({ position, items: [...database.values()] })
})
const server = app.listen(0, '127.0.0.1')
// A page. What was written between position and snapshot is in both: the version tells.
async function page() {
  await using mine = connect<Types>(url)
  const snapshot = await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}/stock`)
  const { position, items } = (await snapshot.json()) as { position: Position; items: Item[] }
  const seen = new Map(items.map((item) => [item.id, item]))
  const take = ({ data: item }: { data: Item }) => {
    const { version = 0 } = seen.get(item.id) ?? {}
    if (item.version > version + 1) throw new Error(`${item.id}: version ${version + 1} was missed`)
    if (item.version === version + 1) seen.set(item.id, item)
  }
  const following = mine.topic('example.stock').subscribe(take, { from: position, maxAttempts: 1 })
  following.onError(() => process.exit(1))
  while (seen.get('pears')?.version !== 200) await sleep(5)
  console.log('a page has', seen.get('pears')?.count, 'pears')
}
const pages: Promise<void>[] = []
for (let i = 0; i < 200; i++) {
  await Promise.all([add('apples'), add('pears')])
  if (i % 20 === 0) pages.push(page())
}
await Promise.all(pages)
server.close()
