/** What a test does to a Redis Cluster: who has a slot, moving one key by key, nodes that come and go. */

import { run } from '../hub/process.ts'
import { freePorts } from '../network/ports.ts'
import { pathOf } from '../tools.ts'
import { until } from '../until.ts'
import { type RedisServer, startRedis } from './redis.ts'

export interface ClusterNode {
  readonly id: string
  readonly server: RedisServer
  readonly master: boolean
  /** First and last of each range. */
  readonly slots: readonly (readonly [number, number])[]
}

/** The cluster as the first of the servers that answers sees it. */
export async function clusterNodes(servers: readonly RedisServer[]): Promise<ClusterNode[]> {
  const text = await Promise.any(servers.map((server) => server.cli('cluster', 'nodes')))
  return text.split('\n').flatMap((line) => {
    const [id = '', address = '', flags = '', , , , , , ...ranges] = line.split(' ')
    const server = servers.find(({ port }) => address.includes(`:${port}@`))
    if (server === undefined || /fail|handshake|noaddr/.test(flags)) return []
    const slots = ranges.flatMap((range) => {
      const match = /^(\d+)(?:-(\d+))?$/.exec(range)
      return match === null ? [] : [[Number(match[1]), Number(match[2] ?? match[1])] as const]
    })
    return [{ id, server, master: flags.includes('master'), slots }]
  })
}

export function ownerOf(nodes: readonly ClusterNode[], slot: number): ClusterNode {
  const owner = nodes.find(({ master, slots }) => master && slots.some(([from, to]) => from <= slot && slot <= to))
  if (owner === undefined) throw new Error(`nobody has the slot ${slot}`)
  return owner
}

/** Moves a slot, one key at a time; `between` runs after each. */
export async function moveSlot(
  servers: readonly RedisServer[],
  slot: number,
  to: RedisServer,
  between: (moved: number) => Promise<void> = async () => {},
): Promise<void> {
  const nodes = await clusterNodes(servers)
  const from = ownerOf(nodes, slot)
  const target = nodes.find(({ server }) => server === to)
  if (target === undefined) throw new Error('the target is no node of the cluster')
  await to.cli('cluster', 'setslot', String(slot), 'importing', from.id)
  await from.server.cli('cluster', 'setslot', String(slot), 'migrating', target.id)
  for (let moved = 0; ; ) {
    const keys = (await from.server.cli('cluster', 'getkeysinslot', String(slot), '1')).split('\n').filter(Boolean)
    const [key] = keys
    if (key === undefined) break
    const said = await from.server.cli('migrate', '127.0.0.1', String(to.port), key, '0', '5000')
    if (!/^(OK|NOKEY)/.test(said)) throw new Error(`the key ${key} did not move: ${said}`)
    await between(++moved)
  }
  const masters = nodes.filter(({ master, server }) => master && server !== to && server !== from.server)
  for (const { server } of [target, from, ...masters]) {
    await server.cli('cluster', 'setslot', String(slot), 'node', target.id)
  }
}

/** A new master without slots. */
export async function addNode(servers: readonly RedisServer[], timeoutMs: number): Promise<RedisServer> {
  const [port = 0, busPort] = await freePorts(2)
  const added = await startRedis(
    {
      'cluster-enabled': 'yes',
      'cluster-config-file': 'nodes.conf',
      'cluster-node-timeout': String(timeoutMs),
      'cluster-port': String(busPort),
    },
    { port },
  )
  const [first] = servers
  if (first === undefined) throw new Error('no cluster')
  const command = [
    pathOf('redis-cli'),
    '--cluster',
    'add-node',
    `127.0.0.1:${port}`,
    `127.0.0.1:${first.port}`,
  ] as const
  const { code, stdout, stderr } = await run([...command])
  if (code !== 0) throw new Error(`the node was not added:\n${stdout}${stderr}`)
  await until(
    async () => {
      const views = await Promise.all(servers.map((server) => server.cli('cluster', 'nodes')))
      if (!/cluster_state:ok/.test(await added.cli('cluster', 'info'))) return false
      return views.every((view) => view.includes(`:${port}@`))
    },
    { what: 'everybody to know the new node', everyMs: 50 },
  )
  return added
}

/** Takes a node without slots out of the cluster; it is stopped. */
export async function removeNode(servers: readonly RedisServer[], node: RedisServer): Promise<void> {
  const found = (await clusterNodes(servers)).find(({ server }) => server === node)
  if (found === undefined) throw new Error('it is no node of the cluster')
  for (const server of servers) if (server !== node) await server.cli('cluster', 'forget', found.id).catch(() => {})
  await node.kill()
}
