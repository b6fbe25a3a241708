/** The routes of access: who the hub takes the caller for. */

import { type Route, route } from '../routes.ts'
import { meAnswer } from '../schemas/access.ts'

export const accessRoutes: readonly Route[] = [
  route({
    method: 'get',
    path: '/me',
    summary: 'Who the caller is for the hub, and what it may',
    answer: meAnswer,
    async run({ session: { subject, client, grants, expiresAt } }) {
      return { subject, client, grants, expiresAt }
    },
  }),
]
