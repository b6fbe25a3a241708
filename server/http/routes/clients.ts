/** The routes of connections: who is connected to the node that answers, and the end of one of them. */

import { type Route, route } from '../routes.ts'
import { clientAnswer, clientsAnswer, clientsQuery } from '../schemas/clients.ts'

export const clientRoutes: readonly Route[] = [
  route({
    id: 'listClients',
    method: 'get',
    path: '/clients',
    summary: 'List who is connected to this node',
    query: clientsQuery,
    answer: clientsAnswer,
    async run({ core, caller, gone }, query) {
      const { rows: clients, ...page } = await core.clients.list(caller, query, gone)
      return { ...page, clients }
    },
  }),

  route({
    id: 'getClient',
    method: 'get',
    path: '/clients/:id',
    summary: 'One connection with its subscriptions and consumers',
    refuses: ['not_found'],
    answer: clientAnswer,
    run: ({ core, caller, param }) => core.clients.one(caller, param('id')),
  }),

  route({
    id: 'disconnectClient',
    method: 'delete',
    path: '/clients/:id',
    summary: 'Close a connection to this node; its client comes back by itself',
    refuses: ['not_found'],
    // The log is told by the core, which the console asks, too.
    async run({ core, caller, param }) {
      core.clients.disconnect(caller, param('id'))
    },
  }),
]
