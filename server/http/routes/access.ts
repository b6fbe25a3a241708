/** The routes of access: who the hub takes the caller for, tickets, revocations. */

import { RepriseError } from '../../../shared/errors.ts'
import { authorize, type Revocations } from '../../core/access.ts'
import { parse } from '../../wire/calls.ts'
import { type Call, type Route, route } from '../routes.ts'
import { meAnswer, revocationAnswer, revocationBody, revocationsAnswer, ticketAnswer } from '../schemas/access.ts'

export const accessRoutes: readonly Route[] = [
  route({
    id: 'getMe',
    method: 'get',
    path: '/me',
    summary: 'Who the caller is for the hub, and what it may',
    answer: meAnswer,
    async run(call) {
      await reachRevocations(call)
      const { subject, client, grants, expiresAt } = call.session
      return { subject, client, grants, expiresAt }
    },
  }),

  route({
    id: 'createTicket',
    method: 'post',
    path: '/tickets',
    summary: 'A ticket that opens one stream, for pages whose EventSource cannot send a token',
    status: 201,
    answer: ticketAnswer,
    run: ({ gate, session }) => gate.issue(session),
  }),

  route({
    id: 'revoke',
    acts: true,
    method: 'post',
    path: '/revocations',
    summary: 'Revoke a token, or all tokens of a subject that were issued up to now',
    status: 201,
    body: revocationBody,
    answer: revocationAnswer,
    async run(call) {
      const revocations = revocationsFor(call)
      const { until, ...of } = parse(revocationBody, await call.json(), 'revocation')
      if (until !== undefined && until <= Date.now()) {
        throw new RepriseError('bad_request', 'revocation: until is over: it is a time in milliseconds since 1970')
      }
      return await revocations.add(of, until)
    },
  }),

  route({
    id: 'listRevocations',
    method: 'get',
    path: '/revocations',
    summary: 'List what is revoked',
    refuses: ['unsupported'],
    answer: revocationsAnswer,
    async run(call) {
      const revocations = revocationsFor(call)
      await reachRevocations(call)
      return { revocations: revocations.list() }
    },
  }),

  route({
    id: 'deleteRevocation',
    acts: true,
    method: 'delete',
    path: '/revocations/:id',
    summary: 'Take a revocation back',
    refuses: ['not_found', 'unsupported'],
    async run(call) {
      if (await revocationsFor(call).remove(call.param('id'))) return
      throw new RepriseError('not_found', 'there is no such revocation')
    },
  }),
]

/** Calls that need nothing else of the store fail all the same where a revocation could not be heard of. */
async function reachRevocations({ core, gate }: Call): Promise<void> {
  if (gate.guarded) await core.reachable()
}

function revocationsFor({ caller, gate }: Call): Revocations {
  authorize(caller, 'admin', '*')
  if (gate.revocations !== undefined) return gate.revocations
  throw new RepriseError('unsupported', 'this hub has no auth, so there are no tokens to revoke')
}
