/** A server with clients that keep their place, and a publisher with a steady pace. */

import type { Processes, Role } from '../processes.ts'
import type { HerdCalls } from '../roles/herd.ts'
import type { LoggedCalls } from '../roles/logged.ts'
import type { PaceCalls } from '../roles/pace.ts'

const TOPIC = 'bench'

/** `groups`: how many clients there are in each process of them. All are live, and have got their first event. */
export async function openHerds(processes: Processes, to: 'hub' | 'logged', groups: readonly number[]) {
  const { server, url } = await openServer(processes, to)
  const pace = await processes.start<PaceCalls>('pace')
  await pace.ask('open', { url, to, topic: TOPIC })
  const herds: Role<HerdCalls>[] = []
  for (const count of groups) {
    const herd = await processes.start<HerdCalls>('herd', `herd of the ${to}`)
    await herd.ask('attach', { url, to, topic: TOPIC, count })
    herds.push(herd)
  }
  const reached = async (offset: number) => {
    await Promise.all(herds.map((herd) => herd.ask('reached', { offset })))
  }
  await reached(await pace.ask('publish', { count: 1 }))
  return { server, pace, herds, reached }
}

async function openServer(processes: Processes, to: 'hub' | 'logged') {
  if (to === 'hub') {
    const hub = await processes.startHub()
    return { server: hub, url: hub.url }
  }
  const server = await processes.start<LoggedCalls>('logged')
  return { server, url: await server.ask('start') }
}
