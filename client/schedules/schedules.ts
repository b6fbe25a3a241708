/** The calls about a queue's schedules, each made again until it is answered. */

import type { Schedule, ScheduleSpec, SchedulesPage } from '../../shared/queues.ts'
import { checkNames, checkWord } from '../optionChecks.ts'
import { packedDraft } from '../outgoing/joining.ts'
import { checkSize, measureDraft, OF_PARENTS, OF_THE_CALL, sendOptions } from '../outgoing/measure.ts'
import { randomName } from '../outgoing/randomName.ts'
import type { QueueCalls } from '../queues/calls.ts'
import type { QueueSchedules } from './api.ts'

const SPEC = ['cron', 'everyMs', 'timeZone', 'draft', 'startAt', 'endAt', 'limit', 'missed']
const DRAFT = ['data', ...sendOptions(['id', 'at', ...OF_THE_CALL, ...OF_PARENTS])]

export function schedulesOf<T>(calls: QueueCalls): QueueSchedules<T> {
  const { ask, read, call } = calls
  return {
    async schedule(name, spec) {
      checkNames('schedule', spec, SPEC)
      checkNames('schedule: draft', spec.draft, DRAFT)
      checkWord('missed', spec.missed, ['one', 'all', 'none'])
      const { bytes, attachments } = measureDraft(spec.draft)
      const packed = { ...spec, draft: packedDraft(spec.draft, attachments) } as ScheduleSpec
      return await ask(async () => {
        checkSize(bytes, calls.limits)
        return await call<Schedule<T>>('putSchedule', name, packed)
      })
    },
    async schedules() {
      const all: Schedule<T>[] = []
      for (let after: string | undefined; ; ) {
        const page: SchedulesPage = await read('listSchedules', after === undefined ? {} : { after })
        all.push(...(page.schedules as readonly Schedule<T>[]))
        after = page.next
        if (after === undefined) return all
      }
    },
    getSchedule: (name) => read('getSchedule', name),
    // The same id every time, so that a lost reply does not add a second job.
    runSchedule: (name) => read('runSchedule', name, { id: randomName() }),
    removeSchedule: (name) => calls.remove('schedule', 'removeSchedule', name),
  }
}
