import { expect, test } from 'vitest'
import { jobOf, pass, working } from '../../support/sdk/workerDesk.ts'

const TEXT = 'ran longer than its runMs of 5000 ms'
const limited = (id: string, runMs = 5_000) => jobOf(id, { runMs, expiresAt: runMs })

test('a run that takes too long is a failed attempt: the signal says why, what comes later does not count', async () => {
  const { at, call, begun } = await working([])
  await at.jobs(limited('1'), limited('2', 1e9))
  await pass(4_900)
  // The second one cannot begin soon enough, and is not to fail for that; the first one needs no renewal.
  expect(await at.waiting()).toEqual([])
  await pass(100)
  expect(call('1').signal.reason).toMatchObject({ code: 'timeout', message: TEXT })
  expect(at.failures).toMatchObject([{ id: '1', what: 'retry', error: { message: TEXT } }])
  expect(await at.settle()).toMatchObject([{ id: '1', as: 'retry', error: TEXT }])
  call('1').finish('late')
  expect(begun).toEqual(['1', '2'])
  // Longer than a lease: it is renewed as others are.
  await pass(5_000)
  expect(await at.settle()).toMatchObject([{ id: '2', as: 'extend' }])
  call('2').finish('done')
  expect(await at.settle()).toMatchObject([{ id: '2', as: 'done', reply: 'done' }])
  await at.jobs(limited('3'))
  await pass(5_000)
  call('3').fail(new Error('aborted'))
  expect(await at.settle(['lost'])).toMatchObject([{ id: '3', as: 'retry', error: TEXT }])
  expect(at.failures.map(({ id, what }) => [id, what])).toEqual([
    ['1', 'retry'],
    ['3', 'retry'],
  ])
})

test('it is the same when the hub is first to notice; a lease that is lost long before is just lost', async () => {
  const { at, call } = await working([])
  await at.jobs(limited('1'))
  await pass(4_800)
  at.worker.lostJobs(['1'])
  await pass()
  expect(call('1').signal.reason).toMatchObject({ message: TEXT })
  expect(await at.settle()).toMatchObject([{ id: '1', as: 'retry', error: TEXT }])
  await at.jobs(limited('2'))
  await pass(1_000)
  at.worker.lostJobs(['2'])
  await pass()
  expect(call('2').signal.reason).toMatchObject({ code: 'conflict' })
  expect(at.failures.map(({ what }) => what)).toEqual(['retry', 'lost'])
})

test('jobs whose runs are limited are not fetched ahead; what came already begins soon, or is given back', async () => {
  const { at, call, begun } = await working(['a', 'b', 'c'])
  // Quick handlers and a slow hub: a reserve is worth it.
  for (const id of ['a', 'b', 'c']) {
    call(id).finish()
    await pass(300)
    await at.settle()
  }
  const credit = async () => {
    let asked = 0
    while ((await at.waiting()).includes('consume')) {
      asked = ((await at.next('consume')).args[1] as { credit: number }).credit
    }
    return asked
  }
  expect(await credit()).toBeGreaterThan(1)
  await at.jobs(limited('1'), limited('2'), limited('3'))
  expect(await credit()).toBe(1)
  await pass(100)
  call('1').finish()
  await at.settle()
  expect(begun.slice(3)).toEqual(['1', '2'])
  await pass(399)
  expect(await at.waiting()).toEqual([])
  await pass(5)
  expect(await at.settle()).toEqual([{ id: '3', lease: 'lease of 3', as: 'release' }])
  expect(call('2').signal.aborted).toBe(false)
  expect(at.failures).toEqual([])
})
