/** Thousands of topics: touched once and left, or all at once on one connection. */

import { Manager, type Socket } from 'socket.io-client'
import { expect, it } from 'vitest'
import type { EventsPacket, Published, Reply } from '../../../shared/protocol.ts'
import { join } from '../../support/clients/wire.ts'
import { atEnd } from '../../support/ending.ts'
import { describeStores, lmdb, redis } from '../../support/hub/stores.ts'
import { folderMb, memoryMb } from '../../support/memory.ts'
import { soak } from '../../support/tools.ts'
import { until, within } from '../../support/until.ts'

const TOUCHED = soak ? 200_000 : 10_000
const HELD = soak ? 9_000 : 2_000
const GROUP = 500
/** Garbage is collected early, so that what is left is what the hub holds. */
const HEAP = '--max-old-space-size=192 --max-semi-space-size=2'

function connect(url: string): Manager {
  const manager = new Manager(url, { transports: ['websocket'], reconnection: false, autoConnect: false })
  atEnd(() => manager._close())
  return manager
}

/** Enters the namespaces and waits until each has let us in or refused us; the refusals' codes. */
async function enter(manager: Manager, names: readonly string[]): Promise<{ sockets: Socket[]; refused: string[] }> {
  const refused: string[] = []
  const sockets = names.map((name) => manager.socket(name, { auth: {} }))
  const entered = sockets.map(
    (socket) =>
      new Promise<void>((resolve) => {
        // A topic has let us in when the subscription has begun.
        socket.once('live', () => resolve())
        socket.once('connect_error', (error: Error & { data?: { code?: string } }) => {
          refused.push(error.data?.code ?? error.message)
          resolve()
        })
        socket.connect()
      }),
  )
  await within(Promise.all(entered), 30_000, `${names.length} namespaces`)
  return { sockets, refused }
}

function leave(manager: Manager, sockets: readonly Socket[]): void {
  for (const socket of sockets) {
    socket.disconnect()
    socket.removeAllListeners()
    delete (manager as unknown as { nsps: Record<string, Socket> }).nsps[(socket as unknown as { nsp: string }).nsp]
  }
}

/** What the process holds when it has had a moment to collect. */
async function settledMb(pid: number, url: string, below = 0): Promise<number> {
  let least = memoryMb(pid)
  const settles = async (deadlineMs: number, work: () => Promise<void>): Promise<void> => {
    const isLess = async () => {
      await work()
      least = Math.min(least, memoryMb(pid))
      return least < below
    }
    await until(isLess, { deadlineMs, everyMs: 50 }).catch(() => {})
  }
  // A little work makes it collect; so does some time without any, once.
  for (let turn = 0; turn < 3; turn++) {
    await settles(1_000, () => touch(url, ['probe']))
    if (below > least || below === 0) return least
    await settles(20_000, async () => {})
    if (below > least) return least
  }
  return least
}

async function touch(url: string, topics: readonly string[]): Promise<void> {
  const manager = connect(url)
  const { sockets } = await enter(
    manager,
    topics.map((topic) => `/topics/${topic}`),
  )
  leave(manager, sockets)
  manager._close()
}

describeStores(
  'a hub on $name',
  (store) => {
    it('gives back what very many topics took that were touched once', {
      timeout: soak ? 1_800_000 : 120_000,
    }, async () => {
      const place = await store.place()
      const { url, pid } = await place.spawn({ env: { NODE_OPTIONS: HEAP } })
      const round = async (from: number, to: number) => {
        for (let at = from; at < to; at += GROUP) {
          const manager = connect(url)
          const names = Array.from({ length: GROUP }, (_, i) => `/topics/touched-${at + i}`)
          const { sockets, refused } = await enter(manager, names)
          expect(refused).toEqual([])
          const bad = Array.from({ length: GROUP / 5 }, (_, i) =>
            i % 2 ? `/topics/no good ${at + i}` : `/other-${at + i}`,
          )
          const { refused: codes, sockets: strays } = await enter(manager, bad)
          expect(new Set(codes)).toEqual(new Set(['bad_request', 'not_found']))
          // Half of them say goodbye, half just go.
          if ((at / GROUP) % 2 === 0) leave(manager, [...sockets, ...strays])
          manager._close()
        }
      }
      await round(0, 4_000)
      const disk = place.folder === undefined ? 0 : await folderMb(place.folder)
      const before = await settledMb(pid, url)
      await round(4_000, TOUCHED)
      // A namespace that stays takes 3 KB and more: 18 MB in all, beside the few that the hub needs anyway.
      const after = await settledMb(pid, url, before + 16)
      expect(after - before).toBeLessThan(16)
      if (place.folder !== undefined) expect((await folderMb(place.folder)) - disk).toBeLessThan(1)
      console.info(`memory ${before.toFixed(0)} → ${after.toFixed(0)} MB`)
    })

    it('serves one connection on 2,000 topics, each its own events, and frees them when they are left', {
      timeout: soak ? 1_800_000 : 60_000,
    }, async () => {
      const place = await store.place()
      const { url, pid } = await place.spawn({ env: { NODE_OPTIONS: HEAP } })
      const manager = connect(url)
      const names = Array.from({ length: HELD }, (_, i) => `/topics/held-${i}`)
      const { sockets, refused } = await enter(manager, names)
      expect(refused).toEqual([])
      const heard = sockets.map(() => [] as unknown[])
      for (const [i, socket] of sockets.entries()) {
        socket.on('events', ({ events }: EventsPacket) => heard[i]?.push(...events.map(({ data }) => data)))
      }
      const replies = await Promise.all(
        sockets.map((socket, i) => {
          const reply = new Promise<Reply<Published>>((resolve) => socket.emit('publish', [{ data: i }], null, resolve))
          return within(reply, 20_000, 'a reply')
        }),
      )
      expect(replies.every((reply) => reply.ok && reply.value.offsets[0] === 1)).toBe(true)
      await until(() => heard.every((data) => data.length === 1), { what: 'an event for each', deadlineMs: 20_000 })
      expect(heard.map(([data]) => data)).toEqual(sockets.map((_, i) => i))
      // The last one holds the connection.
      leave(manager, sockets.slice(1))
      const round = async (number: number) => {
        const others = Array.from({ length: HELD }, (_, i) => `/topics/left-${number}-${i}`)
        leave(manager, (await enter(manager, others)).sockets)
      }
      await round(0)
      const before = await settledMb(pid, url)
      for (let number = 1; number <= (soak ? 4 : 3); number++) await round(number)
      // All that stayed would take 18 MB and more.
      const after = await settledMb(pid, url, before + 12)
      expect(after - before).toBeLessThan(12)
      expect(manager._readyState).toBe('open')
      const other = await join(url, 'held-7', { from: 'start' })
      expect((await other.eventsSeen(1))[0]?.data).toBe(7)
      console.info(`memory ${before.toFixed(0)} → ${after.toFixed(0)} MB`)
    })
  },
  soak ? [lmdb, redis] : [lmdb],
)
