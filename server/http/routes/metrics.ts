/** `/metrics`: the numbers of this hub for Prometheus, beside everything else. */

import type { IncomingMessage } from 'node:http'
import express, { type Request, type Router } from 'express'
import { authorize } from '../../core/access.ts'
import { started } from '../../core/core.ts'
import { wrongMethod } from '../problem.ts'
import { enter, type RoutesContext } from '../routes.ts'
import { answer, PATH } from './metricsPort.ts'

export interface MetricsAccess {
  /** As Prometheus reads it. Cheap: everybody who asks within a second gets the same. */
  readonly text: () => Promise<string>
  /** Whoever reaches it may read, also where tokens are asked for. */
  readonly open: boolean
  /** Whether they are asked for in the options: the `/metrics` of a program around is its own otherwise. */
  readonly asked: boolean
}

/** Whether a request to a hub, in a program around it or alone, is for its metrics. */
export function asksForMetrics({ asked }: MetricsAccess, url: string | undefined, isGuest: boolean): boolean {
  return url?.split('?', 1)[0] === PATH && (asked || !isGuest)
}

/** `before`: what every request has to pass. `isGuest`: whether a program around has said where to go on. */
export function serveMetrics(
  { text, open, asked }: MetricsAccess,
  { core, gate, addresses }: Pick<RoutesContext, 'core' | 'gate' | 'addresses'>,
  before: readonly express.RequestHandler[],
  isGuest: (request: IncomingMessage) => boolean,
): Router {
  const router = express.Router({ caseSensitive: true, strict: true })
  router.all(PATH, (request, _response, next) => {
    next(isGuest(request) && request.baseUrl === '' && !asked ? 'router' : undefined)
  })
  router.get(PATH, ...before, async (request, response) => {
    if (!open) await checkCaller(request)
    answer(response, await text())
  })
  router.all(PATH, (request) => {
    throw wrongMethod(request.method, PATH)
  })
  return router

  async function checkCaller(request: Request): Promise<void> {
    await started(core)
    const entered = await gate
    if (!entered.guarded) return
    const session = await enter(request, addresses.of(request), entered)
    authorize({ subject: session.subject, access: session }, 'admin', '*')
  }
}
