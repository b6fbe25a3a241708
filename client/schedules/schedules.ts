/** The calls about a queue's schedules, each made again until it is answered. */

import { RepriseError } from '../../shared/errors.ts'
import { DEFAULT_LIMITS, type Limits } from '../../shared/protocol.ts'
import type { Schedule, ScheduleSpec, SchedulesPage } from '../../shared/queues.ts'
import { checkNames, checkWord } from '../optionChecks.ts'
import { packedDraft } from '../outgoing/joining.ts'
import { measureDraft, SEND, tooLarge } from '../outgoing/measure.ts'
import { randomName } from '../outgoing/randomName.ts'
import type { QueueSchedules } from './api.ts'

const SPEC = ['cron', 'everyMs', 'timeZone', 'draft', 'startAt', 'endAt', 'limit', 'missed']
const DRAFT = ['data', ...SEND.filter((name) => !['id', 'at', 'timeoutMs'].includes(name))]

/** How the calls reach the hub. */
export interface ScheduleCalls {
  readonly limits: Limits | undefined
  /** Throws where the handle is closed. */
  ask<V>(call: (tries: number) => Promise<V>): Promise<V>
  call<V>(name: string, ...args: unknown[]): Promise<V>
}

export function schedulesOf<T>(queue: string, calls: ScheduleCalls): QueueSchedules<T> {
  return {
    async schedule(name, spec) {
      checkNames('schedule', spec, SPEC)
      checkNames('schedule: draft', spec.draft, DRAFT)
      checkWord('missed', spec.missed, ['one', 'all', 'none'])
      const { bytes, attachments } = measureDraft(spec.draft)
      const packed = { ...spec, draft: packedDraft(spec.draft, attachments) } as ScheduleSpec
      return await calls.ask(async () => {
        const refusal = tooLarge(bytes, calls.limits ?? DEFAULT_LIMITS)
        if (refusal !== undefined) throw refusal
        return await calls.call<Schedule<T>>('putSchedule', queue, name, packed)
      })
    },
    async schedules() {
      const all: Schedule<T>[] = []
      for (let after: string | undefined; ; ) {
        const query = after === undefined ? {} : { after }
        const page = await calls.ask(() => calls.call<SchedulesPage>('listSchedules', queue, query))
        all.push(...(page.schedules as readonly Schedule<T>[]))
        after = page.next
        if (after === undefined) return all
      }
    },
    getSchedule: (name) => calls.ask(() => calls.call<Schedule<T>>('getSchedule', queue, name)),
    async runSchedule(name) {
      // The same every time, so that a lost reply does not add a second job.
      const id = randomName()
      return await calls.ask(() => calls.call<{ readonly id: string }>('runSchedule', queue, name, { id }))
    },
    removeSchedule: (name) =>
      calls.ask(async (tries) => {
        const removed = await calls.call<boolean>('removeSchedule', queue, name)
        if (removed || tries === 1) return removed
        throw new RepriseError(
          'conflict',
          'the reply was lost, and the schedule is not there: whether it was removed is unknown',
        )
      }),
  }
}
