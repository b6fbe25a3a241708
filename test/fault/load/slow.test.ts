/** Readers that hardly read: they cost the hub a position, not a buffer, and the others nothing. */

import { expect, it } from 'vitest'
import { Publisher } from '../../support/clients/publisher.ts'
import { join } from '../../support/clients/wire.ts'
import { Witness } from '../../support/clients/witness.ts'
import { describeStores, lmdb, redis } from '../../support/hub/stores.ts'
import { memoryMb } from '../../support/memory.ts'
import { startRelay } from '../../support/network/relay.ts'
import { soak } from '../../support/tools.ts'
import { until } from '../../support/until.ts'

const TOPIC = 'orders'
/** Drafts of 10 KB, 50 a call. */
const BATCH = 50
const PADDING = 10_000
const WARM_UP = 2_000
const FLOOD = soak ? 200_000 : 6_500
/** Garbage is collected early, so that what is left is what the hub holds. */
const HEAP = '--max-old-space-size=96 --max-semi-space-size=4'
/** Three slow readers with a buffer each would take three times as much at least. */
const FLAT_MB = 128

describeStores(
  'a reader at 1 KB/s of a hub on $name',
  (store) => {
    it('leaves memory and neighbours alone, is told behind, and has everything in the end', {
      timeout: soak ? 1_800_000 : 60_000,
    }, async () => {
      const place = await store.place()
      const hub = await place.spawn({ env: { NODE_OPTIONS: HEAP } })
      const { url, pid } = hub
      const relay = await startRelay(url)
      const fast = new Witness(url, TOPIC, 'fast', { keep: false })
      const publish = async (name: string, total: number): Promise<number> => {
        const began = performance.now()
        const head = (fast.position?.offset ?? 0) + total
        const publisher = new Publisher(url, TOPIC, { name, batch: BATCH, padding: PADDING, window: 4, total })
        await publisher.settled(600_000)
        await fast.reaches(head, 600_000)
        publisher.abandon()
        return total / (performance.now() - began)
      }
      await until(() => fast.live === 1)
      await publish('first', WARM_UP)
      const aloneRate = await publish('alone', WARM_UP)

      const slow = new Witness(relay.url, TOPIC, 'slow', { keep: false, from: 'end' })
      const polling = new Witness(relay.url, TOPIC, 'polling', { keep: false, from: 'end', transports: ['polling'] })
      const catching = new Witness(relay.url, TOPIC, 'catching up', { keep: false, from: 'start' })
      const stalled = await join(url, TOPIC, { from: 'start', paced: true }, { holdPages: true })
      await until(() => slow.live === 1 && polling.live === 1 && catching.connections === 1, { what: 'slow readers' })
      await stalled.seen('events')
      relay.throttle(1_000)

      const before = memoryMb(pid)
      let most = before
      const look = setInterval(() => {
        most = Math.max(most, memoryMb(pid))
      }, 50)
      const rate = await publish('flood', FLOOD)
      clearInterval(look)
      const passed = relay.bytesToClients
      expect(most - before).toBeLessThan(FLAT_MB)
      expect(rate).toBeGreaterThan(aloneRate / 3)
      // They were slow indeed.
      expect(slow.position?.offset).toBeLessThan(WARM_UP * 2 + FLOOD / 2)
      expect(stalled.all('events').length).toBe(1)

      relay.throttle(Number.POSITIVE_INFINITY)
      const head = WARM_UP * 2 + FLOOD
      for (const witness of [slow, polling, catching]) {
        await witness.reaches(head, 600_000)
        await until(() => witness.live > witness.behind, { what: `${witness.name} to be live` })
        expect(witness.faults).toEqual([])
        expect(witness.gaps).toEqual([])
        expect(witness.connections, witness.name).toBe(1)
      }
      expect(slow.behind).toBeGreaterThan(0)
      expect(polling.behind).toBeGreaterThan(0)
      expect(relay.bytesToClients - passed).toBeGreaterThan(2 * FLOOD * PADDING)
      // The one that never asked for more goes on from where it was when it does.
      const done = stalled.packets.find(({ name }) => name === 'events')?.args.at(-1)
      if (typeof done === 'function') done()
      await stalled.seen('events', 2)
      console.info(
        `memory ${before.toFixed(0)} → ${most.toFixed(0)} MB; ${(aloneRate * 10).toFixed(0)} → ${(rate * 10).toFixed(0)} MB/s; behind ${slow.behind}, ${polling.behind}`,
      )
    })
  },
  soak ? [lmdb, redis] : [lmdb],
)
