/** Real Redis servers for a test: one with the configuration of its choice, or a cluster. */

import { once } from 'node:events'
import { type Child, run, startChild } from '../hub/process.ts'
import { freePort, freePorts } from '../network/ports.ts'
import { tempFolder } from '../temp.ts'
import { pathOf } from '../tools.ts'
import { until, within } from '../until.ts'

type Config = Readonly<Record<string, string>>

export interface RedisServer {
  /** `redis://127.0.0.1:<port>`. */
  readonly url: string
  readonly port: number
  readonly folder: string
  readonly pid: number
  /** Runs one command with redis-cli; gives what it printed. */
  cli(...args: string[]): Promise<string>
  /** Ends it; SIGKILL (the default) loses what was not written. */
  kill(signal?: NodeJS.Signals): Promise<void>
  /** Starts it again at the same port and folder, after `kill` if it still runs. */
  restart(config?: Config): Promise<void>
}

export interface RedisCluster {
  readonly nodes: readonly RedisServer[]
  /** `redis://127.0.0.1:<port of the first node>`. */
  readonly url: string
}

const DEFAULTS: Config = {
  bind: '127.0.0.1',
  save: '',
  appendonly: 'no',
  'maxmemory-policy': 'noeviction',
  'repl-diskless-sync-delay': '0',
}

export async function startRedis(config: Config = {}, options: { readonly port?: number } = {}): Promise<RedisServer> {
  const port = options.port ?? (await freePort())
  const folder = await tempFolder()
  let child = await launch({ ...config, port: String(port), dir: folder })
  return {
    url: `redis://127.0.0.1:${port}`,
    port,
    folder,
    get pid() {
      return child.pid
    },
    async cli(...args) {
      const { code, stdout, stderr } = await run([pathOf('redis-cli'), '-p', String(port), ...args])
      if (code !== 0) throw new Error(`redis-cli ${args.join(' ')}: ${stdout}${stderr}`)
      return stdout.trim()
    },
    async kill(signal = 'SIGKILL') {
      await child.kill(signal)
    },
    async restart(changed = {}) {
      await child.kill()
      child = await launch({ ...config, ...changed, port: String(port), dir: folder })
    },
  }
}

async function launch(config: Config): Promise<Child> {
  const args = Object.entries({ ...DEFAULTS, ...config }).flatMap(([name, value]) => [`--${name}`, value])
  const child = startChild([pathOf('redis-server'), ...args])
  const ready = async (): Promise<void> => {
    // A replica or a cluster node says it in other words than a single server.
    while (!/Ready to accept connections/.test(child.stdout())) {
      const stdout = child.process.stdout
      if (stdout === null) throw new Error('redis-server has no standard output')
      const ended = child.exited.then(() => {
        throw new Error(`redis-server ended:\n${child.stdout()}${child.stderr()}`)
      })
      ended.catch(() => {})
      await Promise.race([once(stdout, 'data'), ended])
    }
  }
  await within(ready(), 15_000, 'redis-server to accept connections')
  return child
}

/** Three masters, or with six nodes three masters with a replica each. */
export async function startRedisCluster(nodes: 3 | 6 = 3, config: Config = {}): Promise<RedisCluster> {
  const ports = await freePorts(nodes * 2)
  const servers = await Promise.all(
    Array.from({ length: nodes }, (_, i) => {
      const cluster: Config = {
        'cluster-enabled': 'yes',
        'cluster-config-file': 'nodes.conf',
        'cluster-node-timeout': '2000',
        'cluster-port': String(ports[nodes + i]),
      }
      const port = ports[i]
      return startRedis({ ...cluster, ...config }, port === undefined ? {} : { port })
    }),
  )
  const addresses = servers.map((server) => `127.0.0.1:${server.port}`)
  const replicas = nodes === 6 ? ['--cluster-replicas', '1'] : []
  const created = await run([
    pathOf('redis-cli'),
    '--cluster',
    'create',
    ...addresses,
    ...replicas,
    '--cluster-yes',
  ] as [string, ...string[]])
  if (created.code !== 0) throw new Error(`the cluster was not made:\n${created.stdout}${created.stderr}`)
  await Promise.all(
    servers.map((server) =>
      until(async () => /cluster_state:ok/.test(await server.cli('cluster', 'info')), {
        what: `the cluster to be well at port ${server.port}`,
        everyMs: 50,
        deadlineMs: 20_000,
      }),
    ),
  )
  const [first] = servers
  if (first === undefined) throw new Error('no nodes')
  return { nodes: servers, url: first.url }
}
