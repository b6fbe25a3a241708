/** Queues as callers use them: send, request, settle, look, manage. Knows who may; keeps nothing itself. */

import { randomBytes } from 'node:crypto'
import { hasCode, RepriseError } from '../../../shared/errors.ts'
import type { Limits, ProducerSeq } from '../../../shared/protocol.ts'
import type { JobReport, Reported } from '../../../shared/queues/progress.ts'
import type { JobDraft, Sent, Settled, Settlement } from '../../../shared/queues.ts'
import type {
  Answer,
  FinishedJob,
  FinishedQuery,
  JobInfo,
  JobsQuery,
  Keeping,
  PageQuery,
  QueueInfo,
  Store,
} from '../../store/contract/store.ts'
import { authorize, type Caller, refusalFor } from '../access.ts'
import { AtOnce } from '../atOnce.ts'
import type { StoreClock } from '../clock.ts'
import type { CallerLimits } from '../guards/callers.ts'
import type { Telemetry } from '../telemetry.ts'
import { itsTurn, PAGE_WEIGHT } from '../turns.ts'
import { countOf, elsewhereOf, queuesOf, readyOf, refusalOf } from './children.ts'
import type { Consumers } from './delivery/consumers.ts'
import type { JobClient } from './delivery/outlet.ts'
import { mergedReports } from './delivery/progress.ts'
import { checkQueue, storedJobs, storedSettlement } from './draft.ts'
import { dropUnused } from './drop.ts'
import { type Asker, type Ended, Requests } from './requests.ts'
import { type HubQueueSettings, keepingOf, policyOf, takenOf } from './settings.ts'

/** Pages of jobs under way in the store for all callers of this node: what is published waits behind them. */
const PAGES_AT_ONCE = 2
/** Queues that are looked at in one turn. */
const LIST_PAGE = 50

export interface QueuesContext {
  readonly store: Store
  readonly settings: HubQueueSettings
  readonly limits: Limits
  readonly callers: CallerLimits
  readonly clock: StoreClock
  readonly consumers: Consumers
  readonly telemetry: Telemetry
  /** Fires when the hub begins to drain. */
  readonly draining: AbortSignal
}

/** A full queue has room again when work is done: how soon a sender may ask again. */
const FULL_RETRY_MS = 1_000
const PURGE_PART = 500

function unknownQueue(queue: string): RepriseError {
  return new RepriseError('not_found', `there is no queue ${queue}: nothing was sent to it`)
}

/** How jobs are sent. */
interface Sending {
  /** Of a request. */
  readonly replyMs?: number
  readonly producer?: { readonly name: string; readonly seq: number }
}

export class Queues {
  readonly #context: QueuesContext
  readonly #requests: Requests
  readonly #pages = new AtOnce(PAGES_AT_ONCE)
  readonly #working = new Set<Promise<unknown>>()

  constructor(context: QueuesContext) {
    this.#context = context
    this.#requests = new Requests(context.store.queues, context.clock, context.draining)
  }

  get limits(): Limits {
    return this.#context.limits
  }

  /** The store's time. */
  get now(): number {
    return this.#context.clock.now
  }

  /** Resolves when the jobs are durable. All of them or none. */
  async send(caller: Caller, queue: string, drafts: readonly JobDraft[], row?: ProducerSeq): Promise<Sent> {
    checkQueue(queue, 'no dead')
    authorize(caller, 'send', queue)
    for (const name of queuesOf(drafts, queue)) {
      checkQueue(name, 'no dead')
      authorize(caller, 'send', name)
      // What becomes of it comes back to its parent.
      if (refusalFor(caller, 'read', name) !== undefined) authorize(caller, 'request', name)
    }
    return await this.#enqueue(
      caller,
      queue,
      drafts,
      row === undefined ? {} : { producer: { name: row.producer, seq: row.seq } },
    )
  }

  /** The reply's data. Rejects with `timeout`, `failed`, or what sending is refused with. */
  async request(caller: Caller, queue: string, draft: JobDraft, timeoutMs: number, asker: Asker): Promise<unknown> {
    checkQueue(queue, 'no dead')
    authorize(caller, 'request', queue)
    const named = draft.id === undefined ? { ...draft, id: randomBytes(9).toString('hex') } : draft
    const send = async () => {
      const { ids, duplicates } = await this.#enqueue(caller, queue, [named], { replyMs: timeoutMs })
      const [id = ''] = ids
      if (duplicates > 0) await this.#checkRequest(queue, id)
      return id
    }
    return await this.#requests.ask(queue, send, asker)
  }

  /** A job that was sent with this id has no answer to wait for. */
  async #checkRequest(queue: string, id: string): Promise<void> {
    const { queues } = this.#context.store
    if ((await queues.answer(queue, id)) !== undefined) return
    const ids = { ids: [id] }
    const [job] = [...(await queues.jobs(queue, ids)), ...(await queues.jobs(`${queue}/dead`, ids))]
    // Nothing is kept of requests when they have ended.
    const isSent = job === undefined ? (await queues.finished(queue, ids)).length > 0 : job.replyBy === undefined
    if (!isSent) return
    throw new RepriseError(
      'conflict',
      `the job ${id} was sent without asking for an answer: a request has an id of its own`,
    )
  }

  async #enqueue(caller: Caller, queue: string, drafts: readonly JobDraft[], how: Sending): Promise<Sent> {
    const { callers, telemetry } = this.#context
    const counted = callers.publishing(caller, countOf(drafts))
    if (counted !== undefined) await counted
    return await telemetry.spans.around('send', queue, drafts, (traced) => this.#store(caller, queue, traced, how))
  }

  async #store(
    { subject }: Caller,
    queue: string,
    drafts: readonly JobDraft[],
    { replyMs, producer }: Sending,
  ): Promise<Sent> {
    const { store, limits, settings, clock, consumers, telemetry } = this.#context
    const now = settings.forQueue(queue)
    const stored = storedJobs(queue, drafts, limits, (name) => settings.forQueue(name), clock.now)
    try {
      const refusal = await refusalOf(store, settings, elsewhereOf(stored))
      const sending = this.#busy(
        store.queues.enqueue(queue, {
          subject,
          drafts: replyMs === undefined ? stored : stored.map((draft) => ({ ...draft, replyMs: Math.ceil(replyMs) })),
          ...takenOf(now),
          ...refusal,
          ...(producer === undefined ? {} : { producer }),
        }),
      )
      const ready = readyOf(stored)
      if (ready > 0) consumers.sending(queue, ready)
      const { forgottenIds: ids, childIds = [], ...sent } = await sending
      if (ids !== undefined) telemetry.happened({ kind: 'idsForgotten', queue, subject, ids })
      telemetry.meter.sent(queue, drafts.length - sent.duplicates + childIds.length)
      return sent
    } catch (error) {
      if (!hasCode(error, 'too_many') || error.retryAfterMs !== undefined) throw error
      throw new RepriseError('too_many', error.message, { cause: error, retryAfterMs: FULL_RETRY_MS })
    }
  }

  async settle(
    caller: Caller,
    queue: string,
    settlements: readonly Settlement[],
    client?: JobClient,
  ): Promise<readonly Settled[]> {
    checkQueue(queue, 'dead')
    authorize(caller, 'consume', queue)
    const { consumers, telemetry } = this.#context
    const stored = settlements.map((settlement, index) => storedSettlement(settlement, index, this.limits))
    const settled = await this.#busy(consumers.settle(queue, stored, client))
    for (const [i, { as }] of settlements.entries()) {
      if (as !== 'extend' && settled[i] === 'ok') telemetry.meter.settled(queue, as)
    }
    return settled
  }

  /** What consumers tell of jobs that they hold. */
  async progress(caller: Caller, queue: string, given: readonly JobReport[]): Promise<readonly Reported[]> {
    checkQueue(queue, 'dead')
    authorize(caller, 'consume', queue)
    const { reports, answers } = mergedReports(given, this.limits)
    const policy = policyOf(this.#context.settings.forQueue(queue))
    return answers(await this.#busy(this.#context.store.queues.progress(queue, reports, policy)))
  }

  /** A waiting job is taken away: by its sender, or by whoever may manage the queue. */
  async remove(caller: Caller, queue: string, id: string): Promise<boolean> {
    checkQueue(queue, 'dead')
    // Who may neither learns nothing, also by the time that a look takes.
    if (refusalFor(caller, 'send', queue) !== undefined) authorize(caller, 'admin', queue)
    const [job] = await this.#context.store.queues.jobs(queue, { ids: [id] })
    if (job === undefined || job.subject !== caller.subject) authorize(caller, 'admin', queue)
    else authorize(caller, 'send', queue)
    return (await this.#busy(this.#context.store.queues.purge(queue, { ids: [id] }, this.#keeping(queue)))) > 0
  }

  /** Makes a delayed job ready at once; `false` where it was not delayed. */
  async runNow(caller: Caller, queue: string, id: string): Promise<boolean> {
    checkQueue(queue, 'dead')
    authorize(caller, 'admin', queue)
    return (await this.#busy(this.#context.store.queues.runNow(queue, [id]))) > 0
  }

  async info(caller: Caller, queue: string): Promise<QueueInfo> {
    const info = await this.known(caller, queue)
    if (info === undefined) throw unknownQueue(queue)
    return info
  }

  /** `undefined` where nothing was sent to it. */
  async known(caller: Caller, queue: string): Promise<QueueInfo | undefined> {
    checkQueue(queue, 'dead')
    authorize(caller, 'read', queue)
    const [info] = await this.#context.store.queues.list({ names: [queue] })
    return info
  }

  async list(caller: Caller, query: PageQuery): Promise<QueueInfo[]> {
    authorize(caller, 'admin', '*')
    const found: QueueInfo[] = []
    let { after } = query
    for (;;) {
      await itsTurn(PAGE_WEIGHT)
      const limit = Math.min(LIST_PAGE, query.limit - found.length)
      const page = await this.#context.store.queues.list({ after, limit })
      found.push(...page)
      after = page.at(-1)?.queue
      if (page.length < limit || found.length >= query.limit) return found
    }
  }

  /** As the store has them: in a state, in the line of a key, or by their ids. */
  async jobs(caller: Caller, queue: string, query: JobsQuery): Promise<JobInfo[]> {
    checkQueue(queue, 'dead')
    authorize(caller, 'read', queue)
    const { store } = this.#context
    if ('ids' in query) return await store.queues.jobs(queue, query)
    return await this.#pages.run(() => store.queues.jobs(queue, query))
  }

  /** Finished jobs of a queue, as the store has them: in a state, or by their ids. */
  async finished(caller: Caller, queue: string, query: FinishedQuery): Promise<FinishedJob[]> {
    checkQueue(queue, 'no dead')
    authorize(caller, 'read', queue)
    const { store } = this.#context
    if ('ids' in query) return await store.queues.finished(queue, query)
    return await this.#pages.run(() => store.queues.finished(queue, query))
  }

  /** What is kept for a request with this id, or for who waited for the end of a job. */
  async answer(caller: Caller, queue: string, id: string): Promise<Answer | undefined> {
    authorize(caller, 'read', queue)
    return await this.#context.store.queues.answer(queue, id)
  }

  /** What became of a job, as `look` finds it when it has ended. Rejects with `timeout` or `not_found`. */
  async ended(
    caller: Caller,
    queue: string,
    id: string,
    timeoutMs: number,
    asker: Asker,
    look: () => Promise<Ended | undefined>,
  ): Promise<Ended> {
    checkQueue(queue, 'no dead')
    authorize(caller, 'read', queue)
    return await this.#requests.ended(queue, id, timeoutMs, look, asker)
  }

  async pause(caller: Caller, queue: string, paused: boolean): Promise<void> {
    checkQueue(queue, 'dead')
    authorize(caller, 'admin', queue)
    await this.#context.store.queues.pause(queue, paused)
  }

  /** Removes what waits now; answers how many. */
  async purge(caller: Caller, queue: string): Promise<number> {
    checkQueue(queue, 'dead')
    authorize(caller, 'admin', queue)
    const { store } = this.#context
    const before = await store.ready()
    for (let removed = 0; ; ) {
      const part = await store.queues.purge(queue, { before, limit: PURGE_PART }, this.#keeping(queue))
      if (part === 0) return removed
      removed += part
    }
  }

  /** Moves these dead letters back; how many there were. */
  async redrive(caller: Caller, queue: string, ids: readonly string[]): Promise<number> {
    checkQueue(queue, 'no dead')
    authorize(caller, 'admin', queue)
    const { ttlMs } = this.#context.settings.forQueue(queue)
    return await this.#busy(this.#context.store.queues.redrive(queue, ids, { ttlMs }))
  }

  /** Forgets a queue that nobody uses. Rejects with `conflict` where somebody does, `not_found` where there is none. */
  async drop(caller: Caller, queue: string): Promise<void> {
    checkQueue(queue, 'no dead')
    authorize(caller, 'admin', queue)
    if (!(await this.#busy(dropUnused(this.#context.store.queues, queue)))) throw unknownQueue(queue)
  }

  #keeping(queue: string): Keeping {
    return keepingOf(this.#context.settings.forQueue(queue))
  }

  /** Resolves when nothing that was accepted is under way. */
  async idle(): Promise<void> {
    while (this.#working.size > 0) await Promise.allSettled(this.#working)
  }

  async #busy<T>(work: Promise<T>): Promise<T> {
    this.#working.add(work)
    try {
      return await work
    } finally {
      this.#working.delete(work)
    }
  }
}
