/** Jobs whose bodies cannot be read: no consumer is given them, and they end in the dead letters. */

import { expect, it, onTestFinished } from 'vitest'
import { anonymous } from '../../server/core/access.ts'
import { StoreClock } from '../../server/core/clock.ts'
import { Consumers } from '../../server/core/queues/delivery/consumers.ts'
import type { JobOutlet } from '../../server/core/queues/delivery/outlet.ts'
import { openQueueSettings } from '../../server/core/queues/settings.ts'
import type { HeldJob, Store } from '../../server/store/contract/store.ts'
import { DEFAULT_LIMITS } from '../../shared/protocol.ts'
import { infoOf, jobOf } from '../store/conformance/calls.ts'
import { lmdbEngine } from '../store/conformance/fixture.ts'
import { deskOf, named } from '../store/conformance/queueDesk.ts'
import { SILENT } from '../support/core/silent.ts'
import { until } from '../support/until.ts'

/** The store, with no body of the jobs whose names begin with `bad`. */
function withDamage(store: Store): Store {
  const spoilt = (jobs: readonly HeldJob[]): HeldJob[] =>
    jobs.map((job) => (job.id.startsWith('bad') ? { ...job, body: undefined } : job))
  const queues = Object.create(store.queues) as Store['queues']
  queues.claim = async (queue, claim) => {
    const claimed = await store.queues.claim(queue, claim)
    return { ...claimed, jobs: spoilt(claimed.jobs) }
  }
  return { ...store, queues }
}

it.each(['q', 'q/dead'])('a damaged job of %s is ended, and the others are delivered', async (queue) => {
  const engine = await lmdbEngine()
  const store = await engine.open({ now: Date.now })
  const desk = deskOf(store, 'q')
  const dead = queue === 'q' ? {} : ({ dead: { reason: 'rejected' } } as const)
  await desk.send(['bad-1', 'good-1', 'bad-2', 'good-2'].map((id) => named(id, dead)))
  const clock = new StoreClock(store)
  await clock.start()
  const settings = await openQueueSettings({ store: store.settings })
  const context = { store: withDamage(store), settings, limits: DEFAULT_LIMITS, clock, telemetry: SILENT }
  const consumers = new Consumers({ ...context, draining: new AbortController().signal })
  onTestFinished(async () => {
    clock.stop()
    await consumers.close()
    settings.close()
    await engine.destroy()
  })
  const given: string[] = []
  const outlet: JobOutlet = {
    jobs: ({ jobs }) => given.push(...jobs.map(({ id }) => id)),
    lost: () => {},
    end: () => {},
    overfull: false,
  }
  await consumers.consume({ caller: { ...anonymous(), client: 'w' }, id: 'w', outlet }, queue, { credit: 1 })
  // It takes one at a time: what is damaged holds no place of it.
  await until(async () => given.length === 1 && (await jobOf(store.queues, 'q/dead', 'bad-1')) !== undefined)
  expect(given).toEqual(['good-1'])
  if (queue === 'q') {
    expect(await jobOf(store.queues, 'q/dead', 'bad-1')).toMatchObject({
      dead: { reason: 'rejected', error: 'damaged' },
    })
    expect((await infoOf(store.queues, 'q'))?.counts).toMatchObject({ held: 1, dead: 1, ready: 2 })
  } else {
    const letter = async () => jobOf(store.queues, 'q/dead', 'bad-1')
    await until(async () => (await letter())?.state === 'delayed')
    expect((await letter())?.dueAt).toBeGreaterThan(Date.now() + 365 * 24 * 3_600_000)
  }
})
