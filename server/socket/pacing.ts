/**
 * Long polling at the pace of its client and of the hub: what is posted is not read while too many calls wait, and the
 * next poll is answered when the answer before it is taken.
 */

import { type IncomingMessage, ServerResponse } from 'node:http'
import type { Server } from 'socket.io'
import { knownIntake } from './intake.ts'

type Engine = Server['engine']

/** As Engine.IO hands it to a middleware. */
interface EngineRequest extends IncomingMessage {
  readonly _query: Readonly<Record<string, string | undefined>>
}

export function paceRequests(engine: Engine): void {
  const answers = new WeakMap<object, ServerResponse>()
  engine.use((request: EngineRequest, response: unknown, next: () => void) => {
    const { sid } = request._query
    const { clients } = engine as unknown as { readonly clients: Readonly<Record<string, object>> }
    const connection = sid !== undefined && Object.hasOwn(clients, sid) ? clients[sid] : undefined
    if (connection === undefined || !(response instanceof ServerResponse)) return next()
    if (request.method === 'POST') {
      const intake = knownIntake(connection)
      if (intake?.paused !== true) return next()
      void intake.read().then(next)
      return
    }
    const before = answers.get(connection)
    answers.set(connection, response)
    // One that has not begun is a poll too many: Engine.IO closes the connection.
    if (before === undefined || !before.headersSent || before.writableFinished || before.destroyed) return next()
    before.once('close', next)
  })
}
