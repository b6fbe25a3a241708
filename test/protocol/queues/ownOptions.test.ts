/** Jobs that say themselves how often and when they are tried again and how long they are kept: end to end. */

import { expect, test } from 'vitest'
import { connect } from '../../../client/index.ts'
import { joinQueues } from '../../support/clients/jobs.ts'
import { queueCalls } from '../../support/clients/queueCalls.ts'
import { startHub } from '../../support/hub/hub.ts'
import { until } from '../../support/until.ts'

test('a run takes no longer than its job says, over the plain wire, HTTP and the SDK, and fails with that', async () => {
  const { url } = await startHub()
  const hub = connect(url)
  const queue = hub.queue('runs')
  const runMs = 1_500
  const error = `ran longer than its runMs of ${runMs} ms`
  try {
    const receipts = await queue.sendAll([1, 2, 3].map((data) => ({ data, attempts: 1, runMs })))
    const [wired = '', claimed = '', worked = ''] = receipts.map(({ id }) => id)
    expect(await queue.job(wired)).toMatchObject({ runMs })

    const wire = await joinQueues(url, { client: 'plain' })
    await wire.consume('runs', { credit: 1 })
    const [job] = await wire.jobsSeen(1)
    expect(job).toMatchObject({ id: wired, runMs })
    await wire.value('cancel', 'runs')
    const longer = (one: { readonly id: string; readonly lease: string } | undefined) =>
      ({ id: one?.id ?? '', lease: one?.lease ?? '', as: 'extend', leaseMs: 60_000 }) as const
    expect(await wire.settle('runs', longer(job))).toEqual([{ expiresAt: job?.expiresAt }])

    const { claim, settle } = queueCalls(url)
    const [other] = await claim('runs', { leaseMs: 60_000 })
    expect(other).toMatchObject({ id: claimed, runMs })
    expect(await settle('runs', longer(other))).toEqual([{ expiresAt: other?.expiresAt }])

    const told: unknown[] = []
    const worker = queue.consume(
      ({ signal }) =>
        new Promise((resolve) => {
          signal.addEventListener('abort', () => {
            told.push(signal.reason.message)
            resolve('late')
          })
        }),
    )
    worker.onError(({ then, job: { id } }) => told.push(then, id))
    const ended = await Promise.all([wired, claimed, worked].map((id) => queue.waitFor(id)))
    expect(ended).toEqual([1, 2, 3].map(() => ({ state: 'dead', error })))
    await until(() => told.length > 2)
    expect(told).toEqual([error, 'retry', worked])
    expect((await queue.job(worked))?.history.at(-1)).toMatchObject({ why: error })
    for (const wrong of [0, -1, Number.NaN, 1e12, '1s']) {
      await expect(queue.send(1, { runMs: wrong as number })).rejects.toMatchObject({ code: 'bad_request' })
    }
  } finally {
    await hub.close()
  }
})

test('a job has attempts, a backoff and a time of its own, over the SDK, HTTP and a schedule; bad ones are refused', async () => {
  const { url } = await startHub()
  const hub = connect(url)
  const queue = hub.queue('mails')
  const ask = async (method: string, path: string, body?: unknown) => {
    const init = { method, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) ?? null }
    const answer = await fetch(`${url}/v1/queues/${path}`, init)
    return { status: answer.status, ...((await answer.json()) as { readonly message?: string }) }
  }
  try {
    const backoff = { kind: 'fixed', ms: 1 } as const
    const receipts = await queue.sendAll([
      { data: 'twice', attempts: 2, backoff },
      { data: 'done', keepDone: false },
      { data: 'kept', keepDone: { ageMs: 3_600_000 } },
      { data: 'listed', attempts: 3, backoff: { kind: 'list', ms: [0.5, 2] } },
    ])
    const [twice = '', done = '', kept = '', listed = ''] = receipts.map(({ id }) => id)
    const own = { maxAttempts: 2, backoff: { kind: 'fixed', ms: 1 } }
    expect(await queue.job(twice)).toMatchObject({ attempts: 0, ...own })
    // What means nothing to a fixed one is not told.
    expect((await queue.job(twice))?.backoff).toEqual(backoff)
    expect(await ask('GET', `mails/jobs/${twice}`)).toMatchObject({ status: 200, attempts: 0, ...own })
    expect(await queue.job(done)).toMatchObject({ keepDone: false })
    const list = { backoff: { kind: 'list', ms: [1, 2] } }
    expect(await queue.job(listed)).toMatchObject(list)
    expect(await ask('GET', `mails/jobs/${listed}`)).toMatchObject(list)
    const runs: unknown[] = []
    const worker = queue.consume(({ data }) => {
      runs.push(data)
      if (data === 'twice' || data === 'listed') throw new Error('no')
    })
    worker.onError(() => {})
    expect((await queue.waitFor(twice)).state).toBe('dead')
    expect((await queue.waitFor(listed)).state).toBe('dead')
    expect((await queue.waitFor(kept)).state).toBe('done')
    expect(runs.filter((data) => data === 'twice')).toHaveLength(2)
    expect(runs.filter((data) => data === 'listed')).toHaveLength(3)
    await worker.close()
    expect(await queue.job(twice)).toMatchObject({ state: 'dead', attempts: 2, ...own })
    expect([await queue.job(done), (await queue.job(kept))?.state]).toEqual([undefined, 'done'])

    await queue.schedule('daily', { cron: '0 9 * * *', draft: { data: 1, attempts: 3, keepDone: false } })
    const { id } = await queue.runSchedule('daily')
    expect(await queue.job(id)).toMatchObject({ maxAttempts: 3, keepDone: false })

    const refused = async (fields: object) => {
      const { status, message } = await ask('POST', 'mails/jobs', { data: 1, ...fields })
      return [status, message]
    }
    for (const [fields, text] of [
      [{ attempts: 0 }, /attempts/],
      [{ attempts: 1.5 }, /attempts/],
      [{ backoff: 1_000 }, /backoff: is \{ kind: 'fixed' \| 'exponential', ms, maxMs\? \} or \{ kind: 'list'/],
      [{ backoff: { kind: 'linear', ms: 1 } }, /kind is 'fixed', 'exponential' or 'list'/],
      [{ backoff: { kind: 'fixed' } }, /backoff\.ms/],
      [{ backoff: { kind: 'fixed', ms: -1 } }, /backoff\.ms/],
      [{ backoff: { kind: 'fixed', ms: [1] } }, /backoff\.ms/],
      [{ backoff: { kind: 'list', ms: 5 } }, /backoff\.ms: of a list: is a list of 1 to 32 times/],
      [{ backoff: { kind: 'list', ms: [] } }, /backoff\.ms: of a list: is a list of 1 to 32 times/],
      [{ backoff: { kind: 'list', ms: Array(33).fill(1) } }, /backoff\.ms: of a list: is a list of 1 to 32 times/],
      [{ backoff: { kind: 'list', ms: [1, -1] } }, /each 0 or more/],
      [{ backoff: { kind: 'list', ms: [1, 1e12] } }, /draft 0 has a backoff of more than a year/],
      [{ backoff: { kind: 'fixed', ms: 1e12 } }, /draft 0 has a backoff of more than a year/],
      [{ backoff: { kind: 'exponential', ms: 9, maxMs: 8 } }, /maxMs, 8, is less than its ms, 9/],
      [{ keepDone: true }, /keepDone: is false or \{ ageMs\? \}/],
      [{ keepDone: { ageMs: -1 } }, /keepDone/],
    ] as const) {
      expect(await refused(fields)).toEqual([400, expect.stringMatching(text)])
    }
    expect(await refused({ backoff: { kind: 'fixed', ms: 1, times: 3 } })).toEqual([
      426,
      expect.stringMatching(/backoff: this hub does not know "times"/),
    ])
    const wrongly = (backoff: unknown) => queue.send(1, { backoff: backoff as never })
    await expect(wrongly({ type: 'fixed', delay: 1 })).rejects.toThrow("kind is 'fixed', 'exponential' or 'list'")
    const huge = { kind: 'list', ms: Array(1e6).fill(1) }
    await expect(wrongly(huge)).rejects.toThrow('backoff has more than 1024 bytes')
    await expect(wrongly({ kind: 'fixed', ms: 1n })).rejects.toThrow('neither JSON nor binary can carry bigint')
    await expect(queue.send(1, { maxAttempts: 2 } as never)).rejects.toThrow('here it is attempts')
  } finally {
    await hub.close()
  }
})
