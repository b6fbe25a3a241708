/**
 * A client that behaves, beside those that do not: it publishes twenty events a second and measures how soon they come. As a
 * process of its own, so that what the others do takes none of its time: its argument is the hub's address, and it tells
 * what it has measured when it is sent SIGTERM.
 */

import { pathToFileURL } from 'node:url'
import { connect } from '../../../client/index.ts'
import { startChild } from '../hub/process.ts'
import { until } from '../until.ts'

const EVERY_MS = 50

export interface Measured {
  readonly sent: number
  readonly got: number
  readonly p99Ms: number
}

export interface Canary {
  stop(): Promise<Measured>
}

export async function startCanary(url: string): Promise<Canary> {
  const loader = ['--import', import.meta.resolve('tsx')]
  const child = startChild([process.execPath, ...loader, import.meta.filename, url])
  await until(() => child.stdout().includes('live'), { what: 'the canary', deadlineMs: 30_000, seen: child.stderr })
  return {
    async stop() {
      await child.kill('SIGTERM')
      const line = child.stdout().trim().split('\n').at(-1) ?? ''
      return JSON.parse(line) as Measured
    },
  }
}

async function sing(url: string): Promise<void> {
  const hub = connect(url, { quiet: true })
  const topic = hub.topic('canary')
  const sentAt = new Map<number, number>()
  const delays: number[] = []
  let sent = 0
  await topic.publish(0)
  const subscription = topic.subscribe(
    ({ data }) => {
      const at = sentAt.get(Number(data))
      if (at !== undefined && sentAt.delete(Number(data))) delays.push(performance.now() - at)
    },
    { from: 'end' },
  )
  await until(() => subscription.status.state === 'live', { what: 'it to be live' })
  const timer = setInterval(() => {
    sent += 1
    sentAt.set(sent, performance.now())
    topic.publish(sent).catch(() => {})
  }, EVERY_MS)
  process.once('SIGTERM', async () => {
    clearInterval(timer)
    await until(() => delays.length === sent, { what: 'the rest' }).catch(() => {})
    const row = [...delays].sort((a, b) => a - b)
    const measured: Measured = { sent, got: delays.length, p99Ms: row[Math.floor(row.length * 0.99)] ?? 0 }
    console.info(JSON.stringify(measured))
    await hub.close()
    process.exit()
  })
  console.info('live')
}

const [, script = '', url] = process.argv
if (import.meta.url === pathToFileURL(script).href && url !== undefined) await sing(url)
