/** The HTTP interface as an Express application: routes in, core out. */

import express, { type Express } from 'express'
import type { Core } from '../core/core.ts'
import type { Happenings } from '../core/happenings.ts'

export interface AppContext {
  /** Resolves when the hub can serve; rejects when it never will. */
  readonly core: Promise<Core>
  readonly happenings: Happenings
}

export function createApp(_context: AppContext): Express {
  const app = express()
  app.disable('x-powered-by')
  return app
}
