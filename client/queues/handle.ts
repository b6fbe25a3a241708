/** A queue's handle: sends through its outbox, asks, works; owns the links that its further workers do this on. */

import { RepriseError } from '../../shared/errors.ts'
import type { JobDraft, LifeEvent, Sent } from '../../shared/queues.ts'
import type { ConnectOptions, Topic } from '../api.ts'
import { Deadline } from '../connection/deadline.ts'
import { Asking } from '../connection/retryingCall.ts'
import type { Warnings } from '../connection/warnings.ts'
import { drainMsOf, durationOf } from '../optionChecks.ts'
import { carrying } from '../outgoing/carrying.ts'
import { packedDraft } from '../outgoing/joining.ts'
import { checkSize, jobDraftOf, measureDraft, OF_PARENTS } from '../outgoing/measure.ts'
import { Outbox } from '../outgoing/outbox.ts'
import { randomName } from '../outgoing/randomName.ts'
import { marked } from '../outgoing/receipts.ts'
import { schedulesOf } from '../schedules/schedules.ts'
import { LifeListeners } from '../topics/lifeListeners.ts'
import type { Queue, RequestOptions, SendReceipt } from './api.ts'
import { callsOf, waitMsOf } from './calls.ts'
import { drainOf } from './draining.ts'
import { looksOf } from './looks.ts'
import type { QueuesLink, QueuesUser } from './namespace.ts'
import { QueueWorker } from './working/worker.ts'

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

export interface QueueHandle<T> extends Queue<T> {
  /** Whether this is asked in a handler of one of its workers. */
  readonly calling: boolean
  /** Closes, and resolves when that is done, wherever it is asked. Asked again, it may have less time. */
  closed(drainMs: number): Promise<void>
}

export function queueHandle<T>(name: string, context: QueueContext): QueueHandle<T> {
  const { link: shared, options, warnings } = context
  const defaultDrainMs = durationOf('drainMs', options.drainMs, 5_000)
  const life = new LifeListeners(name, () => context.life(), warnings)
  const workers = new Set<QueueWorker<T>>()
  let closing: Promise<void> | undefined
  const deadline = new Deadline()

  const checkOpen = () => {
    if (closing !== undefined) throw new RepriseError('unavailable', 'this handle was closed')
  }
  const asking = new Asking((givenUp) => shared.joined(givenUp))
  const calls = callsOf(name, shared, asking, options.readTimeoutMs, checkOpen)
  const outbox: Outbox<SendReceipt> = new Outbox(
    {
      get connected() {
        return shared.connected
      },
      get limits() {
        return shared.limits
      },
      open: () => shared.open(),
      send: async (drafts, row, again) => {
        const { ids, durability, duplicatesAt } = await calls.call<Sent>('send', drafts, row)
        outbox.durability = durability
        return marked(
          ids.map((id) => ({ id, durability })),
          again ? [] : duplicatesAt,
        )
      },
    },
    { maxDrafts: options.maxOutbox ?? 10_000, maxBytes: options.maxOutboxBytes ?? 16_777_216 },
  )
  const user: QueuesUser = {
    get busy() {
      return outbox.size + asking.size > 0
    },
    joined: () => outbox.joined(),
    refused: (error) => {
      // This ends workers only; sending may go on.
      if (error.code !== 'taken_over') outbox.fail(error)
      else if (outbox.size > 0) shared.open()
    },
  }
  shared.use(user)
  const looks = looksOf<T>(calls)

  const calling = () => [...workers].some((worker) => worker.calling)
  const closed = (drainMs: number) => {
    deadline.within(drainMs)
    for (const worker of workers) void worker.close({ drainMs })
    closing ??= leave()
    return closing
  }
  const close = async (given = {}) => {
    const over = closed(drainMsOf(given, closing ? Infinity : defaultDrainMs))
    if (!calling()) await over
  }

  async function leave(): Promise<void> {
    const error = new RepriseError('unavailable', 'the handle was closed before the hub answered')
    asking.fail(error)
    const endings = [...workers].map(({ ended }) => ended)
    await Promise.all([deadline.first([outbox.drained()]), life.close(), ...endings])
    deadline.end()
    outbox.fail(error)
    shared.unuse(user)
    context.closed()
  }

  return {
    name,
    ...looks,
    ...schedulesOf<T>(calls),
    drain: drainOf({
      ask: (timeoutMs, call) => calls.ask(call, timeoutMs),
      sent: () => outbox.drained(),
      counts: () => calls.call('counts'),
    }),

    async send(data, given) {
      checkOpen()
      if (given?.children !== undefined) {
        // In a call of its own: what fits in one with others is counted by drafts.
        const { timeoutMs, ...draft } = given
        const [receipt] = await looks.sendAll([{ data, ...draft }], timeoutMs === undefined ? {} : { timeoutMs })
        if (receipt === undefined) throw new Error('one draft has one receipt')
        return receipt
      }
      const draft = carrying(jobDraftOf('send', data, given))
      return await outbox.add(draft, measureDraft(draft), given?.timeoutMs)
    },

    async request<R>(data: T, given: RequestOptions = {}): Promise<R> {
      checkOpen()
      // Checked below, `null` too.
      const timeoutMs = waitMsOf('a request', given?.timeoutMs)
      // The same id every time: that is how a request is found again.
      const draft: JobDraft = carrying({ id: randomName(), ...jobDraftOf('request', data, given, OF_PARENTS) })
      const { bytes, attachments } = measureDraft(draft)
      const packed = packedDraft(draft, attachments)
      return await calls.ask(async (leftMs) => {
        checkSize(bytes, calls.limits)
        return await calls.call<R>('request', packed, { timeoutMs: leftMs })
      }, timeoutMs)
    },

    consume(handler, given = {}) {
      checkOpen()
      const own = shared.has(name) ? context.connect() : undefined
      const link = own?.link ?? shared
      let worker: QueueWorker<T>
      try {
        worker = new QueueWorker(handler, given, {
          queue: name,
          drainMs: defaultDrainMs,
          warnings,
          get connected() {
            return link.connected
          },
          call: (call, ...args) => link.call(call, ...args),
          get limits() {
            return link.limits
          },
          detach: () => {
            workers.delete(worker)
            link.detach(name, worker)
            own?.close()
          },
        })
      } catch (error) {
        own?.close()
        throw error
      }
      workers.add(worker)
      link.attach(name, worker)
      return worker
    },

    on(kind, handler) {
      checkOpen()
      return life.on(kind, handler as (event: LifeEvent) => unknown)
    },

    get calling() {
      return calling()
    },
    closed,
    close,
    [Symbol.asyncDispose]: () => close(),
  }
}
