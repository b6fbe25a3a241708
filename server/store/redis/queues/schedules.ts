/** Schedules over Redis: queues that have some due are found by a list of their next times, which may be too early. */

import { readBody } from '../../codec.ts'
import type { DueSchedules, ListQuery, Schedules, StoredSchedule } from '../../contract/store.ts'
import { createHint } from '../connection/hint.ts'
import * as codec from '../scripting/scheduleCodec.ts'
import { ask, type QueuesContext } from './reads.ts'

/** Queues looked at in one part, and at a time. */
const PART = 100
const AT_A_TIME = 4
/** Values of one schedule in an answer. */
const WIDTH = 3

export function createSchedules(context: QueuesContext, now: () => Promise<number>): Schedules {
  const { router, keys, queueBatcher: batcher, subscriptions, durable, warn } = context
  const hint = createHint(router, subscriptions, keys.schedules, (error) => {
    warn('schedules that other nodes put are not heard of', error)
  })

  /** All nodes find the queue by then. */
  const tell = async (queue: string, nextAt: number): Promise<void> => {
    context.refuseClosed()
    await hint.change(['ZADD', keys.schedules, 'LT', String(nextAt), queue])
  }

  const dueIn = async (queue: string, limit: number) => {
    const [nextAt, ...rest] = await ask(context, queue, ['due', String(limit)])
    return { due: schedulesIn(rest), nextAt: String(nextAt ?? '') }
  }

  /** Puts a queue where it belongs. Asked again behind the writing: what was put meanwhile is not overwritten. */
  const settle = async (queue: string, found: string): Promise<void> => {
    for (let nextAt = found; ; ) {
      await router.ask(
        keys.schedules,
        nextAt === '' ? ['ZREM', keys.schedules, queue] : ['ZADD', keys.schedules, nextAt, queue],
      )
      const again = (await dueIn(queue, 0)).nextAt
      if (again === nextAt || (again === '' && nextAt === '')) return
      nextAt = again
    }
  }

  return {
    putSchedule: async (queue, name, given) => {
      const { nextAt } = given
      // Before it is there and behind, so that no crash and no look at the queue in between hides it.
      if (nextAt !== undefined) await tell(queue, nextAt)
      const { value } = await batcher.run(queue, codec.putSchedule(queue, name, given))
      if (nextAt !== undefined) await tell(queue, nextAt)
      return value
    },

    removeSchedule: async (queue, name) => (await batcher.run(queue, codec.removeSchedule(name))).value,

    fireSchedule: async (queue, name, fire) => {
      const { value, replicas } = await batcher.run(queue, codec.fireSchedule(queue, name, fire))
      return { ...value, durability: durable.reached(replicas) }
    },

    schedules: async (queue, query: ListQuery) => {
      const named = async (names: readonly string[]) =>
        schedulesIn(await ask(context, queue, ['schedulesNamed', ...names]))
      if ('names' in query) return await named(query.names)
      context.refuseClosed()
      const [found] = await router.ask(keys.queue(queue), ['HKEYS', keys.payloads(queue, 'schedules')])
      // Sorted here: the server sorts as its own language does.
      let rest = (found as Buffer[]).sort(Buffer.compare).map(String)
      if (query.after !== undefined) {
        const after = Buffer.from(query.after)
        rest = rest.filter((name) => Buffer.compare(Buffer.from(name), after) > 0)
      }
      const schedules: StoredSchedule[] = []
      while (rest.length > 0 && schedules.length < query.limit) {
        const count = query.limit - schedules.length
        schedules.push(...(await named(rest.slice(0, count))))
        rest = rest.slice(count)
      }
      return schedules
    },

    dueSchedules: async (limit, without): Promise<DueSchedules> => {
      const time = await now()
      const most = String(PART + without.size)
      const [names, next] = (await router.ask(
        keys.schedules,
        ['ZRANGEBYSCORE', keys.schedules, '-inf', String(time), 'LIMIT', '0', most],
        ['ZRANGEBYSCORE', keys.schedules, `(${time}`, '+inf', 'WITHSCORES', 'LIMIT', '0', '1'],
      )) as [Buffer[], unknown[]]
      const queues = names.map(String).filter((queue) => !without.has(queue))
      const due: DueSchedules['due'][number][] = []
      let nextAt = next.length > 0 ? Number(String(next.flat()[1])) : Number.POSITIVE_INFINITY
      for (let at = 0; at < queues.length && due.length < limit; at += AT_A_TIME) {
        const part = queues.slice(at, at + AT_A_TIME)
        const found = await Promise.all(part.map((queue) => dueIn(queue, limit)))
        for (const [i, queue] of part.entries()) {
          const { due: schedules, nextAt: then } = found[i] ?? { due: [], nextAt: '' }
          due.push(...schedules.map((schedule) => ({ queue, schedule })))
          if (schedules.length > 0) continue
          await settle(queue, then)
          if (then !== '') nextAt = Math.min(nextAt, Number(then))
        }
      }
      // Behind those that were looked at there may be others.
      if (due.length === 0 && queues.length >= PART) nextAt = time
      return { now: time, due: due.slice(0, limit), ...(Number.isFinite(nextAt) && { nextAt }) }
    },

    watchSchedules: hint.watch,
  }
}

function schedulesIn(reply: readonly (Buffer | null)[]): StoredSchedule[] {
  const found: StoredSchedule[] = []
  for (let i = 0; i + 2 < reply.length; i += WIDTH) {
    const [name, record, body] = reply.slice(i, i + WIDTH)
    const match = /^(\S+) (\d*) ([\s\S]*)$/.exec(String(record ?? ''))
    if (match === null) continue
    const [, version = '', nextAt = '', spec = ''] = match
    const content = body === null || body === undefined || body.length === 0 ? undefined : readBody(body)
    found.push({ name: String(name), version, spec, body: content, ...(nextAt !== '' && { nextAt: Number(nextAt) }) })
  }
  return found
}
