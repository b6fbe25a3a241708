import { describe, expect, it, vi } from 'vitest'
import { type HeldJob, RepriseError } from '../../../client/index.ts'
import { desk, kept, pass, working } from '../../support/sdk/workerDesk.ts'

const never = () => new Promise<void>(() => {})

describe('the end of a worker', () => {
  it('by a refusal of the hub fires every signal, with the reason', async () => {
    const { worker, call, at } = await working(['1', '2'], 2)
    worker.refused(new RepriseError('taken_over', 'a newer one'))
    for (const id of ['1', '2']) expect(call(id).signal.reason).toMatchObject({ code: 'taken_over' })
    expect(await worker.ended).toMatchObject({ code: 'taken_over' })
    call('1').finish()
    call('2').fail(new Error('no'))
    await pass(100_000)
    expect(await at.waiting()).toEqual([])
    expect(worker.running).toBe(0)
    expect(at.detached).toBe(1)
  })

  it('by close: takes no more, waits for what runs, gives back what waits', async () => {
    const { worker, call, next, settle, begun } = await working(['1', '2'])
    const closed = worker.close()
    const again = worker.close()
    const cancel = await next('cancel')
    expect(worker.status).toEqual({ state: 'closing' })
    expect(await settle()).toMatchObject([{ id: '2', as: 'release' }])
    cancel.reply(null)
    await pass(500)
    expect(call('1').signal.aborted).toBe(false)
    call('1').finish()
    expect(await settle()).toMatchObject([{ id: '1', as: 'done' }])
    await Promise.all([closed, again])
    expect(vi.getTimerCount()).toBe(0)
    expect(await worker.ended).toEqual({ code: 'closed' })
    expect(begun).toEqual(['1'])
  })

  it('by close: what runs longer than its limit is given back, and its signal fires', async () => {
    const { worker, call, next, settle, waiting } = await working(['1'])
    void worker.close()
    ;(await next('cancel')).reply(null)
    await pass(999)
    expect(call('1').signal.aborted).toBe(false)
    await pass(1)
    expect(call('1').signal.reason).toMatchObject({ code: 'unavailable', message: 'the worker was closed' })
    expect(await settle()).toMatchObject([{ id: '1', as: 'release' }])
    expect(await worker.ended).toEqual({ code: 'closed' })
    call('1').finish('late')
    await pass(10_000)
    expect(await waiting()).toEqual([])
  })

  it('by close: what was given back is not settled again, though the answer is still on its way', async () => {
    const { worker, call, next, waiting } = await working(['1'])
    void worker.close()
    ;(await next('cancel')).reply(null)
    await pass(1_000)
    const release = await next('settle')
    call('1').finish('late')
    expect(await waiting()).toEqual([])
    release.reply(['ok'])
    await worker.ended
  })

  it('by close: a signal that is asked for only then has fired', async () => {
    let job: HeldJob | undefined
    const at = desk((one) => {
      job = one
      return never()
    })
    await at.start()
    await at.jobs('1')
    void at.worker.close()
    await pass(1_000)
    expect(job?.signal.reason).toMatchObject({ code: 'unavailable' })
    expect(await job?.extend()).toBe(false)
  })

  it('by close: leases of what runs are renewed while it waits', async () => {
    const { worker, settle, next, call } = await working(['1'], 1, 60_000)
    void worker.close()
    ;(await next('cancel')).reply(null)
    await pass(10_000)
    expect(await settle()).toMatchObject([{ as: 'extend' }])
    expect(call('1').signal.aborted).toBe(false)
  })

  it('by close: what the hub had handed out before it knew goes back', async () => {
    const { worker, next, jobs, settle, begun, call } = await working(['1'])
    call('1').finish()
    await settle()
    const closed = worker.close()
    const cancel = await next('cancel')
    await jobs('2')
    expect(await settle()).toMatchObject([{ id: '2', as: 'release' }])
    await pass(500)
    expect(worker.status.state).toBe('closing')
    cancel.reply(null)
    await closed
    expect(begun).toEqual(['1'])
  })

  it('by close: does not wait for a hub that says nothing longer than it should', async () => {
    const { worker, next } = await working([])
    void worker.close()
    await next('cancel')
    await pass(1_000)
    expect(await worker.ended).toEqual({ code: 'closed' })
  })

  it('by close, without a connection: waits for one, and then tells what became of its jobs', async () => {
    const { at, worker, cut, settle, call } = await working(['1', '2'])
    await cut()
    void worker.close()
    await pass(100)
    expect(worker.status.state).toBe('closing')
    at.join()
    // Known again as the holder, and taking nothing.
    expect(await at.waiting()).toEqual(['consume', 'cancel', 'settle'])
    expect(await at.consuming({ held: [kept('1'), kept('2')] })).toMatchObject({
      credit: 1,
      holding: ['lease of 1', 'lease of 2'],
    })
    ;(await at.next('cancel')).reply(null)
    expect(await settle()).toMatchObject([{ id: '2', as: 'release' }])
    call('1').finish()
    expect(await settle()).toMatchObject([{ id: '1', as: 'done' }])
    expect(await worker.ended).toEqual({ code: 'closed' })
  })

  it('by close, without a connection, within its limit', async () => {
    const { worker, cut, waiting } = await working(['1'])
    await cut()
    void worker.close()
    await pass(1_010)
    expect(await worker.ended).toEqual({ code: 'closed' })
    await pass(100_000)
    expect(await waiting()).toEqual([])
  })

  it('by close, before there was a connection: at once', async () => {
    const at = desk(() => {})
    await at.worker.close()
    expect(at.worker.status).toMatchObject({ state: 'ended', reason: { code: 'closed' } })
    at.join()
    expect(await at.waiting()).toEqual([])
  })

  it('by close, while a consume that was refused waits: asks no more', async () => {
    const at = desk(() => {})
    at.join()
    ;(await at.next('consume')).refuse('unavailable', 500)
    await pass()
    void at.worker.close()
    ;(await at.next('cancel')).reply(null)
    await pass(10_000)
    expect(await at.waiting()).toEqual([])
  })

  it('by close, while a consume is refused: asks no more', async () => {
    const at = desk(() => {})
    at.join()
    const consume = await at.next('consume')
    void at.worker.close()
    consume.refuse('unavailable', 10)
    await pass(900)
    expect(await at.waiting()).toEqual(['cancel'])
  })

  it('by close, from a listener of its reports and from a handler', async () => {
    const { worker } = await working([])
    const seen: string[] = []
    worker.onStatus(({ state }) => {
      seen.push(state)
      void worker.close()
    })
    await Promise.all([worker.close(), pass(2_000)])
    expect(seen).toEqual(['closing', 'ended'])

    const at = desk(() => at.worker.close())
    await at.start()
    await at.jobs('1', '2')
    // It does not wait for itself: what it returns is done.
    expect(await at.settle()).toMatchObject([
      { id: '2', as: 'release' },
      { id: '1', as: 'done' },
    ])
    await pass(2_000)
    expect(await at.worker.ended).toEqual({ code: 'closed' })
  })

  it('jobs and words that come later do nothing', async () => {
    const { worker, jobs, begun, waiting, next } = await working([])
    void worker.close()
    ;(await next('cancel')).reply(null)
    await pass()
    await jobs('1')
    worker.lostJobs(['1'])
    worker.joined()
    expect(begun).toEqual([])
    expect(await waiting()).toEqual([])
  })
})
