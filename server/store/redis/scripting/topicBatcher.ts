/** What goes to the script of a topic. Owns birth and what else takes more than one call, and what a full or forgetful server means. */

import { RepriseError } from '../../../../shared/errors.ts'
import { acksLast } from '../../acksLast.ts'
import { WAIT_MS } from '../../contract/basics.ts'
import { newEpoch } from '../../token.ts'
import { failure, storageFull } from '../connection/errors.ts'
import { type StoreEpochs, storeEpochs } from '../topics/epochs.ts'
import { partsOf, type Row, rowsOf } from './appendBatch.ts'
import { Batcher, type BatcherContext, tell, type Waiting } from './batcher.ts'
import { TOPIC } from './loader.ts'
import { type Joinable, know } from './topicCodec.ts'

const BOUNDS = { operations: 1_024, size: 6_000, bytes: 512 * 1024, underWay: 1 }
/** Calls that one batch may take: each birth after a drop takes two more. */
const MAX_ROUNDS = 4 * BOUNDS.operations

type Call = Waiting<Joinable>
type Reply = [Buffer, Buffer, Buffer, Buffer, Buffer, Buffer[][]]

export class TopicBatcher extends Batcher<Joinable> {
  constructor(context: BatcherContext) {
    super(context, BOUNDS, TOPIC)
  }

  /** At once: whoever publishes alone waits for nobody. */
  protected override begin(start: () => void): void {
    queueMicrotask(start)
  }

  protected override order(waiting: Call[]): Call[] {
    const { others, acks } = acksLast(waiting, ({ operation }) => operation)
    return [...others, ...acks.flat()]
  }

  protected override async do(topic: string, calls: readonly Call[]): Promise<() => void> {
    let rest = calls
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
        try {
          if (dropped) {
            await this.#forgetName(topic, born)
            await this.#epochs({ after: dead, noted: run })
            registered = false
          } else if (registered && born && epochs !== undefined) {
            // Another node may have dropped a topic of this name meanwhile, and taken the name away.
            await this.#nameIsNew(topic)
            await this.#tellEpochs(topic, dead, epochs, full)
            epochs = undefined
          }
          // A name that was registered, and no birth came of it.
          if (registered && !born && stopped === '') await this.#forgetName(topic, born)
        } finally {
          // They are done, whatever becomes of what follows from them.
          rest = [...settle(done, outcomes, replicas), ...rest]
        }
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
    return () => {}
  }

  async #call(
    topic: string,
    rows: readonly Row<Call>[],
    deadline: number,
    epochs: StoreEpochs | undefined,
    full: boolean,
  ) {
    const { keys, run } = this.context
    const own = [run?.() ?? '', newEpoch(), epochs?.begun ?? '', epochs?.runs ?? '', epochs?.epochs ?? '']
    const answer = await this.write<Reply>(keys.topic(topic), full, own, rows, deadline)
    if (answer === 'full') return answer
    const { reply, replicas } = answer
    const [stopped, ran, dead, dueAt, born] = reply.slice(0, 5).map(String) as [string, string, string, string, string]
    return { stopped, run: ran, dead, dueAt, born: born === '1', outcomes: reply[5], replicas }
  }

  /** After a birth: readers that saw the topic unborn until then may have been told epochs that it was not born under. */
  async #tellEpochs(topic: string, dead: string, under: StoreEpochs, full: boolean): Promise<void> {
    try {
      const now = await this.#epochs({ after: dead })
      if (now.begun === under.begun) return
      const call: Call = { operation: know(), deadline: performance.now() + WAIT_MS, resolve() {}, reject() {} }
      await this.#call(topic, rowsOf([call]), call.deadline, now, full)
    } catch (error) {
      this.context.warn(`some readers of the new topic ${topic} may be told a reset`, failure(error))
    }
  }

  #epochs(wanted: Parameters<typeof storeEpochs>[2]): Promise<StoreEpochs> {
    return storeEpochs(this.context.router, this.context.keys.store, wanted)
  }

  /** Names stand in the list before the birth, so that no crash hides a topic. */
  async #nameIsNew(topic: string): Promise<boolean> {
    return (await this.command(this.context.keys.topics, 'ZADD', '0', topic)) === 1
  }

  async #forgetName(topic: string, born: boolean): Promise<void> {
    if (born) return
    const { keys } = this.context
    await this.command(keys.topics, 'ZREM', topic)
    // Another node may have seen it born meanwhile.
    if ((await this.command(keys.topic(topic), 'HEXISTS', 'epoch')) === 1) await this.#nameIsNew(topic)
  }

  /** The sweep looks at a topic when its first thing falls due. What is missed here is found with the next thing. */
  async #register(topic: string, dueAt: string): Promise<void> {
    const { keys, warn } = this.context
    try {
      await this.command(keys.due, 'ZADD', 'LT', dueAt, topic)
    } catch (error) {
      warn(`what expires in the topic ${topic} may stay longer than its time`, failure(error))
    }
  }
}

/** Gives the outcomes; answers the calls that have to be asked one by one, as nothing of their batch was done. */
function settle(done: readonly Row<Call>[], outcomes: readonly Buffer[][], replicas: number): Call[] {
  const again: Call[] = []
  done.forEach((row, i) => {
    const [first, ...others] = row.members
    const outcome = outcomes[i] ?? []
    if (first === undefined) return
    if (others.length === 0) {
      tell(first, outcome, replicas)
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
