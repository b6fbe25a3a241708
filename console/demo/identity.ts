/** Who this tab is to the hub: a name that survives reloads and that no other tab has, not even a duplicate of it. */

import { keep, readKept } from './kept.ts'

const LOCK = 'reprise-demo'
const KEPT = 'tab'
/** A page that is being reloaded may hold its name a moment longer. */
const PATIENCE_MS = 500

/** A short name for this tab. */
export async function tabName(): Promise<string> {
  const kept = readKept(KEPT, isTabName)
  if (kept !== undefined && (await holds(kept))) return kept
  const fresh = randomName()
  await holds(fresh)
  // A browser that keeps nothing gives this page a new name at each load.
  keep(KEPT, fresh)
  return fresh
}

/** Whether the name is this tab's, which it then stays until the tab is gone. */
async function holds(name: string): Promise<boolean> {
  // Only pages of this machine and of https have locks. Without them a duplicated tab takes the first one over.
  if (navigator.locks === undefined) return true
  const patience = AbortSignal.timeout(PATIENCE_MS)
  return new Promise((resolve) => {
    const hold = (): Promise<never> => {
      resolve(true)
      return new Promise(() => {})
    }
    navigator.locks.request(`${LOCK}:${name}`, { signal: patience }, hold).catch(() => resolve(false))
  })
}

function randomName(): string {
  const letters = crypto.getRandomValues(new Uint8Array(6))
  return Array.from(letters, (byte) => (byte % 36).toString(36)).join('')
}

function isTabName(value: unknown): value is string {
  return typeof value === 'string' && /^[a-z0-9]{6}$/.test(value)
}
