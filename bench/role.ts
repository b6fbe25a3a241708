/** The child's side of a role: answers the calls of the process that measures, and ends with it. */

import type { Place } from './client.ts'

export interface Ask {
  readonly id: number
  readonly call: string
  readonly params: unknown
}

export type Told =
  | { readonly ready: true }
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly error: string }

// biome-ignore lint/suspicious/noExplicitAny: each call names the shape of its own parameters
export type Calls = Readonly<Record<string, (params: any) => unknown>>

/** The build that the parent chose. */
export function chosenProduct(): Place {
  return JSON.parse(process.argv[2] ?? '{}') as Place
}

export function serveCalls(calls: Calls): void {
  process.on('disconnect', () => process.exit())
  process.on('message', (message) => void answer(calls, message as Ask))
  tell({ ready: true })
}

async function answer(calls: Calls, { id, call, params }: Ask): Promise<void> {
  try {
    const handler = calls[call]
    if (handler === undefined) throw new Error(`this role has no call ${call}`)
    tell({ id, value: await handler(params) })
  } catch (error) {
    tell({ id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) })
  }
}

function tell(told: Told): void {
  process.send?.(told)
}
