/**
 * The handler that a hub gives out for HTTP. What it serves with, Express above all, takes a third of a hub's start, and
 * clients over Socket.IO need none of it: it is loaded for the first request, or before by whoever has the time.
 */

import { refusalOf } from '../core/refusal.ts'
import type { AppContext, HubHandler } from './app.ts'
import { answerProblem } from './problem.ts'

export interface LateApp {
  readonly handler: HubHandler
  /** Rejects where it cannot be loaded; the next one who asks tries again. */
  load(): Promise<HubHandler>
}

/** `read`: how the code is read; a test's own. */
export function lateApp(context: AppContext, read = () => import('./app.ts')): LateApp {
  let app: HubHandler | undefined

  async function load(): Promise<HubHandler> {
    const { createApp } = await read()
    app ??= createApp(context)
    return app
  }

  const handler: HubHandler = (request, response, next) => {
    if (app !== undefined) return app(request, response, next)
    load().then(
      (loaded) => loaded(request, response, next),
      (cause) => {
        const what = `${request.method} ${request.url?.split('?', 1)[0]}`
        if (next === undefined) answerProblem(response, cause, what, context.telemetry)
        else next(refusalOf(cause, what, context.telemetry))
      },
    )
  }

  return { handler, load }
}
