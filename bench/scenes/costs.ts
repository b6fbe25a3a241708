/** What a server's process works for something: processor time, which other programs on the machine disturb least. */

interface Measured {
  ask(call: 'cpu'): Promise<NodeJS.CpuUsage>
}

/** Runs something; answers what it answered, and the processor time (user and system) of the servers meanwhile, in µs. */
export async function withCost<T>(
  servers: readonly Measured[],
  run: () => Promise<T>,
): Promise<{ readonly answer: T; readonly us: number }> {
  const before = await usedBy(servers)
  const answer = await run()
  return { answer, us: (await usedBy(servers)) - before }
}

async function usedBy(servers: readonly Measured[]): Promise<number> {
  const used = await Promise.all(servers.map((server) => server.ask('cpu')))
  return used.reduce((sum, { user, system }) => sum + user + system, 0)
}
