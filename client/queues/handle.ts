/** A queue's handle: sends through its outbox, asks, works; owns the links that its further workers do this on. */

import { RepriseError } from '../../shared/errors.ts'
import { DEFAULT_LIMITS } from '../../shared/protocol.ts'
import type { JobDraft, LifeEvent, LifeKind, Sent } from '../../shared/queues.ts'
import type { ConnectOptions, Topic } from '../api.ts'
import { atMost, type CloseOptions } from '../connection/deadline.ts'
import { Asking } from '../connection/retryingCall.ts'
import type { Warnings } from '../connection/warnings.ts'
import { drainMsOf, durationOf } from '../optionChecks.ts'
import { carrying } from '../outgoing/carrying.ts'
import { packedDraft } from '../outgoing/joining.ts'
import { jobDraftOf, measureDraft, tooLarge } from '../outgoing/measure.ts'
import { Outbox } from '../outgoing/outbox.ts'
import { randomName } from '../outgoing/randomName.ts'
import { marked } from '../outgoing/receipts.ts'
import type { QueueSchedules } from '../schedules/api.ts'
import { schedulesOf } from '../schedules/schedules.ts'
import { LifeListeners } from '../topics/lifeListeners.ts'
import type { ConsumeOptions, Queue, RequestOptions, SendOptions, SendReceipt, Work, Worker } from './api.ts'
import { drainOf } from './draining.ts'
import { looksOf } from './looks.ts'
import type { QueuesLink } from './namespace.ts'
import { QueueWorker } from './working/worker.ts'

const REQUEST_MS = 30_000
const MAX_REQUEST_MS = 3_600_000

export interface QueueContext {
  /** Shared by all queues of the hub's handle. */
  readonly link: QueuesLink
  readonly options: ConnectOptions
  readonly warnings: Warnings
  /** A link of its own for a second worker, and how to be rid of it. */
  connect(): { readonly link: QueuesLink; close(): void }
  /** The topic with what happens to the jobs. */
  life(): Topic<LifeEvent>
  /** The handle has left the queue. */
  closed(): void
}

export class QueueHandle<T> implements Queue<T> {
  readonly name: string
  readonly schedule: QueueSchedules<T>['schedule']
  readonly schedules: QueueSchedules<T>['schedules']
  readonly getSchedule: QueueSchedules<T>['getSchedule']
  readonly runSchedule: QueueSchedules<T>['runSchedule']
  readonly removeSchedule: QueueSchedules<T>['removeSchedule']
  readonly sendAll: Queue<T>['sendAll']
  readonly job: Queue<T>['job']
  readonly jobs: Queue<T>['jobs']
  readonly counts: Queue<T>['counts']
  readonly pause: Queue<T>['pause']
  readonly resume: Queue<T>['resume']
  readonly waitFor: Queue<T>['waitFor']
  readonly drain: Queue<T>['drain']
  readonly #context: QueueContext
  readonly #outbox: Outbox<SendReceipt>
  readonly #asking: Asking
  readonly #workers = new Set<QueueWorker<T>>()
  readonly #life: LifeListeners
  readonly #user
  readonly #drainMs: number
  #closing: Promise<void> | undefined

  constructor(name: string, context: QueueContext) {
    this.name = name
    this.#context = context
    const { link, options } = context
    this.#life = new LifeListeners(name, () => context.life(), context.warnings)
    this.#drainMs = durationOf('drainMs', options.drainMs, 5_000)
    this.#asking = new Asking(() => link.joined())
    this.#outbox = new Outbox<SendReceipt>(
      {
        get connected() {
          return link.connected
        },
        get limits() {
          return link.limits
        },
        open: () => link.open(),
        send: async (drafts, row, again) => {
          const { ids, durability, duplicatesAt } = await link.call<Sent>('send', name, drafts, row)
          this.#outbox.durability = durability
          return marked(
            ids.map((id) => ({ id, durability })),
            again ? [] : duplicatesAt,
          )
        },
      },
      { maxDrafts: options.maxOutbox ?? 10_000, maxBytes: options.maxOutboxBytes ?? 16_777_216 },
    )
    const outbox = this.#outbox
    const asking = this.#asking
    this.#user = {
      get busy() {
        return outbox.size + asking.size > 0
      },
      joined: () => outbox.joined(),
      refused: (error: RepriseError) => {
        // This ends workers only; sending may go on.
        if (error.code !== 'taken_over') outbox.fail(error)
        else if (outbox.size > 0) link.open()
      },
    }
    link.use(this.#user)
    const schedules = schedulesOf<T>(name, {
      get limits() {
        return link.limits
      },
      ask: async (call) => {
        this.#checkOpen()
        let tries = 0
        return await asking.ask(options.readTimeoutMs ?? 10_000, () => call(++tries))
      },
      call: (call, ...args) => link.call(call, ...args),
    })
    const looks = looksOf<T>(name, {
      get limits() {
        return link.limits
      },
      ask: async (timeoutMs, call) => {
        this.#checkOpen()
        return await asking.ask(timeoutMs ?? options.readTimeoutMs ?? 10_000, call)
      },
      call: (call, ...args) => link.call(call, ...args),
    })
    this.sendAll = looks.sendAll
    this.job = looks.job
    this.jobs = looks.jobs
    this.counts = looks.counts
    this.pause = looks.pause
    this.resume = looks.resume
    this.waitFor = looks.waitFor
    this.drain = drainOf({
      ask: async (timeoutMs, call) => {
        this.#checkOpen()
        await asking.ask(timeoutMs, call)
      },
      sent: () => outbox.drained(),
      counts: () => link.call('counts', name),
    })
    this.schedule = schedules.schedule
    this.schedules = schedules.schedules
    this.getSchedule = schedules.getSchedule
    this.runSchedule = schedules.runSchedule
    this.removeSchedule = schedules.removeSchedule
  }

  send(data: T, options?: SendOptions): Promise<SendReceipt> {
    try {
      this.#checkOpen()
      if (options?.children !== undefined) return this.#sendFamily(data, options)
      const draft = carrying(jobDraftOf('send', data, options))
      return this.#outbox.add(draft, measureDraft(draft), options?.timeoutMs)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /** In a call of its own: what fits in one with others is counted by drafts. */
  async #sendFamily(data: T, { timeoutMs, ...options }: SendOptions): Promise<SendReceipt> {
    const [receipt] = await this.sendAll([{ data, ...options }], timeoutMs === undefined ? {} : { timeoutMs })
    if (receipt === undefined) throw new Error('one draft has one receipt')
    return receipt
  }

  async request<R = unknown>(data: T, options: RequestOptions = {}): Promise<R> {
    this.#checkOpen()
    // Checked below, `null` too.
    const { timeoutMs = REQUEST_MS } = options ?? {}
    if (!(durationOf('timeoutMs', timeoutMs, 0) >= 1 && timeoutMs <= MAX_REQUEST_MS)) {
      const text = `timeoutMs of a request is a number of milliseconds from 1 to an hour, ${MAX_REQUEST_MS}`
      throw new RepriseError('bad_request', text)
    }
    // The same id every time: that is how a request is found again.
    const draft: JobDraft = carrying({ id: randomName(), ...jobDraftOf('request', data, options) })
    const { bytes, attachments } = measureDraft(draft)
    const packed = packedDraft(draft, attachments)
    const { link } = this.#context
    return this.#asking.ask(timeoutMs, async (leftMs) => {
      const refusal = tooLarge(bytes, link.limits ?? DEFAULT_LIMITS)
      if (refusal !== undefined) throw refusal
      return await link.call<R>('request', this.name, packed, { timeoutMs: leftMs })
    })
  }

  async remove(id: string): Promise<boolean> {
    this.#checkOpen()
    const { link, options } = this.#context
    let tries = 0
    return this.#asking.ask(options.readTimeoutMs ?? 10_000, async () => {
      tries++
      const removed = await link.call<boolean>('remove', this.name, id)
      if (removed || tries === 1) return removed
      throw new RepriseError(
        'conflict',
        'the reply was lost, and the job is not there: whether it was removed is unknown',
      )
    })
  }

  consume(handler: Work<T>, options: ConsumeOptions = {}): Worker<T> {
    this.#checkOpen()
    const { link: shared } = this.#context
    const own = shared.has(this.name) ? this.#context.connect() : undefined
    const link = own?.link ?? shared
    let worker: QueueWorker<T>
    try {
      worker = new QueueWorker(handler, options, {
        queue: this.name,
        drainMs: this.#drainMs,
        warnings: this.#context.warnings,
        get connected() {
          return link.connected
        },
        call: (name, ...args) => link.call(name, ...args),
        get limits() {
          return link.limits
        },
        detach: () => {
          this.#workers.delete(worker)
          link.detach(this.name, worker)
          own?.close()
        },
      })
    } catch (error) {
      own?.close()
      throw error
    }
    this.#workers.add(worker)
    link.attach(this.name, worker)
    return worker
  }

  on<K extends LifeKind>(kind: K, handler: (event: LifeEvent & { readonly kind: K }) => unknown): () => void {
    this.#checkOpen()
    return this.#life.on(kind, handler as (event: LifeEvent) => unknown)
  }

  close(options: CloseOptions = {}): Promise<void> {
    const closed = this.closed(drainMsOf(options, this.#drainMs))
    return this.calling ? Promise.resolve() : closed
  }

  /** Closes, and resolves when that is done, wherever it is asked. */
  closed(drainMs: number): Promise<void> {
    this.#closing ??= this.#close(drainMs)
    return this.#closing
  }

  /** Whether this is asked in a handler of one of its workers. */
  get calling(): boolean {
    for (const worker of this.#workers) if (worker.calling) return true
    return false
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #close(drainMs: number): Promise<void> {
    const error = new RepriseError('unavailable', 'the handle was closed before the hub answered')
    this.#asking.fail(error)
    const drained = atMost(drainMs, [this.#outbox.drained()])
    const closings = [...this.#workers].map((worker) => {
      void worker.close({ drainMs })
      return worker.ended
    })
    await Promise.all([drained, this.#life.close(), ...closings])
    this.#outbox.fail(error)
    this.#context.link.unuse(this.#user)
    this.#context.closed()
  }

  #checkOpen(): void {
    if (this.#closing !== undefined) throw new RepriseError('unavailable', 'this handle was closed')
  }
}
