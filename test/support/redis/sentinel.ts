/** A master, its replicas and the sentinels that watch them; quick to see a failure and to act on it. */

import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Child, run, startChild } from '../hub/process.ts'
import { freePort } from '../network/ports.ts'
import { tempFolder } from '../temp.ts'
import { pathOf } from '../tools.ts'
import { until } from '../until.ts'
import { type RedisServer, startRedis } from './redis.ts'

const NAME = 'main'
/** In place of the seconds that sentinels leave between what they do. A pause must not make them hold back either. */
const QUICK = 'info-period 200 ask-period 100 publish-period 200 tilt-trigger 600000'.split(' ')

export interface Sentinel {
  readonly port: number
  readonly pid: number
  cli(...args: string[]): Promise<string>
  kill(): Promise<void>
  /** With what it had written down. */
  restart(): Promise<void>
}

export interface SentinelSet {
  /** The first is the master at the start. */
  readonly servers: readonly RedisServer[]
  readonly sentinels: readonly Sentinel[]
  /** `redis-sentinel://…/main`, with `?query` where one is given. */
  url(query?: string): string
  /** The server that the sentinels that live name as the master. */
  master(): Promise<RedisServer>
  /** Resolves with the master that comes after `old`. */
  masterAfter(old: RedisServer, deadlineMs?: number): Promise<RedisServer>
  /** Resolves when every server that lives is the master's or the master, and the sentinels know all of them. */
  whole(replicas?: number): Promise<void>
}

interface SetOptions {
  readonly replicas?: number
  readonly downAfterMs?: number
  readonly config?: Readonly<Record<string, string>>
  /** More lines for the sentinels' files. */
  readonly lines?: readonly string[]
  /** Before the commands of redis-cli to the sentinels. */
  readonly cliArgs?: readonly string[]
}

export async function startSentinelSet(options: SetOptions = {}): Promise<SentinelSet> {
  const { replicas = 2, downAfterMs = 500, config = {}, lines = [], cliArgs = [] } = options
  const master = await startRedis(config)
  const others = await Promise.all(
    Array.from({ length: replicas }, () => startRedis({ ...config, replicaof: `127.0.0.1 ${master.port}` })),
  )
  const servers = [master, ...others]
  // One after the other sees that the master is down: together they would vote each for itself, and wait for long.
  const watch = (turn: number): string[] => [
    `sentinel monitor ${NAME} 127.0.0.1 ${master.port} 1`,
    `sentinel down-after-milliseconds ${NAME} ${downAfterMs * (turn + 1)}`,
    `sentinel failover-timeout ${NAME} 2000`,
    `sentinel parallel-syncs ${NAME} 2`,
    ...lines,
  ]
  const sentinels = await Promise.all([0, 1, 2].map((turn) => startSentinel(watch(turn), cliArgs)))
  const masterPort = async (): Promise<number> => {
    const said = sentinels.map(async (sentinel) => {
      const [, port] = (await sentinel.cli('sentinel', 'get-master-addr-by-name', NAME)).split('\n')
      return Number(port)
    })
    const ports = (await Promise.allSettled(said)).flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []))
    return new Set(ports).size === 1 ? (ports[0] ?? 0) : 0
  }
  const whole = async (count = replicas): Promise<void> => {
    await until(
      async () => {
        const present = await named()
        const info = await present.cli('info', 'replication')
        const synced = /role:master/.test(info) ? await reached(present, count) : 0
        const known = await Promise.all(
          sentinels.map(async ({ cli }) => {
            const text = await cli('sentinel', 'master', NAME)
            const value = (name: string) => Number(new RegExp(`^${name}\\n(\\d+)`, 'm').exec(text)?.[1])
            return value('num-other-sentinels') === 2 && value('num-slaves') >= count && !/^flags\n.*down/m.test(text)
          }),
        )
        return synced >= count && known.every(Boolean)
      },
      { what: 'the sentinels to know everybody', everyMs: 50, deadlineMs: 20_000 },
    )
  }
  const named = async (): Promise<RedisServer> => {
    const port = await masterPort()
    const found = servers.find((server) => server.port === port)
    if (found === undefined) throw new Error(`the sentinels do not agree on a master (${port})`)
    return found
  }
  await whole()
  return {
    servers,
    sentinels,
    url: (query = '') => `redis-sentinel://${sentinels.map(({ port }) => `127.0.0.1:${port}`).join()}/${NAME}${query}`,
    master: named,
    masterAfter: (old, deadlineMs = 20_000) =>
      until(
        async () => {
          const present = await named()
          if (present === old) return undefined
          return /role:master/.test(await present.cli('info', 'replication')) ? present : undefined
        },
        { what: 'another master', everyMs: 50, deadlineMs },
      ),
    whole,
  }
}

/** Replicas that have a write of this moment: `online` is said of them before they are sent any. */
export async function reached({ port }: { readonly port: number }, replicas: number): Promise<number> {
  const input = `set ~ ~\nwait ${replicas} 500\n`
  const { stdout } = await run([pathOf('redis-cli'), '-p', String(port)], { input, deadlineMs: 1_500 })
  return Number(stdout.trim().split('\n').at(-1))
}

async function startSentinel(watch: readonly string[], cliArgs: readonly string[]): Promise<Sentinel> {
  const port = await freePort()
  const file = join(await tempFolder(), 'sentinel.conf')
  await writeFile(file, [`port ${port}`, 'bind 127.0.0.1', ...watch, ''].join('\n'))
  const cli = async (...args: string[]): Promise<string> => {
    const command = [pathOf('redis-cli'), '-p', String(port), ...cliArgs, ...args] as const
    const { code, stdout, stderr } = await run([...command], { deadlineMs: 1_500 })
    if (code !== 0) throw new Error(`redis-cli ${args.join(' ')}: ${stdout}${stderr}`)
    return stdout.trim()
  }
  const launch = async (): Promise<Child> => {
    const child = startChild([pathOf('redis-server'), file, '--sentinel'])
    await until(() => cli('sentinel', 'debug', ...QUICK), { what: 'a sentinel', everyMs: 20 })
    return child
  }
  let child = await launch()
  return {
    port,
    get pid() {
      return child.pid
    },
    cli,
    kill: async () => {
      await child.kill()
    },
    restart: async () => {
      await child.kill()
      child = await launch()
    },
  }
}
