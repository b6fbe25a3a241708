/** What answers about schedules hold, over HTTP and in the namespace of the queues. */

import { z } from 'zod'
import type { QueueCalls, Schedule } from '../../../shared/queues.ts'
import { nameSchema } from '../../wire/calls.ts'
import { scheduleListSchema, scheduleRunSchema, scheduleSchema } from '../../wire/schedules.ts'
import type { Called } from './components.ts'
import { count, whole } from './topics.ts'

const { missed, ...fields } = scheduleSchema.shape

export const scheduleAnswer = z
  .object({
    queue: z.string(),
    name: z.string(),
    ...fields,
    missed: missed.unwrap(),
    next: z.array(count).meta({ description: 'The next five due times; none when it is over' }),
    lastAt: count.nullable().meta({ description: 'The last due time that had a job' }),
    fired: count.meta({ description: 'How many due times had a job' }),
    missedCount: count.meta({ description: 'How many had none' }),
  })
  .meta({
    id: 'Schedule',
    examples: [
      {
        queue: 'reports',
        name: 'daily',
        cron: '0 9 * * *',
        draft: { data: { report: 'daily' } },
        missed: 'one',
        next: [1_760_000_400_000],
        lastAt: null,
        fired: 0,
        missedCount: 0,
      },
    ],
  }) satisfies z.ZodType<Schedule>

export const schedulesAnswer = z
  .object({ schedules: z.array(scheduleAnswer), next: z.string().optional() })
  .meta({ id: 'Schedules', examples: [{ schedules: [] }] })

export const schedulesQuery = {
  after: z.string().min(1).max(256).meta({ description: '`next` of the page before' }),
  limit: whole(1, 100).meta({ description: 'At most this many, 100 at most', default: 100 }),
}

export const scheduleRanAnswer = z.object({ id: z.string() }).meta({ id: 'ScheduleRan', examples: [{ id: '12' }] })

/** The calls in the namespace of the queues, for the AsyncAPI document. */
export function scheduleCalls(
  queue: z.ZodType,
): Record<Extract<keyof QueueCalls, `${string}chedule${string}`>, Called> {
  const one = [queue, nameSchema]
  return {
    putSchedule: {
      summary: 'Make a schedule, or change it in place',
      args: [...one, scheduleSchema],
      value: scheduleAnswer,
    },
    getSchedule: { summary: 'Look at a schedule', args: one, value: scheduleAnswer },
    listSchedules: {
      summary: 'List the schedules of a queue in the order of their names',
      args: [queue, scheduleListSchema],
      optional: 1,
      value: schedulesAnswer,
    },
    runSchedule: {
      summary: 'Add a job of a schedule now',
      args: [...one, scheduleRunSchema],
      optional: 1,
      value: scheduleRanAnswer,
    },
    removeSchedule: { summary: 'Remove a schedule', args: one, value: z.boolean() },
  }
}
