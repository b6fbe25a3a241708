/** Schedules as callers use them: put, look, run now, remove. Knows who may; scheduler.ts fires them. */

import { hasCode, RepriseError } from '../../../../shared/errors.ts'
import { isName, nameRule } from '../../../../shared/names.ts'
import type { Limits } from '../../../../shared/protocol.ts'
import type { Schedule, ScheduleListQuery, ScheduleSpec, SchedulesPage } from '../../../../shared/queues.ts'
import type { Store, StoredSchedule } from '../../../store/contract/store.ts'
import { authorize, type Caller } from '../../access.ts'
import { plainData } from '../../body.ts'
import type { Telemetry } from '../../telemetry.ts'
import { itsTurn, PAGE_WEIGHT } from '../../turns.ts'
import { checkQueue } from '../draft.ts'
import { type HubQueueSettings, takenOf } from '../settings.ts'
import { type AnchoredTiming, anchored, checkTiming, firstDue, nextDues, type Timing } from './dueTimes.ts'
import { jobsOf, keptDraft, wholeBody } from './jobs.ts'
import { type KeptSpec, readSpec, writeSpec } from './spec.ts'

export interface SchedulesContext {
  readonly store: Store
  readonly settings: HubQueueSettings
  readonly limits: Limits
  readonly maxSchedules: number
  readonly telemetry: Telemetry
}

/** When another caller changes the same schedule meanwhile. */
const TRIES = 10
const SHOWN_TIMES = 5
const MAX_SCHEDULES_PAGE = 100
/** Drafts may be large: so many are read at a time, and a page ends behind so much text. */
const PART = 10
const PAGE_LENGTH = 1_048_576

export class Schedules {
  readonly #context: SchedulesContext

  constructor(context: SchedulesContext) {
    this.#context = context
  }

  /** Makes a schedule, or changes it in place: what it has counted stays, and while its times are the same, so does its next one. */
  async put(caller: Caller, queue: string, name: string, given: ScheduleSpec): Promise<Schedule> {
    this.#check(caller, 'admin', queue, name)
    const { store, settings, limits, maxSchedules: most } = this.#context
    const { draft, limit, missed = 'one', ...timing } = given
    checkTiming(timing)
    for (let tries = 1; ; tries++) {
      const now = await store.ready()
      const { body, options } = keptDraft(draft, { queue, name, limits, settings: settings.forQueue(queue) }, now)
      const [stored] = await store.queues.schedules(queue, { names: [name] })
      const before = stored && readSpec(stored)
      const kept = before !== undefined && isSame(before.timing, timing) ? before.timing : undefined
      const when = kept ?? anchored(timing, now)
      const first = (kept === undefined ? undefined : stored?.nextAt) ?? firstDue(when, now)
      if (first === undefined && kept === undefined) throw neverDue(timing, now)
      const { fired = 0, missedCount = 0, lastAt } = before ?? {}
      const spec: KeptSpec = {
        timing: when,
        missed,
        ...(limit === undefined ? {} : { limit }),
        subject: caller.subject,
        options,
        fired,
        missedCount,
        ...(lastAt === undefined ? {} : { lastAt }),
      }
      const isOver = first === undefined || fired >= (limit ?? Number.POSITIVE_INFINITY)
      const next = isOver ? {} : { nextAt: first }
      try {
        const version = await store.queues.putSchedule(queue, name, {
          ...(stored && { version: stored.version }),
          spec: writeSpec(spec),
          body,
          ...next,
          most,
        })
        return shown(queue, { name, version, spec: '', body, ...next }, spec)
      } catch (error) {
        if (!hasCode(error, 'conflict') || tries === TRIES) throw error
      }
    }
  }

  async get(caller: Caller, queue: string, name: string): Promise<Schedule> {
    this.#check(caller, 'read', queue, name)
    const stored = await this.#find(queue, name)
    return shown(queue, stored, readSpec(stored))
  }

  async list(caller: Caller, queue: string, query: ScheduleListQuery = {}): Promise<SchedulesPage> {
    this.#check(caller, 'read', queue)
    const { limit = MAX_SCHEDULES_PAGE } = query
    const schedules: Schedule[] = []
    let length = 0
    let { after } = query
    for (;;) {
      await itsTurn(PAGE_WEIGHT)
      const most = Math.min(PART, limit - schedules.length)
      const part = await this.#context.store.queues.schedules(queue, { limit: most, ...(after && { after }) })
      for (const stored of part) {
        schedules.push(shown(queue, stored, readSpec(stored)))
        length += stored.body?.json.length ?? 0
        after = stored.name
        if (length >= PAGE_LENGTH) break
      }
      if (part.length < most && after === (part.at(-1)?.name ?? after)) return { schedules }
      if (schedules.length >= limit || length >= PAGE_LENGTH) return { schedules, ...(after && { next: after }) }
    }
  }

  /** Adds a job at once, beside those of its due times: it is counted with none of them. Answers the job's id. */
  async run(caller: Caller, queue: string, name: string, id?: string): Promise<{ readonly id: string }> {
    this.#check(caller, 'admin', queue, name)
    const { store, settings, limits, telemetry } = this.#context
    const stored = await this.#find(queue, name)
    const now = await store.ready()
    const own = settings.forQueue(queue)
    const place = { queue, name, limits, settings: own }
    const spec = readSpec(stored)
    const drafts = jobsOf(wholeBody(queue, stored), spec, place, [now], now)
    const { ids, duplicates } = await store.queues.enqueue(queue, {
      subject: spec.subject,
      drafts: id === undefined ? drafts : drafts.map((draft) => ({ ...draft, id })),
      ...takenOf(own),
    })
    telemetry.meter.sent(queue, ids.length - duplicates)
    return { id: ids[0] ?? '' }
  }

  async remove(caller: Caller, queue: string, name: string): Promise<boolean> {
    this.#check(caller, 'admin', queue, name)
    return await this.#context.store.queues.removeSchedule(queue, name)
  }

  #check(caller: Caller, action: 'admin' | 'read', queue: string, name?: string): void {
    checkQueue(queue, 'no dead')
    if (name !== undefined && !isName(name)) throw new RepriseError('bad_request', nameRule('the schedule', name))
    authorize(caller, action, queue)
  }

  async #find(queue: string, name: string): Promise<StoredSchedule> {
    const [stored] = await this.#context.store.queues.schedules(queue, { names: [name] })
    if (stored === undefined) throw unknownSchedule(queue, name)
    return stored
  }
}

export function unknownSchedule(queue: string, name: string): RepriseError {
  return new RepriseError('not_found', `${queue} has no schedule ${name}`)
}

function isSame({ anchor: _, ...before }: AnchoredTiming, timing: Timing): boolean {
  const names = ['cron', 'everyMs', 'timeZone', 'startAt', 'endAt'] as const
  return names.every((name) => before[name] === timing[name])
}

function neverDue({ endAt }: Timing, now: number): RepriseError {
  const why = endAt !== undefined && endAt < now ? 'endAt is over' : 'there is no such time'
  return new RepriseError('bad_request', `schedule: it would never be due: ${why}`)
}

function shown(queue: string, { name, body, nextAt }: StoredSchedule, spec: KeptSpec): Schedule {
  const { timing, missed, limit, options, fired, missedCount, lastAt } = spec
  const { anchor: _, ...when } = timing
  const headers = body && (JSON.parse(body.json) as ScheduleSpec['draft']).headers
  const left = Math.min(SHOWN_TIMES, limit === undefined ? SHOWN_TIMES : limit - fired)
  return {
    queue,
    name,
    ...when,
    draft: { data: body === undefined ? null : plainData(body), ...(headers && { headers }), ...options },
    ...(limit === undefined ? {} : { limit }),
    missed,
    next: nextAt === undefined ? [] : [nextAt, ...nextDues(timing, nextAt, left - 1)],
    lastAt: lastAt ?? null,
    fired,
    missedCount,
  }
}
