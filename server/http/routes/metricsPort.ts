/** The metrics on a port of their own, which needs nothing of the rest of HTTP; and how they are answered on either port. */

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { RepriseError } from '../../../shared/errors.ts'
import type { Telemetry } from '../../core/telemetry.ts'
import type { PageRefusal } from '../guard.ts'
import { inTurn } from '../pipeline.ts'
import { answerProblem, wrongMethod } from '../problem.ts'

export const PATH = '/metrics'
const TYPE = 'text/plain; version=0.0.4; charset=utf-8'
const MAX_CONNECTIONS = 100

/** Serves them on a port of their own. Rejects with a `RepriseError` where that cannot be used; the result ends it. */
export async function listenForMetrics(
  { port, host }: { readonly port: number; readonly host: string },
  {
    text,
    pageRefusal,
    telemetry,
  }: {
    readonly text: () => Promise<string>
    readonly pageRefusal: PageRefusal
    readonly telemetry: Telemetry
  },
): Promise<() => void> {
  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    try {
      const refusal = await pageRefusal(request)
      if (refusal !== undefined) throw new RepriseError('forbidden', refusal)
      const path = request.url?.split('?', 1)[0]
      if (path !== PATH) throw new RepriseError('not_found', `here is ${PATH} only`)
      if (request.method !== 'GET' && request.method !== 'HEAD') throw wrongMethod(request.method, PATH)
      answer(response, await text())
    } catch (error) {
      answerProblem(response, error, PATH, telemetry)
    }
  }
  const server = createServer((request, response) => inTurn(request, response, () => void serve(request, response)))
  server.maxConnections = MAX_CONNECTIONS
  await listen(server, port, host)
  return () => {
    server.close()
    server.closeAllConnections()
  }
}

export function answer(response: ServerResponse, text: string): void {
  response.setHeader('Cache-Control', 'no-store')
  response.setHeader('X-Content-Type-Options', 'nosniff')
  response.setHeader('Content-Type', TYPE)
  response.end(text)
}

async function listen(server: Server, port: number, host: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const text = `metrics.port: port ${port} of ${host} cannot be used: ${cause.message}`
      reject(new RepriseError(cause.code === 'EADDRINUSE' ? 'conflict' : 'bad_request', text, { cause }))
    })
    server.listen(port, host, () => {
      server.removeAllListeners('error')
      resolve()
    })
  })
}
