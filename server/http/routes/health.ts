/** `/healthz` and `/readyz`: whether the process is alive, and whether this node really works. */

import express, { type Response, type Router } from 'express'
import { messageOf } from '../../../shared/errors.ts'
import type { Core } from '../../core/core.ts'

/** While the store is being opened, or after that failed, or while the hub drains. */
interface Unready {
  readonly ready: false
  readonly reason: string
}

export function serveHealth(core: Promise<Core>): Router {
  let state: Core | Unready = { ready: false, reason: 'the store is being opened' }
  core.then(
    (opened) => {
      state = opened
    },
    (cause) => {
      state = { ready: false, reason: `the hub could not start: ${messageOf(cause)}` }
    },
  )
  const router = express.Router({ caseSensitive: true })
  router.get('/healthz', (_request, response) => answer(response, 200, { alive: true }))
  router.get('/readyz', (_request, response) => {
    const health = 'ready' in state ? state : healthOf(state)
    answer(response, health.ready ? 200 : 503, health)
  })
  return router
}

function healthOf(core: Core) {
  try {
    core.admit()
  } catch (cause) {
    return { ready: false, reason: messageOf(cause) }
  }
  return core.probe.health()
}

function answer(response: Response, status: number, body: object): void {
  if (status === 503) response.set('Retry-After', '1')
  response.set('Cache-Control', 'no-store').status(status).json(body)
}
