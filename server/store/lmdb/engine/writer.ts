/**
 * The one that writes. Collects the calls of a turn and those that come while a commit is under way, plans them together
 * and commits them as one transaction. Owns the environment's life: after a failed commit it opens the environment anew,
 * as the driver cannot be trusted to write again.
 */

import { setImmediate as fireTimers } from 'node:timers/promises'
import { RepriseError } from '../../../../shared/errors.ts'
import { acksLast, type CursorCall, type Group } from '../../acksLast.ts'
import type { JobLoss, Notification, QueueNotification } from '../../contract/store.ts'
import { DamagedQueue } from '../../damage.ts'
import { storeClosed } from '../../refusals.ts'
import { newEpoch } from '../../token.ts'
import { QueueCache } from '../queues/storage/cache.ts'
import type { DataFile } from './dataFile.ts'
import { CommitFailure, type Environment, NoRoom, type Write } from './environment.ts'
import { collectGarbage } from './garbage.ts'
import type { Listeners } from './listeners.ts'
import type { Space } from './space.ts'
import { Transaction } from './transaction.ts'

/** Planning stops after this, so that a large pile of calls does not hold the event loop. */
const PLANNING_MS = 8
/** That of acknowledgements, which have a part of every commit. */
const ACKS_PLANNING_MS = 4

/** Records of garbage that one commit removes: as many as hold nobody up, fewer where the disk has no room for more. */
const GARBAGE_PART = 256
const SMALLEST_GARBAGE_PART = 4

interface Call extends CursorCall {
  readonly step: (transaction: Transaction) => unknown
  readonly resolve: (value: never) => void
  readonly reject: (error: RepriseError) => void
  /** A commit with it has failed before. */
  tried: boolean
  /** What it met damaged was mended for it. */
  mended?: boolean
}

interface Outcome {
  readonly call: Call
  readonly usedRoom: boolean
  settle(): void
}

export interface WriterContext {
  readonly open: () => Promise<Environment>
  readonly now: () => number
  readonly space: Space
  readonly file: DataFile
  readonly listeners: Listeners<Notification>
  readonly queueWatches: Listeners<QueueNotification>
  readonly warn: (message: string, cause?: unknown) => void
  readonly lost: (queue: string, loss: JobLoss) => void
  readonly committed: (ms: number) => void
  /** Makes anew what does not fit in a queue. */
  readonly mend: (transaction: Transaction, queue: string) => void
}

export class Writer {
  readonly #context: WriterContext
  #environment: Environment | undefined
  #opening = newEpoch()
  #queues = new QueueCache()
  #queue: Call[] = []
  /** What failed beside calls that needed room, to be tried without such calls. */
  #again: Call[] = []
  #running: Promise<void> | undefined
  #reopening: Promise<void> | undefined
  #garbage = true
  #garbagePart = GARBAGE_PART
  #closed = false
  #wrong: string | undefined

  constructor(environment: Environment, context: WriterContext) {
    this.#environment = environment
    this.#context = context
    // What the last opening left is collected without waiting for a call.
    this.#start()
  }

  refuseClosed(): void {
    if (this.#closed) throw storeClosed()
  }

  get now(): number {
    return Math.floor(this.#context.now())
  }

  /** Resolves with what `step` answers when all that it planned is on disk. `step` checks everything, then plans. */
  write<T>(step: (transaction: Transaction) => T, about?: CursorCall): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.refuseClosed()
      this.#queue.push({ ...about, step, resolve, reject, tried: false })
      this.#start(about?.ack === undefined ? turnEnd : fireTimers)
    })
  }

  /** Reads of one moment; `reading` may not wait. */
  async read<T>(reading: (environment: Environment) => T): Promise<T> {
    this.refuseClosed()
    if (this.#reopening !== undefined) await this.#reopening
    if (this.#environment === undefined) throw new RepriseError('unavailable', 'the data folder cannot be opened')
    if (this.#context.file.isCut) throw new RepriseError('unavailable', this.#look() ?? '')
    try {
      return reading(this.#environment)
    } catch (error) {
      throw asRepriseError(error)
    }
  }

  readWithTime<T>(reading: (environment: Environment, now: number) => T): Promise<T> {
    return this.read((environment) => reading(environment, this.now))
  }

  /** Who comes while nothing is done waits for what came with it, and not for another turn: `gathered` tells when. */
  #start(gathered: () => Promise<void> = fireTimers): void {
    this.#running ??= this.#run(gathered).finally(() => {
      this.#running = undefined
      if (this.#queue.length > 0) this.#start()
    })
  }

  async #run(gathered: () => Promise<void>): Promise<void> {
    // Calls of this turn belong together, those of clients that have just got their answer among them.
    for (await gathered(); ; await fireTimers()) {
      if (this.#garbage && !this.#closed) this.#collect()
      if (this.#queue.length + this.#again.length === 0) return
      await this.#context.space.check(() => this.#environment?.freeBytes(this.#context.file.length) ?? 0)
      await this.#commit()
    }
  }

  /** A part of the garbage goes with every commit, so that it shrinks under load, too. */
  #collect(): void {
    this.#garbage = false
    const part = this.#garbagePart
    const resolve = (more: boolean): void => {
      this.#garbage ||= more
      this.#garbagePart = Math.min(part * 2, GARBAGE_PART)
    }
    const reject = (error: RepriseError): void => {
      // Removing needs a few pages itself: a smaller part may find them.
      this.#garbage ||= part > SMALLEST_GARBAGE_PART
      this.#garbagePart = Math.max(Math.floor(part / 4), SMALLEST_GARBAGE_PART)
      if (error.code !== 'unavailable')
        this.#context.warn('what was trimmed could not be removed from the data folder', error)
    }
    this.#queue.push({ step: (transaction) => collectGarbage(transaction, part), resolve, reject, tried: false })
  }

  /** Garbage that could not be removed is tried again. */
  collectAgain(): void {
    this.#garbage = true
  }

  /** Whether there is garbage that the next commit will take from. */
  get isCollecting(): boolean {
    return this.#garbage
  }

  async #commit(): Promise<void> {
    const alone = this.#again.length > 0
    const calls = alone ? this.#again : this.#queue
    if (alone) this.#again = []
    else this.#queue = []
    const wrong = this.#look()
    if (wrong !== undefined) {
      for (const { reject } of calls) reject(new RepriseError('unavailable', wrong))
      return
    }
    const environment = this.#environment ?? (await this.#reopen())
    if (environment === undefined) {
      for (const { reject } of calls) reject(new RepriseError('unavailable', 'the data folder cannot be opened'))
      return
    }
    const { space, file, listeners, queueWatches } = this.#context
    const transaction = new Transaction(environment, this.#queues, {
      now: this.now,
      opening: this.#opening,
      hasRoom: space.hasRoom,
    })
    const outcomes = this.#transaction(transaction, calls)
    if (outcomes === undefined) return
    const writes = this.#complete(transaction, outcomes)
    if (writes === undefined) return
    const began = performance.now()
    try {
      await environment.commit(writes, space.isLow ? (bytes) => file.growTo(bytes) : undefined)
    } catch (error) {
      await this.#recover(error, outcomes)
      return
    }
    this.#context.committed(performance.now() - began)
    transaction.keepQueues()
    this.#garbage ||= transaction.leftGarbage
    const lost = this.#look()
    if (lost !== undefined) {
      for (const { call } of outcomes) call.reject(new RepriseError('unavailable', lost))
      return
    }
    for (const { topic, notification } of transaction.notifications) listeners.tell(topic, notification)
    for (const { queue, notification } of transaction.queueNotifications) queueWatches.tell(queue, notification)
    for (const { queue, loss } of transaction.losses) this.#context.lost(queue, loss)
    for (const { settle } of outcomes) settle()
  }

  /** What is wrong with the data file; told when it changes. */
  #look(): string | undefined {
    const { file, warn, listeners, queueWatches } = this.#context
    const { wrong } = file
    if (wrong === this.#wrong) return wrong
    this.#wrong = wrong
    warn(wrong ?? 'data.mdb is there again: the hub goes on')
    if (wrong === undefined) {
      // What was committed last before it was missed is in it, and nobody was told.
      listeners.tellAll({ kind: 'lost' })
      queueWatches.tellAll({ kind: 'lost' })
    }
    return wrong
  }

  /** Plans calls in their order, acknowledgements last; those it has no time for go back to the queue. */
  #transaction(transaction: Transaction, calls: readonly Call[]): Outcome[] | undefined {
    const outcomes: Outcome[] = []
    const left: Call[] = []
    const { others, acks } = acksLast(calls, (call) => call)
    const groups = [...others.map((call): Group<Call> => [call]), ...acks]
    let ends = performance.now() + PLANNING_MS
    for (const group of groups) {
      const [call] = group
      if (group === acks[0]) ends = performance.now() + ACKS_PLANNING_MS
      else if (outcomes.length > 0 && performance.now() > ends) {
        left.push(...group)
        continue
      }
      try {
        const { value, usedRoom } = transaction.plan(call.step)
        for (const call of group) outcomes.push({ call, usedRoom, settle: () => call.resolve(value as never) })
      } catch (error) {
        if (error instanceof RepriseError && group.length > 1) {
          groups.push(...group.map((call): Group<Call> => [call]))
          continue
        }
        if (error instanceof DamagedQueue && call.mended !== true) {
          this.#putBack([this.#mending(error.queue, call), ...calls])
          return undefined
        }
        if (!(error instanceof RepriseError)) {
          // It may have planned a part of itself: everything is planned again without it.
          call.reject(asRepriseError(error))
          this.#putBack(calls.filter((other) => other !== call))
          return undefined
        }
        // Answered after the commit, too: what it was refused for may be planned and not stored yet.
        outcomes.push({ call, usedRoom: false, settle: () => call.reject(error) })
      }
    }
    this.#putBack(left)
    return outcomes
  }

  /** What is to be written; `undefined` where damage was met at the end, and all is planned again. */
  #complete(transaction: Transaction, outcomes: readonly Outcome[]): readonly Write[] | undefined {
    try {
      return transaction.writes()
    } catch (error) {
      const calls = outcomes.map(({ call }) => call)
      const first = calls.find(({ mended }) => mended !== true)
      if (error instanceof DamagedQueue && first !== undefined) {
        this.#putBack([this.#mending(error.queue, first), ...calls])
      } else for (const { reject } of calls) reject(asRepriseError(error))
      return undefined
    }
  }

  /** Goes before the call that met the damage. */
  #mending(queue: string, call: Call): Call {
    call.mended = true
    const reject = (error: RepriseError): void => this.#context.warn(`queue ${queue} could not be mended`, error)
    return {
      step: (transaction) => this.#context.mend(transaction, queue),
      resolve: () => {},
      reject,
      tried: call.tried,
      mended: true,
    }
  }

  /** Each to where it came from, before what has come since. */
  #putBack(calls: readonly Call[]): void {
    this.#again = [...calls.filter(({ tried }) => tried), ...this.#again]
    this.#queue = [...calls.filter(({ tried }) => !tried), ...this.#queue]
  }

  /** Nothing of the commit is stored. What needed room is refused, the rest is tried once more without it. */
  async #recover(error: unknown, outcomes: readonly Outcome[]): Promise<void> {
    const { space, warn } = this.#context
    const full = error instanceof CommitFailure && error.full
    warn(full ? 'the disk has no room for a commit' : 'a commit failed', error)
    space.doubt()
    const text = full ? "the store's disk is full" : 'the store could not write'
    for (const { call, usedRoom } of outcomes) {
      if (!usedRoom && !call.tried) {
        call.tried = true
        this.#again.push(call)
      } else call.reject(new RepriseError(full ? 'storage_full' : 'unavailable', text, { cause: error }))
    }
    if (!(error instanceof NoRoom)) await this.#reopen()
  }

  async #reopen(): Promise<Environment | undefined> {
    const old = this.#environment
    this.#environment = undefined
    const reopening = (async () => {
      await old?.close()
      const wrong = this.#look()
      if (wrong !== undefined) throw new Error(wrong)
      this.#environment = await this.#context.open()
      this.#opening = newEpoch()
      this.#queues = new QueueCache()
    })().catch((error: unknown) => this.#context.warn('the data folder cannot be opened', error))
    this.#reopening = reopening
    await reopening
    this.#reopening = undefined
    return this.#environment
  }

  /** Finishes what was accepted. */
  async close(): Promise<void> {
    this.#closed = true
    while (this.#running !== undefined) await this.#running
    // Of a file that was cut off nothing may be touched.
    if (!this.#context.file.isCut) await this.#environment?.close()
    this.#environment = undefined
    this.#context.file.close()
  }
}

/** All that one packet or one call brought is there. */
const turnEnd = () => new Promise<void>((resolve) => queueMicrotask(() => process.nextTick(resolve)))

function asRepriseError(error: unknown): RepriseError {
  if (error instanceof RepriseError) return error
  return new RepriseError('internal', 'the store met an error that it does not know', { cause: error })
}
