/**
 * The topics and queues of the program that embeds the hub. What it publishes, reads and sends goes straight to the rules.
 * What it subscribes to and consumes goes through the SDK, within the process.
 */

import type { HubTypes } from '../client/index.ts'
import type { Draft, Published, ReadPage, ReadQuery } from '../shared/protocol.ts'
import type { JobDraft, Sent } from '../shared/queues.ts'
import type { Hub } from './api.ts'
import type { Caller } from './core/access.ts'
import type { Core } from './core/core.ts'
import { readable } from './core/topics/log.ts'
import { allGiven, given } from './given.ts'
import type { LocalClients } from './localClients.ts'
import { parse, parseDrafts, parseJobDrafts, readSchema } from './wire/calls.ts'

const DUPLICATE = { duplicate: true } as const

/** `own`: the program as a caller. */
export function handlesOf<S extends HubTypes>(
  core: Promise<Core>,
  own: Caller,
  local: LocalClients<S>,
): Pick<Hub<S>, 'topic' | 'queue'> {
  return {
    topic: (name) => ({
      async publish(data, options = {}) {
        const { epoch, offsets, durability, duplicates } = await publish(name, [{ ...options, data }])
        return { epoch, offset: offsets[0] ?? 0, durability, ...(duplicates > 0 ? DUPLICATE : {}) }
      },
      publishAll: (drafts) => publish(name, drafts),
      subscribe: (handler, { client, ...options } = {}) => local.as(client).topic(name).subscribe(handler, options),
      read: (query) => read(name, query),
      async head() {
        const { epoch, last } = await read(name, { limit: 1 })
        return { epoch, offset: last }
      },
    }),
    queue: (name) => ({
      async send(data, options = {}) {
        const { ids, durability, duplicates } = await send(name, [{ ...options, data }])
        return { id: ids[0] ?? '', durability, ...(duplicates > 0 ? DUPLICATE : {}) }
      },
      sendAll: (drafts) => send(name, drafts),
      consume: (handler, { client, ...options } = {}) => local.as(client).queue(name).consume(handler, options),
      request: (data, options) => local.as().queue(name).request(data, options),
      remove: (id) => local.as().queue(name).remove(id),
      schedule: (schedule, spec) => local.as().queue(name).schedule(schedule, spec),
      schedules: () => local.as().queue(name).schedules(),
      getSchedule: (schedule) => local.as().queue(name).getSchedule(schedule),
      runSchedule: (schedule) => local.as().queue(name).runSchedule(schedule),
      removeSchedule: (schedule) => local.as().queue(name).removeSchedule(schedule),
    }),
  }

  async function publish(topic: string, drafts: readonly Draft[]): Promise<Published> {
    const { log, admit } = await core
    admit()
    return await log.publish(own, topic, parseDrafts(allGiven(drafts), 'publish: drafts', log.limits.batch))
  }

  async function read<T>(topic: string, query: ReadQuery = {}): Promise<ReadPage<T>> {
    const { log, admit } = await core
    admit()
    // The program says what its topics carry.
    return readable(await log.read(own, topic, parse(readSchema, given(query), 'read'))) as ReadPage<T>
  }

  async function send(queue: string, drafts: readonly JobDraft[]): Promise<Sent> {
    const { queues, admit } = await core
    admit()
    return await queues.send(own, queue, parseJobDrafts(allGiven(drafts), 'send: drafts', queues.limits.batch))
  }
}
