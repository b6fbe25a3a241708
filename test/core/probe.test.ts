/** The probe, over a store that answers when the test says so. */

import { afterEach, expect, it, vi } from 'vitest'
import { Probe } from '../../server/core/seeing/probe.ts'
import type { Store } from '../../server/store/contract/store.ts'
import { SILENT } from '../support/core/silent.ts'

afterEach(() => {
  vi.useRealTimers()
})

it('a round that is over listens to nothing, though the store takes long to listen', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  const listening = new Set<unknown>()
  let listen = (): void => {}
  const able = new Promise<void>((resolve) => {
    listen = resolve
  })
  let appended = 0
  const topics = {
    watch: async (_topic: string, listener: unknown) => {
      await able
      listening.add(listener)
      return () => listening.delete(listener)
    },
    append: async () => {
      appended += 1
      return { offsets: [1] }
    },
  }
  const probe = new Probe({ topics, damage: () => [] } as unknown as Store, SILENT, { id: 'a', version: '1' })
  const started = probe.start()
  await vi.advanceTimersByTimeAsync(2_500)
  await started
  probe.stop()
  expect(probe.health()).toMatchObject({ ready: false, reason: expect.stringContaining('append') })
  listen()
  await new Promise((resolve) => setImmediate(resolve))
  expect([listening.size, appended]).toEqual([0, 0])
})
