/** Very many connections that do nothing, and jobs that are due at once: a well-behaved client beside them notices nothing. */

import { once } from 'node:events'
import { connect } from 'node:net'
import { beforeAll, expect, it } from 'vitest'
import { asking } from '../../support/clients/ask.ts'
import { joinQueues } from '../../support/clients/jobs.ts'
import { startCanary } from '../../support/fuzz/canary.ts'
import { SMALL_HEAP } from '../../support/fuzz/fuzz.ts'
import type { HubProcess } from '../../support/hub/process.ts'
import { describeStores, lmdb } from '../../support/hub/stores.ts'
import { memoryMb } from '../../support/memory.ts'
import { open } from '../../support/sdk/handles.ts'
import { soak } from '../../support/tools.ts'
import { until, within } from '../../support/until.ts'

const MAX_GROWTH_MB = 50
/** Twice the aim: those who attack take their time on the same processors. */
const MOST_P99_MS = 200
const SOCKETS = soak ? 5_000 : 400
const TIMEOUT_MS = soak ? 10_000 : 1_000
const JOBS = soak ? 1_000_000 : 3_000
const BATCH = 1_000
/** Until all are sent. */
const AHEAD_MS = soak ? 120_000 : 1_000
const LONG_MS = 30 * 60_000

const BEGUN = [
  '',
  'GET /v1/topics HTTP/1.1\r\nHost: localhost\r\nX-Slow: ',
  'POST /v1/topics/t/events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n',
  'GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
]

/** What a client beside it meets while `attack` is under way, and whether the hub gives back what that took. */
async function beside(hub: HubProcess, what: string, attack: () => Promise<void>): Promise<void> {
  const canary = await startCanary(hub.url)
  const before = memoryMb(hub.pid)
  await attack()
  const { sent, got, p99Ms } = await canary.stop()
  const [end, start] = [memoryMb(hub.pid), before].map((mb) => mb.toFixed(0))
  if (soak) console.info(`${what}: p99 ${p99Ms.toFixed(0)} ms beside it, memory ${start} → ${end} MB`)
  expect([hub.process.exitCode, got]).toEqual([null, sent])
  if (soak) expect(p99Ms).toBeLessThan(MOST_P99_MS)
  await until(() => memoryMb(hub.pid) < before + MAX_GROWTH_MB, {
    what: 'its memory',
    deadlineMs: soak ? 120_000 : 20_000,
    everyMs: 200,
    seen: () => ({ before, after: memoryMb(hub.pid) }),
  })
}

/** Resolves when all are closed: with how long the longest was open. */
async function idle(port: number): Promise<number> {
  let longestMs = 0
  const closed: Promise<void>[] = []
  for (let i = 0; i < SOCKETS; i++) {
    const socket = connect(port, '127.0.0.1')
    const at = performance.now()
    socket.on('error', () => {}).on('data', () => {})
    const end = once(socket, 'close').then(() => {
      longestMs = Math.max(longestMs, performance.now() - at)
    })
    closed.push(end)
    socket.write(BEGUN[i % BEGUN.length] ?? '')
    // The system's queue of those that nobody has accepted is short.
    if (i % 200 === 0) await once(socket, 'connect')
  }
  await within(Promise.all(closed), TIMEOUT_MS + 10_000, 'the end of all of them')
  return longestMs
}

describeStores(
  'on $name',
  (kind) => {
    let hub: HubProcess
    beforeAll(async () => {
      const place = await kind.place()
      const env = { REPRISE_LIMITS_CONNECT_TIMEOUT_MS: `${TIMEOUT_MS}ms` }
      hub = await place.spawn({ env: soak ? env : { ...env, ...SMALL_HEAP } })
    })

    it(`${SOCKETS} connections that begin something and go on with nothing are closed in time`, async () => {
      await beside(hub, `${SOCKETS} idle connections`, async () => {
        const longestMs = await idle(hub.port)
        if (soak) console.info(`the longest was open for ${longestMs.toFixed(0)} ms`)
      })
    })

    it(`${JOBS} jobs that fall due in one moment are each worked on once`, { timeout: LONG_MS }, async () => {
      await asking(hub.url)('PUT', '/v1/queues/bomb', { maxJobs: 2 * JOBS })
      const sender = await joinQueues(hub.url, {}, { deadlineMs: 60_000 })
      const dueAt = Date.now() + AHEAD_MS
      for (let sent = 0; sent < JOBS; sent += BATCH) {
        const delayMs = Math.max(1, dueAt - Date.now())
        await sender.send('bomb', ...Array.from({ length: BATCH }, (_, i) => ({ data: sent + i, delayMs })))
      }
      const aheadMs = dueAt - Date.now()
      if (soak) console.info(`all are sent ${(aheadMs / 1_000).toFixed(0)} s before they are due`)
      await beside(hub, `${JOBS} jobs due at once`, async () => {
        const worked = new Uint8Array(JOBS)
        let done = 0
        const work = ({ data }: { data: unknown }) => {
          const n = Number(data)
          worked[n] = (worked[n] ?? 0) + 1
          done++
        }
        open(hub.url).queue('bomb').consume(work, { concurrency: 200 })
        await until(() => done >= JOBS, { what: 'all of them', deadlineMs: LONG_MS, everyMs: 20, seen: () => done })
        if (soak) console.info(`done ${((Date.now() - dueAt) / 1_000).toFixed(0)} s after they were due`)
        expect(new Set(worked)).toEqual(new Set([1]))
      })
    })
  },
  soak ? undefined : [lmdb],
)
