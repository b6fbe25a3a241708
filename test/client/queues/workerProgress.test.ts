import { expect, test } from 'vitest'
import type { JobReport } from '../../../shared/queues.ts'
import { pass, working } from '../../support/sdk/workerDesk.ts'

type At = Awaited<ReturnType<typeof working>>['at']

/** Answers the next packet of reports, `ok` where nothing else is said, and gives what was in it. */
async function told(at: At, answers: readonly string[] = []): Promise<JobReport[]> {
  const call = await at.next('progress')
  const reports = call.args[1] as JobReport[]
  call.reply(reports.map((_, i) => answers[i] ?? 'ok'))
  await pass()
  return reports
}

const of = (id: string) => ({ id, lease: `lease of ${id}` })

test('a handler may tell as often as it likes: ten calls a second, with the last value and all lines of each job', async () => {
  const { at, call } = await working(['1', '2'], 2)
  const [one, two] = [call('1').job, call('2').job]
  const { made } = at
  const all: JobReport[] = []
  for (let ms = 0; ms < 1_100; ms++) {
    for (const job of ms < 1_000 ? [one, two] : []) void job.progress({ ms, of: job.id })
    if (ms % 10 === 0 && ms < 1_000) void one.log(`line ${ms}`)
    await pass(1)
    while ((await at.waiting()).includes('progress')) all.push(...(await told(at)))
  }
  expect(at.made - made).toBeLessThanOrEqual(12)
  const lines = all.flatMap(({ log = [] }) => log)
  expect(lines).toEqual(Array.from({ length: 100 }, (_, i) => `line ${10 * i}`))
  const last = (of: string) => all.findLast(({ id, value }) => id === of && value !== undefined)
  for (const id of ['1', '2']) expect(last(id)).toMatchObject({ ...of(id), value: { ms: 999, of: id } })
  // Of very many lines the hub keeps the last 100, and of a long one its beginning.
  for (let i = 0; i < 150; i++) void one.log(`${i}`)
  void one.log('x'.repeat(5_000))
  await pass(100)
  const kept = (await told(at)).map(({ log }) => log)
  expect(kept).toHaveLength(100)
  expect([kept[0], kept.at(-1)]).toEqual(['51', 'x'.repeat(2_001)])
})

test('whoever awaits is answered: at once, whether it is kept; what cannot travel is thrown', async () => {
  const { at, call } = await working(['1'])
  const { job } = call('1')
  void job.progress(1)
  await told(at)
  const answers: unknown[] = []
  const ask = async () => {
    answers.push(await job.progress(2))
    answers.push(await job.log('x'))
    answers.push(await Promise.all([job.progress(3), job.progress(4)]))
  }
  const asked = ask()
  expect(await told(at)).toEqual([{ ...of('1'), value: 2 }])
  expect(await told(at)).toEqual([{ ...of('1'), log: 'x' }])
  expect(await told(at, ['lost'])).toEqual([{ ...of('1'), value: 4 }])
  await asked
  expect(answers).toEqual([true, true, [false, false]])
  for (const [value, code] of [
    [undefined, 'bad_request'],
    [Number.NaN, 'bad_request'],
    [new Map(), 'bad_request'],
    ['x'.repeat(65_536), 'too_large'],
  ] as const) {
    expect(() => job.progress(value)).toThrow(expect.objectContaining({ code }))
  }
  expect(() => job.log(7 as unknown as string)).toThrow(expect.objectContaining({ code: 'bad_request' }))
  // What was changed to what cannot travel harms nothing else.
  const changing: Record<string, unknown> = { fine: 1 }
  void job.progress(changing)
  changing.fine = new Map()
  await pass(100)
  expect(await at.waiting()).toEqual([])
  // Refused for good: whoever waits hears of it, nothing else fails for it.
  void job.log('one')
  const refused = expect(job.progress(5)).rejects.toMatchObject({ code: 'forbidden' })
  ;(await at.next('progress')).refuse('forbidden')
  await refused
  void job.log('two')
  await pass(100)
  ;(await at.next('progress')).refuse('unsupported')
  await pass()
  expect(at.failures).toEqual([])
})

test('what is told leaves before the end of its job does, and what comes later does nothing', async () => {
  const { at, call } = await working(['1', '2', '3'], 3)
  const jobs = ['1', '2', '3'].map((id) => call(id).job)
  void jobs[0]?.progress(1)
  // Its answer is still on its way.
  const first = await at.next('progress')
  for (const job of jobs) void job.progress('last')
  call('1').finish('done')
  at.worker.lostJobs(['3'])
  const names = await at.waiting()
  expect(names.indexOf('progress')).toBeLessThan(names.indexOf('settle'))
  expect(await told(at)).toEqual([{ ...of('1'), value: 'last' }])
  await at.settle()
  first.reply(['ok'])
  await pass(100)
  // The lease of the third is lost.
  expect(await told(at)).toEqual([{ ...of('2'), value: 'last' }])
  const { made } = at
  for (const id of ['1', '3']) {
    expect(await call(id).job.progress(9)).toBe(false)
    expect(await call(id).job.log('late')).toBe(false)
  }
  await pass(1_000)
  expect(at.made).toBe(made)
})

test('what is told without a connection, or to a hub that cannot take it now, goes later, once with all that came meanwhile', async () => {
  const { at, call } = await working(['1', '2', '3'], 3)
  const { job } = call('1')
  void job.log('before')
  ;(await at.next('progress')).refuse('storage_full', 500)
  await pass()
  const waits = job.progress(1)
  void job.log('meanwhile')
  const kept: unknown[] = []
  waits.then((value) => kept.push(value))
  await pass(499)
  expect(await at.waiting()).toEqual([])
  await pass(101)
  const again = await at.next('progress')
  expect(again.args[1]).toEqual([
    { ...of('1'), value: 1, log: 'before' },
    { ...of('1'), log: 'meanwhile' },
  ])
  await at.cut()
  for (let i = 0; i < 1_000; i++) void job.progress(i)
  void call('2').job.log('other')
  await pass(1_000)
  // A lease that ends meanwhile leaves nobody waiting.
  const gone = call('3').job.progress(1)
  at.worker.lostJobs(['3'])
  expect(await gone).toBe(false)
  expect(kept).toEqual([])
  at.join()
  await at.consuming({ held: [held('1'), held('2')] })
  expect(await told(at)).toEqual([
    { ...of('1'), value: 999, log: 'before' },
    { ...of('1'), log: 'meanwhile' },
    { ...of('2'), log: 'other' },
  ])
  expect(kept).toEqual([true])
  // One of a packet is at fault: the others do not pay for it.
  void job.log('bad')
  void call('2').job.log('good')
  await pass(100)
  ;(await at.next('progress')).refuse('too_large')
  await pass(100)
  const bad = await at.next('progress')
  expect(bad.args[1]).toEqual([{ ...of('1'), log: 'bad' }])
  bad.refuse('too_large')
  await pass(100)
  expect(await told(at)).toEqual([{ ...of('2'), log: 'good' }])
  const closed = at.worker.close({ drainMs: 0 })
  const late = call('2').job.progress(1)
  expect(await told(at, ['lost'])).toEqual([{ ...of('2'), value: 1 }])
  await pass(2_000)
  await closed
  expect(await late).toBe(false)
})

function held(id: string) {
  return { ...of(id), expiresAt: 30_000 }
}
