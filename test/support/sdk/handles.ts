/** Handles of a hub that are closed when their test is over, and that come back quickly. */

import { type ConnectOptions, connect, type Hub, type HubTypes } from '../../../client/index.ts'
import { atEnd } from '../ending.ts'

export const QUICK = { reconnect: { baseMs: 5, maxMs: 20 }, drainMs: 100 } as const

export function open<S extends HubTypes = HubTypes>(url: string, options: ConnectOptions = {}): Hub<S> {
  const hub = connect<S>(url, { ...QUICK, quiet: true, ...options })
  atEnd(() => hub.close())
  return hub
}

/** The error that a promise rejects with; `undefined` when it resolves. */
export async function errorOf(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise
    return undefined
  } catch (error) {
    return error
  }
}
