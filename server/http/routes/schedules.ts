/** The routes of a queue's schedules: put, look, list, run now, remove. */

import { unknownSchedule } from '../../core/queues/schedules/schedules.ts'
import { parseSchedule, scheduleSchema } from '../../wire/schedules.ts'
import { type Route, route } from '../routes.ts'
import { scheduleAnswer, scheduleRanAnswer, schedulesAnswer, schedulesQuery } from '../schemas/schedules.ts'

const PATH = '/queues/:queue/schedules/:name'

export const scheduleRoutes: readonly Route[] = [
  route({
    id: 'listSchedules',
    method: 'get',
    path: '/queues/:queue/schedules',
    summary: 'List the schedules of a queue in the order of their names',
    query: schedulesQuery,
    answer: schedulesAnswer,
    run: ({ core, caller, param }, query) => core.schedules.list(caller, param('queue'), query),
  }),

  route({
    id: 'getSchedule',
    method: 'get',
    path: PATH,
    summary: 'What a schedule adds and when, and what became of it so far',
    refuses: ['not_found'],
    answer: scheduleAnswer,
    run: ({ core, caller, param }) => core.schedules.get(caller, param('queue'), param('name')),
  }),

  route({
    id: 'putSchedule',
    acts: true,
    method: 'put',
    path: PATH,
    summary: 'Make a schedule, or change it in place',
    refuses: ['conflict', 'storage_full'],
    body: scheduleSchema,
    answer: scheduleAnswer,
    async run({ core, caller, param, json }) {
      const spec = parseSchedule(await json())
      core.admit()
      return await core.schedules.put(caller, param('queue'), param('name'), spec)
    },
  }),

  route({
    id: 'removeSchedule',
    acts: true,
    method: 'delete',
    path: PATH,
    summary: 'Remove a schedule; jobs that it has added stay',
    refuses: ['not_found'],
    async run({ core, caller, param }) {
      const [queue, name] = [param('queue'), param('name')]
      if (await core.schedules.remove(caller, queue, name)) return
      throw unknownSchedule(queue, name)
    },
  }),

  route({
    id: 'runSchedule',
    acts: true,
    method: 'post',
    path: `${PATH}/run`,
    summary: 'Add a job of a schedule now, beside those of its due times',
    refuses: ['not_found', 'conflict', 'storage_full'],
    status: 201,
    answer: scheduleRanAnswer,
    async run({ core, caller, param }) {
      core.admit()
      return await core.schedules.run(caller, param('queue'), param('name'))
    },
  }),
]
