/** The contract's progress of jobs: what their consumers tell while they work, and how long it stays. */

import { describe, expect, test } from 'vitest'
import type { HeldJob, Keeping, Report } from '../../../../server/store/contract/store.ts'
import { MUCH_LIFE } from '../../../../server/store/life/life.ts'
import { remove } from '../calls.ts'
import type { Case } from '../cursors.ts'
import { text } from '../fixture.ts'
import { deskOf, holder, named, POLICY, TTL } from '../queueDesk.ts'

const DAY = 86_400_000
const KEEP: Keeping = { count: 9, ageMs: DAY, bytes: 1e9 }

export function describeQueueProgress(given: () => Case): void {
  const policy = { ...POLICY, maxAttempts: 2, backoffMs: [0], keep: KEEP }
  const desk = () => deskOf(given().store, 'q', policy)
  const now = () => given().engine.clock.now
  const pass = (ms: number): void => {
    given().engine.clock.now += ms
  }
  const tell = (job: Pick<HeldJob, 'id' | 'lease'>, what: Omit<Report, 'id' | 'lease'>, queue = 'q', as = policy) =>
    given().store.queues.progress(queue, [{ id: job.id, lease: job.lease, ...what }], as)
  const binaries = [{ path: ['b'], bytes: new Uint8Array([1, 2]) }]

  describe('the progress of a job', () => {
    test('is the last value and the lines of a log, told by who holds it, and goes with it to its end', async () => {
      const q = desk()
      const start = now()
      // Ids as the store may give them are as good as others.
      await q.put('1-', '2-x')
      for (const odd of [await q.take('w'), await q.take('w')]) {
        expect(await tell(odd, { value: text(1) })).toEqual(['ok'])
        await q.settle(odd, { as: 'done' })
      }
      await q.put('a', 'b')
      const job = await q.take('w')
      expect(await q.job('a')).not.toHaveProperty('log')
      expect(await tell(job, { value: { json: '{"data":{"b":null}}', binaries }, log: ['one', 'zwei ä'] })).toEqual([
        'ok',
      ])
      pass(5)
      expect(await tell(job, { log: ['"three"\n'] })).toEqual(['ok'])
      const log = [
        { at: start, text: 'one' },
        { at: start, text: 'zwei ä' },
        { at: start + 5, text: '"three"\n' },
      ]
      const told = { progress: { json: '{"data":{"b":null}}', binaries }, log }
      expect(await q.job('a')).toMatchObject({ state: 'held', ...told })
      expect((await given().store.queues.jobs('q', { state: 'held', limit: 9 }))[0]).toMatchObject(told)
      await given().reopen()
      expect(await desk().job('a')).toMatchObject(told)
      expect(await desk().job('b')).not.toHaveProperty('progress')

      // Through a failure, into the dead letters, where it is told of, too, and back.
      await desk().settle(job, { as: 'retry' })
      expect(await desk().job('a')).toMatchObject({ state: 'ready', ...told })
      const again = await desk().take('w')
      expect(again.id).toBe('a')
      expect(await tell(again, { value: text(50) })).toEqual(['ok'])
      await desk().settle(again, { as: 'dead', error: 'no' })
      expect(await desk().job('a', 'q/dead')).toMatchObject({ log, progress: text(50) })
      const letter = await desk().take('w', {}, 'q/dead')
      expect(await tell(letter, { value: text(60), log: ['four'] }, 'q/dead')).toEqual(['ok'])
      await desk().settle(letter, { as: 'release' }, 'q/dead')
      await given().store.queues.redrive('q', ['a'], { ttlMs: TTL })
      const all = { progress: text(60), log: [...log, { at: start + 5, text: 'four' }] }
      expect(await desk().job('a')).toMatchObject(all)
      const [, last] = (await desk().claim('w', { max: 2 })).jobs
      if (last === undefined) throw new Error('it was redriven')
      await desk().settle(last, { as: 'done', reply: text('yes') })
      await given().reopen()
      const finished = (id: string) => given().store.queues.finished('q', { ids: [id] })
      expect(await finished('a')).toMatchObject([{ state: 'done', result: text('yes'), ...all }])
      pass(DAY)
      expect(await finished('a')).toEqual([])
      // Another job with its id has none.
      await desk().put('a')
      expect(await desk().job('a')).not.toHaveProperty('log')
    })

    test('is lost where another was given the job or it is over, and then nothing is changed', async () => {
      const q = desk()
      const { queues } = given().store
      expect(await tell({ id: 'a', lease: '1.1.x' }, { value: text(1) }, 'never')).toEqual(['lost'])
      expect(await queues.list({ names: ['never'] })).toEqual([])
      await q.put('a', 'b', 'c')
      const { jobs } = await q.claim('w', { max: 3, leaseMs: 1_000 })
      const [a, b, c] = jobs as [HeldJob, HeldJob, HeldJob]
      const all = [
        { ...a, lease: `${a.lease}x`, value: text(1) },
        { ...a, id: 'b', value: text(1) },
        { id: 'a', lease: 'none', log: ['x'] },
        { id: 'b', lease: b.lease, log: ['mine'] },
      ]
      expect(await queues.progress('q', all, policy)).toEqual(['lost', 'lost', 'lost', 'ok'])
      expect(await tell(a, { value: text(1) }, 'q/dead')).toEqual(['lost'])
      await q.settle(c, { as: 'done' })
      expect(await tell(c, { value: text(1) })).toEqual(['lost'])
      // The call finds it lapsed, and as long as nobody else has it, it counts.
      pass(1_000)
      expect(await tell(a, { log: ['late'] })).toEqual(['ok'])
      expect(await q.listed('held')).toEqual([])
      await q.take('v')
      expect(await tell(a, { log: ['later'] })).toEqual(['lost'])
      expect(await q.job('a')).toMatchObject({ state: 'held', holder: holder('v') })
      expect((await q.job('a'))?.log?.map(({ text }) => text)).toEqual(['late'])
      expect(await q.job('a')).not.toHaveProperty('progress')
      expect((await q.job('b'))?.log?.map(({ text }) => text)).toEqual(['mine'])
      expect((await queues.finished('q', { ids: ['c'] }))[0]).not.toHaveProperty('progress')
    })

    test('keeps the last 100 lines, and less where they are long; what is not kept when it ends leaves nothing', async () => {
      const q = desk()
      await q.send([named('a', { policy: { keepMs: 0 } }), named('b')])
      const { jobs } = await q.claim('w', { max: 2 })
      const [a, b] = jobs as [HeldJob, HeldJob]
      const lines = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => `line ${from + i}`)
      const kept = async (id: string) => (await q.job(id))?.log?.map(({ text }) => text)
      expect(await tell(a, { log: lines(0, 60), value: text(0) })).toEqual(['ok'])
      expect(await tell(a, { log: lines(60, 130) })).toEqual(['ok'])
      expect(await kept('a')).toEqual(lines(30, 130))
      const long = Array.from({ length: 40 }, (_, i) => `${i} ${'ä'.repeat(1_000)}`)
      await tell(b, { log: long })
      const all = (await kept('b')) ?? []
      expect(all).toEqual(long.slice(-all.length))
      expect(all.length).toBeGreaterThan(10)
      expect(all.length).toBeLessThan(33)
      await q.settle(a, { as: 'done' })
      await q.settle(b, { as: 'release' })
      expect(await remove(given().store.queues, 'q', 'b', KEEP)).toBe(true)
      const [removed] = await given().store.queues.finished('q', { state: 'removed', limit: 9 })
      expect(removed?.log?.map(({ text }) => text)).toEqual(all)
      expect(await given().store.queues.finished('q', { state: 'done', limit: 9 })).toEqual([])
    })

    test('is told in the life of the queue, value by value, but not where much of that waits', async () => {
      const events = { ...policy, events: true }
      const q = deskOf(given().store, 'q', events)
      await q.send([named('a')], { events: true })
      const job = await q.take('w')
      await tell(job, { value: text(10), log: ['x'] }, 'q', events)
      await tell(job, { log: ['y'] }, 'q', events)
      await tell(job, { value: text(20) }, 'q', events)
      const life = async () => (await given().store.queues.life('q', { limit: 2 * MUCH_LIFE }))?.records ?? []
      expect((await life()).slice(2)).toEqual([
        { kind: 'progress', id: 'a', attempt: 1, body: text(10) },
        { kind: 'progress', id: 'a', attempt: 1, body: text(20) },
      ])
      const some = Array.from({ length: MUCH_LIFE }, (_, i) => named(`s${i}`))
      await q.send(some.slice(0, MUCH_LIFE - 5), { events: true })
      for (let i = 0; i < 5; i++) expect(await tell(job, { value: text(i) }, 'q', events)).toEqual(['ok'])
      expect(await life()).toHaveLength(MUCH_LIFE)
      expect((await q.job('a'))?.progress).toEqual(text(4))
      expect(await q.settle(job, { as: 'done' })).toBe('ok')
      expect((await life()).at(-1)).toMatchObject({ kind: 'done', id: 'a' })
    })
  })
}
