/** The route of the doctor: what it says of the configuration that this hub runs with. */

import { authorize } from '../../core/access.ts'
import { type Route, route } from '../routes.ts'
import { doctorAnswer } from '../schemas/doctor.ts'

export const doctorRoutes: readonly Route[] = [
  route({
    id: 'examine',
    method: 'get',
    path: '/doctor',
    summary: 'What `reprise doctor` says of this hub as it runs',
    answer: doctorAnswer,
    async run({ core, caller }) {
      authorize(caller, 'admin', '*')
      return { node: core.clients.node, findings: await core.condition() }
    },
  }),
]
