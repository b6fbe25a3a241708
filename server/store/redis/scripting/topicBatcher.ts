/**
 * The order of what one node does to one topic: a batch a topic, in which what has piled up goes as one call of the
 * script. Owns birth and what else takes more than one call, and what a full or forgetful server means.
 */

import { RepriseError } from '../../../../shared/errors.ts'
import type { JobLoss } from '../../contract/store.ts'
import type { Damage } from '../../damage.ts'
import type { Argument, Command } from '../connection/connection.ts'
import { closed, failure, isFull, storageFull } from '../connection/errors.ts'
import { type Router, WAIT_MS } from '../connection/router.ts'
import { newEpoch, type StoreEpochs, storeEpochs } from '../topics/epochs.ts'
import { partsOf, type Row, rowsOf } from './appendBatch.ts'
import type { Keys } from './keys.ts'
import { runScript, SCRIPTS } from './scripts.ts'
import { know, type Operation } from './topicCodec.ts'

/** What one call of the script may carry. */
const MAX_OPERATIONS = 1_024
const MAX_DRAFTS = 6_000
const MAX_BYTES = 512 * 1024
/** Calls that one batch may take: each birth after a drop takes two more. */
const MAX_ROUNDS = 4 * MAX_OPERATIONS

export interface LaneContext {
  readonly router: Router
  readonly keys: Keys
  /** A test's own clock. */
  readonly now: (() => number) | undefined
  /** A test's own, in place of the servers' runs. */
  readonly run: (() => string) | undefined
  readonly maxIds: number
  /** Replicas that a write waits for, and for how long. */
  readonly replicas: number
  readonly replicaWaitMs: number
  readonly damage: Damage
  readonly lost: (queue: string, loss: JobLoss) => void
  readonly warn: (message: string, cause?: unknown) => void
}

export interface Done<T> {
  readonly value: T
  /** Replicas that have it, where they are waited for. */
  readonly replicas: number
}

interface Waiting {
  readonly operation: Operation<unknown>
  readonly deadline: number
  /** Not to be joined with others: together they were refused. */
  alone?: boolean
  resolve(done: Done<unknown>): void
  reject(error: unknown): void
}

interface Batch {
  queue: Waiting[]
  running: boolean
}

export class TopicBatcher {
  readonly #context: LaneContext
  readonly #batcher = new Map<string, Batch>()
  #closed = false
  #idle: (() => void) | undefined

  constructor(context: LaneContext) {
    this.#context = context
  }

  run<T>(topic: string, operation: Operation<T>): Promise<Done<T>> {
    if (this.#closed) return Promise.reject(closed())
    let lane = this.#batcher.get(topic)
    if (lane === undefined) {
      lane = { queue: [], running: false }
      this.#batcher.set(topic, lane)
    }
    const own = lane
    return new Promise<Done<T>>((resolve, reject) => {
      const deadline = performance.now() + WAIT_MS
      own.queue.push({ operation, deadline, resolve: (done) => resolve(done as Done<T>), reject })
      if (own.running) return
      own.running = true
      queueMicrotask(() => void this.#drive(topic, own))
    })
  }

  /** Refuses what is new; resolves when what was accepted has its outcome. */
  async close(): Promise<void> {
    this.#closed = true
    if (this.#batcher.size > 0) {
      await new Promise<void>((resolve) => {
        this.#idle = resolve
      })
    }
  }

  async #drive(topic: string, lane: Batch): Promise<void> {
    while (lane.queue.length > 0) await this.#do(topic, nextBatch(lane))
    lane.running = false
    this.#batcher.delete(topic)
    if (this.#batcher.size === 0) this.#idle?.()
  }

  async #do(topic: string, batch: readonly Waiting[]): Promise<void> {
    let rest = batch
    try {
      let epochs: StoreEpochs | undefined
      let full = false
      let registered = false
      for (let round = 0; rest.length > 0; round++) {
        if (round > MAX_ROUNDS) throw new RepriseError('internal', 'a topic is not born, however often it is tried')
        const rows = rowsOf(rest)
        const answer = await this.#call(topic, rows, rest[0]?.deadline ?? 0, epochs, full)
        if (answer === 'full') {
          full = true
          continue
        }
        const { stopped, run, dead, dueAt, born, outcomes, replicas } = answer
        if (dueAt !== '') await this.#register(topic, dueAt)
        const done = rows.slice(0, outcomes.length)
        rest = rows.slice(outcomes.length).flatMap(({ members }) => members)
        const dropped = outcomes.some(([word]) => word?.toString() === 'dropped')
        if (dropped) {
          await this.#forgetName(topic, born)
          await this.#epochs({ after: dead, noted: run })
          registered = false
        } else if (registered && born && epochs !== undefined) {
          await this.#tellEpochs(topic, dead, epochs, full)
          epochs = undefined
        }
        // A name that was registered, and no birth came of it.
        if (registered && !born && stopped === '') await this.#forgetName(topic, born)
        rest = [...settle(done, outcomes, replicas), ...rest]
        if (stopped === 'full') throw storageFull()
        // A birth needs its name in the list first: these epochs are to be looked at, not to be born under.
        if (stopped === 'epochs') epochs = { ...(await this.#epochs({ after: dead })), runs: '' }
        if (stopped === 'birth') {
          const isNew = registered || (await this.#nameIsNew(topic))
          registered = true
          epochs = await this.#epochs({ after: dead, run })
          // It was born before and nothing tells that it was dropped: its keys were lost.
          if (!isNew) epochs = await this.#epochs({ after: epochs.begun, noted: run })
        }
      }
    } catch (error) {
      const reason = failure(error)
      for (const { reject } of rest) reject(reason)
    }
  }

  async #call(
    topic: string,
    rows: readonly Row<Waiting>[],
    deadline: number,
    epochs: StoreEpochs | undefined,
    full: boolean,
  ) {
    const { router, keys, now, run, maxIds, replicas: wanted, replicaWaitMs } = this.#context
    const args: Argument[] = [now === undefined ? '' : String(now()), run?.() ?? '', full ? '1' : '0', String(maxIds)]
    args.push(newEpoch(), epochs?.begun ?? '', epochs?.runs ?? '', epochs?.epochs ?? '')
    for (const row of rows) for (const arg of row.args) args.push(arg)
    const following: Command[] = wanted > 0 ? [['WAIT', String(wanted), String(replicaWaitMs)]] : []
    const script = full ? SCRIPTS.writeWhenFull : SCRIPTS.write
    let answers: unknown[]
    try {
      answers = await runScript(router, script, keys.topic(topic), args, deadline, following)
    } catch (error) {
      if (isFull(error) && !full) return 'full'
      throw error
    }
    const [reply, replicas = 0] = answers as [[Buffer, Buffer, Buffer, Buffer, Buffer, Buffer[][]], number?]
    const [stopped, ran, dead, dueAt, born] = reply.slice(0, 5).map(String) as [string, string, string, string, string]
    return { stopped, run: ran, dead, dueAt, born: born === '1', outcomes: reply[5], replicas }
  }

  /** After a birth: readers that saw the topic unborn until then may have been told epochs that it was not born under. */
  async #tellEpochs(topic: string, dead: string, under: StoreEpochs, full: boolean): Promise<void> {
    try {
      const now = await this.#epochs({ after: dead })
      if (now.begun === under.begun) return
      const call: Waiting = { operation: know(), deadline: performance.now() + WAIT_MS, resolve() {}, reject() {} }
      await this.#call(topic, rowsOf([call]), call.deadline, now, full)
    } catch (error) {
      this.#context.warn(`some readers of the new topic ${topic} may be told a reset`, failure(error))
    }
  }

  #epochs(wanted: Parameters<typeof storeEpochs>[2]): Promise<StoreEpochs> {
    return storeEpochs(this.#context.router, this.#context.keys.store, wanted)
  }

  /** Names stand in the list before the birth, so that no crash hides a topic. */
  async #nameIsNew(topic: string): Promise<boolean> {
    const { router, keys } = this.#context
    const command: Command = ['ZADD', keys.topics, '0', topic]
    return (await router.run(keys.topics, [command], performance.now() + WAIT_MS))[0] === 1
  }

  async #forgetName(topic: string, born: boolean): Promise<void> {
    if (born) return
    const { router, keys } = this.#context
    const deadline = performance.now() + WAIT_MS
    await router.run(keys.topics, [['ZREM', keys.topics, topic]], deadline)
    // Another node may have seen it born meanwhile.
    const [epoch] = await router.run(keys.topic(topic), [['HEXISTS', keys.topic(topic), 'epoch']], deadline)
    if (epoch === 1) await router.run(keys.topics, [['ZADD', keys.topics, '0', topic]], deadline)
  }

  /** The sweep looks at a topic when its first thing falls due. What is missed here is found with the next thing. */
  async #register(topic: string, dueAt: string): Promise<void> {
    const { router, keys, warn } = this.#context
    try {
      const command: Command = ['ZADD', keys.due, 'LT', dueAt, topic]
      await router.run(keys.due, [command], performance.now() + WAIT_MS)
    } catch (error) {
      warn(`what expires in the topic ${topic} may stay longer than its time`, failure(error))
    }
  }
}

function nextBatch(lane: Batch): Waiting[] {
  let size = 0
  let drafts = 0
  let count = 0
  for (const { operation } of lane.queue) {
    size += operation.bytes
    drafts += operation.drafts
    if (count > 0 && (count >= MAX_OPERATIONS || drafts > MAX_DRAFTS || size > MAX_BYTES)) break
    count++
  }
  const batch = lane.queue.slice(0, count)
  lane.queue = lane.queue.slice(count)
  return batch
}

/** Gives the outcomes; answers the calls that have to be asked one by one, as nothing of their batch was done. */
function settle(done: readonly Row<Waiting>[], outcomes: readonly Buffer[][], replicas: number): Waiting[] {
  const again: Waiting[] = []
  done.forEach((row, i) => {
    const [first, ...others] = row.members
    const outcome = outcomes[i] ?? []
    if (first === undefined) return
    if (others.length === 0) {
      try {
        first.resolve({ value: first.operation.read(outcome), replicas })
      } catch (error) {
        first.reject(failure(error))
      }
      return
    }
    const parts = partsOf(row, outcome)
    row.members.forEach((member, part) => {
      if (parts !== undefined) {
        member.resolve({ value: parts[part], replicas })
      } else {
        member.alone = true
        again.push(member)
      }
    })
  })
  return again
}
