/** What the hub's process works for something: processor time, which other programs on the machine disturb least. */

import type { HubRole } from '../processes.ts'

/** Runs something; answers what it answered, and the processor time (user and system) of the hubs meanwhile, in µs. */
export async function withCost<T>(
  hubs: readonly HubRole[],
  run: () => Promise<T>,
): Promise<{ readonly answer: T; readonly us: number }> {
  const before = await usedBy(hubs)
  const answer = await run()
  return { answer, us: (await usedBy(hubs)) - before }
}

async function usedBy(hubs: readonly HubRole[]): Promise<number> {
  const used = await Promise.all(hubs.map((hub) => hub.ask('cpu')))
  return used.reduce((sum, { user, system }) => sum + user + system, 0)
}
