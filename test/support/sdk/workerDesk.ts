/** A worker over a scripted hub without sockets: every call waits for the test's answer, and time stands still unless it is moved. */

import { onTestFinished, vi } from 'vitest'
import { Warnings } from '../../../client/connection/warnings.ts'
import { RepriseError } from '../../../client/index.ts'
import type { ConsumeOptions, HeldJob, Work, WorkerStatus, WorkFailure } from '../../../client/queues/api.ts'
import { QueueWorker } from '../../../client/queues/working/worker.ts'
import { DEFAULT_LIMITS, type Limits } from '../../../shared/protocol.ts'
import type { Job, KeptLease, Settled, Settlement } from '../../../shared/queues.ts'

export interface DeskCall {
  readonly name: string
  readonly args: readonly unknown[]
  reply(value: unknown): void
  refuse(code: RepriseError['code'], retryAfterMs?: number): void
}

interface Granted {
  readonly held?: readonly KeptLease[]
  readonly leaseMs?: number
  readonly limits?: Limits
}

/** Timers and clocks of the test move by `pass` only. */
export function stopTime(): void {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
  onTestFinished(() => {
    vi.useRealTimers()
  })
}

/** So many milliseconds later; with none, when all that was begun has gone as far as it can. */
export async function pass(ms = 0): Promise<void> {
  await vi.advanceTimersByTimeAsync(ms)
}

/** A page for what is made from now on, as far as it can be hidden. */
export function fakePage() {
  const document = Object.assign(new EventTarget(), { visibilityState: 'visible' })
  Object.assign(globalThis, { document })
  onTestFinished(() => void Reflect.deleteProperty(globalThis, 'document'))
  const become = (visibilityState: 'visible' | 'hidden') => {
    document.visibilityState = visibilityState
    document.dispatchEvent(new Event('visibilitychange'))
  }
  return { hide: () => become('hidden'), show: () => become('visible') }
}

export function jobOf(id: string, more: Partial<Job> = {}): Job {
  const times = { sentAt: 0, expiresAt: 30_000 }
  return { queue: 'q', id, lease: `lease of ${id}`, attempts: 0, deliveries: 1, ...times, data: id, ...more }
}

interface ByHand {
  readonly job: HeldJob
  readonly signal: AbortSignal
  finish(value?: unknown): void
  fail(error: unknown): void
}

/** A handler that a test finishes: the calls by their job's id. */
export function handlerByHand() {
  const calls = new Map<string, ByHand>()
  const running = new Set<string>()
  const begun: string[] = []
  const handler: Work<unknown> = (job) => {
    const { id, signal } = job
    begun.push(id)
    running.add(id)
    const done = new Promise((resolve, reject) => calls.set(id, { job, signal, finish: resolve, fail: reject }))
    return done.finally(() => running.delete(id))
  }
  const call = (id: string) => {
    const found = calls.get(id)
    if (found === undefined) throw new Error(`no call for ${id}`)
    return found
  }
  return { handler, call, running, begun }
}

export function desk(handler: Work<unknown>, options: ConsumeOptions = {}, drainMs = 1_000) {
  stopTime()
  const calls: DeskCall[] = []
  const outstanding = new Set<(error: RepriseError) => void>()
  let connected = false
  let detached = 0
  let made = 0
  const call = (name: string, args: readonly unknown[]) => {
    if (!connected) return Promise.reject(new RepriseError('unavailable', 'not connected'))
    made++
    return new Promise<never>((resolve, reject) => {
      outstanding.add(reject)
      const refuse = (code: RepriseError['code'], retryAfterMs = 0) =>
        reject(new RepriseError(code, `scripted ${code}`, { retryAfterMs }))
      calls.push({ name, args, reply: (value) => resolve(value as never), refuse })
    })
  }
  const worker = new QueueWorker(handler, options, {
    queue: 'q',
    drainMs,
    get connected() {
      return connected
    },
    call: (name, ...args) => call(name, args),
    warnings: new Warnings(true),
    detach: () => {
      detached++
    },
  })
  const statuses: WorkerStatus[] = []
  const failures: { readonly id: string; readonly what: WorkFailure['then']; readonly error: unknown }[] = []
  worker.onStatus((status) => statuses.push(status))
  worker.onError(({ error, job, then: what }) => failures.push({ id: job.id, what, error }))

  /** The next call of this name that was made and not taken yet. */
  const next = async (name: string): Promise<DeskCall> => {
    await pass()
    const at = calls.findIndex((one) => one.name === name)
    if (at < 0) throw new Error(`no call ${name}; there are: ${calls.map((one) => one.name).join(', ')}`)
    return calls.splice(at, 1)[0] as DeskCall
  }
  const consuming = async ({
    held = [],
    leaseMs = options.leaseMs ?? 30_000,
    limits = DEFAULT_LIMITS,
  }: Granted = {}) => {
    const consume = await next('consume')
    const asked = consume.args[1] as { credit: number; holding?: string[]; leaseMs?: number }
    consume.reply({ queue: 'q', credit: asked.credit, leaseMs, limits, held })
    await pass()
    return asked
  }
  const join = () => {
    connected = true
    worker.joined()
  }
  return {
    worker,
    statuses,
    failures,
    next,
    consuming,
    join,
    /** Connected, and the consume answered. */
    start: async (granted: Granted = {}) => {
      join()
      return await consuming(granted)
    },
    /** The connection is lost, with all replies that were on their way. */
    cut: async () => {
      connected = false
      for (const reject of outstanding) reject(new RepriseError('unavailable', 'the connection was lost'))
      outstanding.clear()
      calls.length = 0
      worker.lost(new RepriseError('unavailable', 'the connection was lost'))
      await pass()
    },
    jobs: async (...jobs: readonly (Job | string)[]) => {
      worker.jobs(jobs.map((job) => (typeof job === 'string' ? jobOf(job) : job)))
      await pass()
    },
    /** Answers the next packet of settlements, `ok` where nothing else is said, and gives what was in it. */
    settle: async (answers: readonly Settled[] = []) => {
      const settle = await next('settle')
      const settlements = settle.args[1] as Settlement[]
      settle.reply(settlements.map((_, i) => answers[i] ?? 'ok'))
      await pass()
      return settlements
    },
    /** Names of the calls that wait. */
    waiting: async () => {
      await pass()
      return calls.map(({ name }) => name)
    },
    /** Calls ever made. */
    get made() {
      return made
    },
    get detached() {
      return detached
    },
  }
}

/** A lease as the hub says that it is kept. */
export const kept = (id: string): KeptLease => ({ id, lease: `lease of ${id}`, expiresAt: 30_000 })

/** A worker whose handlers are finished by hand, with its first jobs. */
export async function working(jobs: readonly string[], concurrency = 1, drainMs = 1_000) {
  const hand = handlerByHand()
  const at = desk(hand.handler, { concurrency }, drainMs)
  await at.start()
  await at.jobs(...jobs)
  return { ...at, ...hand, at }
}
