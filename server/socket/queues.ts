/** The calls of a client in the namespace of the queues. */

import type { Socket } from 'socket.io'
import type { JobClient } from '../core/queues/delivery/outlet.ts'
import { lookAtJob, lookAtJobs, waitForJob } from '../core/queues/looks.ts'
import {
  consumeSchema,
  jobDraftSchema,
  jobIdSchema,
  jobsQuerySchema,
  nameSchema,
  parse,
  parseJobDrafts,
  parseReports,
  parseSettlements,
  producerSchema,
  queueNameSchema,
  requestSchema,
} from '../wire/calls.ts'
import { parseSchedule, scheduleListSchema, scheduleRunSchema } from '../wire/schedules.ts'
import { type Calls, type SocketState, serving } from './calls.ts'
import { roomOf } from './jobOutlet.ts'
import { incoming, incomingList, replying } from './joining.ts'

/** What is kept for a socket in the namespace of the queues. */
export interface QueuesState extends SocketState {
  readonly client: JobClient
  readonly socket: Socket
}

const REQUEST_MS = 30_000
const NO_JOBS = { sent: 0, ready: 0, delayed: 0, held: 0, waiting: 0, done: 0, dead: 0, removed: 0 }

const CALLS: Calls<QueuesState> = {
  async send({ core, caller }, [queue, drafts, row]) {
    core.admit()
    const name = parse(queueNameSchema, queue, 'send')
    const parsed = parseJobDrafts(incomingList(drafts, 'data'), 'send: drafts', core.queues.limits.batch)
    if (row === undefined || row === null) return await core.queues.send(caller, name, parsed)
    return await core.queues.send(caller, name, parsed, parse(producerSchema, row, 'send: options'))
  },

  async consume({ core, client, socket }, [queue, options]) {
    core.admit()
    const name = parse(queueNameSchema, queue, 'consume')
    const consuming = await core.consumers.consume(client, name, parse(consumeSchema, options, 'consume'))
    await socket.join(roomOf(name))
    return consuming
  },

  async cancel({ core, client, socket }, [queue]) {
    const name = parse(queueNameSchema, queue, 'cancel')
    // In this turn: a call behind it finds it done.
    await Promise.all([core.consumers.cancel(client, name), socket.leave(roomOf(name))])
    return null
  },

  async settle({ core, caller, client }, [queue, settlements]) {
    const name = parse(queueNameSchema, queue, 'settle')
    return await core.queues.settle(
      caller,
      name,
      parseSettlements(incomingList(settlements, 'reply'), 'settle'),
      client,
    )
  },

  async progress({ core, caller }, [queue, reports]) {
    const name = parse(queueNameSchema, queue, 'progress')
    const parsed = parseReports(incomingList(reports, 'value'), 'progress')
    return await core.queues.progress(caller, name, parsed)
  },

  async request({ core, caller }, [queue, draft, options], call) {
    core.admit()
    const name = parse(queueNameSchema, queue, 'request')
    const { timeoutMs = REQUEST_MS } = parse(requestSchema, options ?? {}, 'request: options')
    const parsed = parse(jobDraftSchema, incoming(draft, 'data'), 'request: draft')
    return replying(await core.queues.request(caller, name, parsed, timeoutMs, call))
  },

  async remove(state, [queue, id]) {
    const { core, caller } = state
    const name = parse(queueNameSchema, queue, 'remove')
    const item = parse(jobIdSchema, id, 'remove: id')
    const isRemoved = await core.queues.remove(caller, name, item)
    if (isRemoved) tellAct(state, 'removeJob', name, item)
    return isRemoved
  },

  async job({ core, caller }, [queue, id]) {
    const name = parse(queueNameSchema, queue, 'job')
    return replying(await lookAtJob(core.queues, caller, name, parse(jobIdSchema, id, 'job: id')))
  },

  async jobs({ core, caller }, [queue, query]) {
    const name = parse(queueNameSchema, queue, 'jobs')
    return replying(await lookAtJobs(core.queues, caller, name, parse(jobsQuerySchema, query ?? {}, 'jobs: options')))
  },

  async waitFor({ core, caller }, [queue, id, options], call) {
    const name = parse(queueNameSchema, queue, 'waitFor')
    const { timeoutMs = REQUEST_MS } = parse(requestSchema, options ?? {}, 'waitFor: options')
    return replying(await waitForJob(core.queues, caller, name, parse(jobIdSchema, id, 'waitFor: id'), timeoutMs, call))
  },

  async counts({ core, caller }, [queue]) {
    const info = await core.queues.known(caller, parse(queueNameSchema, queue, 'counts'))
    return info?.counts ?? NO_JOBS
  },

  async pause(state, [queue]) {
    const name = parse(queueNameSchema, queue, 'pause')
    await state.core.queues.pause(state.caller, name, true)
    tellAct(state, 'pauseQueue', name)
    return null
  },

  async resume(state, [queue]) {
    const name = parse(queueNameSchema, queue, 'resume')
    await state.core.queues.pause(state.caller, name, false)
    tellAct(state, 'resumeQueue', name)
    return null
  },

  async putSchedule(state, [queue, name, spec]) {
    const { core, caller } = state
    core.admit()
    const [asked, item] = [parse(queueNameSchema, queue, 'putSchedule'), named(name)]
    const put = await core.schedules.put(caller, asked, item, parseSchedule(scheduleIn(spec)))
    tellAct(state, 'putSchedule', asked, item)
    return put
  },

  async getSchedule({ core, caller }, [queue, name]) {
    return await core.schedules.get(caller, parse(queueNameSchema, queue, 'getSchedule'), named(name))
  },

  async listSchedules({ core, caller }, [queue, query]) {
    const asked = parse(queueNameSchema, queue, 'listSchedules')
    return await core.schedules.list(caller, asked, parse(scheduleListSchema, query ?? {}, 'listSchedules: options'))
  },

  async runSchedule(state, [queue, name, options]) {
    const { core, caller } = state
    core.admit()
    const [asked, item] = [parse(queueNameSchema, queue, 'runSchedule'), named(name)]
    const { id } = parse(scheduleRunSchema, options ?? {}, 'runSchedule: options')
    const ran = await core.schedules.run(caller, asked, item, id)
    tellAct(state, 'runSchedule', asked, item)
    return ran
  },

  async removeSchedule(state, [queue, name]) {
    const [asked, item] = [parse(queueNameSchema, queue, 'removeSchedule'), named(name)]
    const isRemoved = await state.core.schedules.remove(state.caller, asked, item)
    if (isRemoved) tellAct(state, 'removeSchedule', asked, item)
    return isRemoved
  },

  async away({ socket }) {
    // Behind the reply. What a client says on leaving would give its jobs back.
    setImmediate(() => socket.disconnect())
    return null
  },
}

/** As over HTTP, by the name that the operation has there. */
function tellAct({ core, caller: { subject } }: QueuesState, what: string, queue: string, item?: string): void {
  core.telemetry.happened({ kind: 'acted', what, subject, queue, ...(item !== undefined && { item }) })
}

function named(schedule: unknown): string {
  return parse(nameSchema, schedule, 'schedule')
}

/** With the data of its draft in place. */
function scheduleIn(spec: unknown): unknown {
  if (typeof spec !== 'object' || spec === null || !('draft' in spec)) return spec
  return { ...spec, draft: incoming(spec.draft, 'data') }
}

export const serveQueues = serving(CALLS)
