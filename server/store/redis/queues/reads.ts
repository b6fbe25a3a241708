/** What can be read of a queue without waiting for its batcher. */

import { readBody } from '../../codec.ts'
import type { Answer, FinishedJob, FinishedQuery, JobInfo, JobsQuery, Owner, QueueInfo } from '../../contract/store.ts'
import { fullLife } from '../../life/life.ts'
import { ownerKey } from '../../owners.ts'
import type { Argument } from '../connection/connection.ts'
import type { Durable } from '../connection/durability.ts'
import type { Router } from '../connection/router.ts'
import type { Subscriptions } from '../connection/subscriptions.ts'
import type { Keys } from '../scripting/keys.ts'
import { askScript, QUEUE } from '../scripting/loader.ts'
import type { QueueBatcher } from '../scripting/queueBatcher.ts'
import { idWords, type Part, positionOf, reasonOf } from '../scripting/queueCodec.ts'
import { finishedJob } from './storage/finished.ts'
import { jobInfo } from './storage/records.ts'

export interface QueuesContext {
  readonly router: Router
  readonly keys: Keys
  readonly queueBatcher: QueueBatcher
  readonly subscriptions: Subscriptions
  readonly durable: Durable
  /** A test's own clock. */
  readonly now: (() => number) | undefined
  readonly warn: (message: string, cause?: unknown) => void
  refuseClosed(): void
}

/** Values of one job in an answer. */
const WIDTH = 10

export async function ask(
  context: QueuesContext,
  queue: string,
  args: readonly Argument[],
): Promise<(Buffer | null)[]> {
  const { router, keys, now } = context
  context.refuseClosed()
  const time = now === undefined ? '' : String(now())
  const reply = await askScript(router, QUEUE.read, keys.queue(queue), [time, ...args])
  return (reply as (Buffer | null)[]).slice(1)
}

export async function readSession(
  { router, keys, refuseClosed }: QueuesContext,
  name: string,
  part: Part,
  consumer: Owner,
): Promise<number> {
  refuseClosed()
  const [text] = await router.ask(keys.queue(name), ['HGET', keys.consumers(name, part === 'd'), ownerKey(consumer)])
  return Number((text as Buffer | null)?.toString().split(' ', 1)[0] ?? 0)
}

export async function readInfo(
  context: QueuesContext,
  queue: string,
  name: string,
  part: Part,
): Promise<QueueInfo | undefined> {
  const reply = (await ask(context, name, ['info', part])).map(String)
  if (reply.length === 0) return undefined
  const [at = 0, letters = 0, ended = 0, events = 0, lifeBytes = 0] = reply.slice(12, 17).map(Number)
  const numbers = reply.slice(0, 9).map(Number)
  const [sent = 0, ready = 0, delayed = 0, held = 0, waiting = 0, done = 0, dead = 0, removed = 0, bytes = 0] = numbers
  const [oldest = '', consumers, paused] = reply.slice(9, 12)
  const bindings = []
  for (let i = 17; i + 1 < reply.length; i += 2) {
    bindings.push({ topic: reply[i] ?? '', position: positionOf(reply[i + 1] ?? '') })
  }
  return {
    queue,
    counts: { sent, ready, delayed, held, waiting, done, dead, removed },
    bytes,
    ...(oldest !== '' && { oldestReadyAt: Number(oldest) }),
    consumers: Number(consumers),
    paused: paused === '1',
    ...(at > 0 && { tripped: { at, dead: letters, ended } }),
    ...fullLife({ events, bytes: lifeBytes }),
    bindings: bindings.sort((a, b) => (a.topic < b.topic ? -1 : 1)),
  }
}

function jobsOf(reply: readonly (Buffer | null)[]): JobInfo[] {
  return Array.from({ length: Math.floor(reply.length / WIDTH) }, (_, i) =>
    jobInfo(reply.slice(i * WIDTH, (i + 1) * WIDTH)),
  )
}

export async function readJobs(context: QueuesContext, name: string, part: Part, query: JobsQuery): Promise<JobInfo[]> {
  if ('ids' in query) return jobsOf(await ask(context, name, ['some', part, ...query.ids.flatMap(idWords)]))
  const from = query.after === undefined ? ['', '', ''] : idWords(query.after)
  const which = 'line' in query ? ['line', part, query.line] : ['jobs', part, query.state]
  return jobsOf(await ask(context, name, [...which, String(query.limit), ...from]))
}

export async function readFinished(context: QueuesContext, name: string, query: FinishedQuery): Promise<FinishedJob[]> {
  const from = 'after' in query && query.after !== undefined ? idWords(query.after) : ['', '', '']
  const which = 'ids' in query ? ['some', ...query.ids.flatMap(idWords)] : [query.state, String(query.limit), ...from]
  const reply = await ask(context, name, ['finished', ...which])
  return Array.from({ length: Math.floor(reply.length / 2) }, (_, i) => {
    return finishedJob(String(reply[2 * i]), reply[2 * i + 1] ?? Buffer.alloc(0))
  })
}

export async function readAnswer(context: QueuesContext, name: string, id: string): Promise<Answer | undefined> {
  const reply = await ask(context, name, ['answer', ...idWords(id)])
  const [first, reason, content] = reply
  if (reply.length === 0) return undefined
  if (reply.length === 1) return { state: 'waiting', replyBy: Number(first) }
  switch (String(first)) {
    case '1':
      return { state: 'done' }
    case '2': {
      const body = readBody(content ?? Buffer.alloc(0))
      return body === undefined
        ? { state: 'failed', reason: 'rejected', error: 'damaged' }
        : { state: 'done', reply: body }
    }
    default: {
      const error = content?.toString() ?? ''
      return { state: 'failed', reason: reasonOf(String(reason)), ...(error !== '' && { error }) }
    }
  }
}
