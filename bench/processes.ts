/** The processes of a question: the hub, its peers, publishers and subscribers, each one a child. None outlives it. */

import { type ChildProcess, fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync } from 'node:fs'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { freePort } from '../test/support/network/ports.ts'
import { modulePath } from './client.ts'
import { compileBench } from './compile.ts'
import type { Product } from './product.ts'
import type { Ask, Calls, Told } from './role.ts'
import { programOf } from './scenes/programs.ts'

export interface Role<C extends Calls> {
  readonly pid: number
  /** Makes a call in the child; rejects with its error, or when it ended before the answer. */
  ask<K extends keyof C & string>(call: K, ...params: Parameters<C[K]>): Promise<Awaited<ReturnType<C[K]>>>
  stop(): Promise<void>
}

/** What probe.mjs answers. */
export interface ProbeCalls extends Calls {
  memory(): NodeJS.MemoryUsage
  watch(): void
  unwatch(): number[]
  rss(): number
  cpu(): NodeJS.CpuUsage
}

interface ServerRole {
  readonly pid: number
  stop(): Promise<void>
}

export interface RedisRole extends ServerRole {
  /** `redis://127.0.0.1:PORT`. */
  readonly url: string
}

export interface NatsRole extends ServerRole {
  readonly port: number
}

export interface HubRole extends Role<ProbeCalls> {
  readonly url: string
}

/** So that each has a name of its own. */
let profiles = 0

const ANSWER_MS = 120_000
const START_MS = 60_000
const ROOT = fileURLToPath(new URL('..', import.meta.url))

export class Processes implements AsyncDisposable {
  readonly product: Product
  readonly #profileTo: string | undefined
  readonly #dataUnder: string
  readonly #roles = new Set<{ stop(): Promise<void> }>()
  readonly #folders: string[] = []
  readonly #kills = new Set<() => void>()
  readonly #killAll = (): void => {
    for (const kill of this.#kills) kill()
  }
  #programs: string | undefined

  /** `profileTo`: a folder for a CPU profile of every process. `dataUnder`: a folder on the disk to measure. */
  constructor(product: Product, options: { readonly profileTo?: string; readonly dataUnder?: string } = {}) {
    this.product = product
    this.#profileTo = options.profileTo
    this.#dataUnder = options.dataUnder ?? tmpdir()
    process.once('exit', this.#killAll)
  }

  async dataFolder(): Promise<string> {
    const folder = await mkdtemp(join(this.#dataUnder, 'reprise-bench-'))
    this.#folders.push(folder)
    return join(folder, 'data')
  }

  /** Starts `roles/<name>.ts`. `label`: how it is called in errors. */
  async start<C extends Calls>(name: string, label = name): Promise<Role<C>> {
    const { root, form } = this.product
    const child = fork(join(this.#compiled(), 'roles', `${name}.js`), [JSON.stringify({ root, form })], {
      execArgv: [...this.#loader(), '--expose-gc', ...this.#profiling(name)],
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    })
    const role = this.#adopt<C>(label, child)
    await within(once(child, 'message'), START_MS, `the start of ${name}`)
    return role
  }

  /** Starts a Redis that appends to a file on the disk that is measured. */
  async startRedis(appendfsync: 'always' | 'everysec'): Promise<RedisRole> {
    const port = await freePort()
    const folder = await this.dataFolder()
    await mkdir(folder)
    const settings = { port, bind: '127.0.0.1', dir: folder, save: '', appendonly: 'yes', appendfsync }
    const args = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, String(value)])
    const child = spawn(programOf('redis-server'), args, { stdio: ['ignore', 'pipe', 'inherit'] })
    const server = this.#adoptServer(child)
    const ready = said(child, child.stdout, /(Ready to accept connections)/, 'Redis')
    await within(ready, START_MS, 'a Redis to accept connections')
    return { ...server, url: `redis://127.0.0.1:${port}` }
  }

  /** Starts a NATS with streams on the disk that is measured, and otherwise as it comes. */
  async startNats(): Promise<NatsRole> {
    const port = await freePort()
    const args = ['--addr', '127.0.0.1', '--port', String(port), '--jetstream', '--store_dir', await this.dataFolder()]
    const child = spawn(programOf('nats-server'), args, { stdio: ['ignore', 'inherit', 'pipe'] })
    const server = this.#adoptServer(child)
    await within(said(child, child.stderr, /(Server is ready)/, 'NATS'), START_MS, 'a NATS to be ready')
    return { ...server, port }
  }

  /**
   * Starts `reprise serve` of the chosen build, with a store of its own or at the one that is given. `options`: what its
   * configuration file has.
   */
  async startHub(label = 'hub', store?: string, options?: object): Promise<HubRole> {
    const place = store === undefined ? ['--data', await this.dataFolder()] : ['--store', store]
    const args = ['serve', '--port', '0', ...place, '--log-level', 'error']
    if (options !== undefined) {
      const file = `${await this.dataFolder()}.yaml`
      await writeFile(file, JSON.stringify(options))
      args.push('--config', file)
    }
    const probe = new URL('probe.mjs', import.meta.url).href
    const child = fork(modulePath(this.product, 'cli/main'), args, {
      execArgv: [...this.#loader(), '--import', probe, '--expose-gc', ...this.#profiling(label)],
      stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
    })
    const role = this.#adopt<ProbeCalls>(label, child)
    const url = await within(
      said(child, child.stdout, /listening on (http:\/\/\S+)/, 'the hub'),
      START_MS,
      'a hub to listen',
    )
    return { ...role, url }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Those that were started first are what the others need: hubs end while their Redis is there.
    for (const role of [...this.#roles].reverse()) await role.stop()
    process.off('exit', this.#killAll)
    for (const folder of this.#folders) await rm(folder, { recursive: true, force: true, maxRetries: 3 })
  }

  #compiled(): string {
    if (this.#programs === undefined) {
      this.#programs = mkdtempSync(join(ROOT, '.build-bench-'))
      this.#folders.push(this.#programs)
      compileBench(this.#programs)
    }
    return this.#programs
  }

  /** Sources need one; a build has none. */
  #loader(): string[] {
    return this.product.form === 'ts' ? ['--import', import.meta.resolve('tsx')] : []
  }

  #profiling(name: string): string[] {
    if (this.#profileTo === undefined) return []
    profiles += 1
    return ['--cpu-prof', '--cpu-prof-dir', this.#profileTo, '--cpu-prof-name', `${name}-${profiles}.cpuprofile`]
  }

  /** A program that is not ours: it ends at once. */
  #adoptServer(child: ChildProcess): ServerRole {
    const gone = once(child, 'exit')
    const killNow = () => child.kill('SIGKILL')
    this.#kills.add(killNow)
    const role: ServerRole = {
      pid: child.pid ?? -1,
      stop: async () => {
        this.#roles.delete(role)
        killNow()
        await gone
        this.#kills.delete(killNow)
      },
    }
    this.#roles.add(role)
    return role
  }

  #adopt<C extends Calls>(name: string, child: ChildProcess): Role<C> {
    const waiting = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>()
    let lastId = 0
    child.on('message', (message) => {
      const told = message as Told
      if ('ready' in told) return
      const waiter = waiting.get(told.id)
      waiting.delete(told.id)
      if ('error' in told) waiter?.reject(new Error(`${name}: ${told.error}`))
      else waiter?.resolve(told.value)
    })
    const gone = once(child, 'exit').then(([code, signal]) => {
      for (const waiter of waiting.values()) waiter.reject(new Error(`${name} ended (${signal ?? `exit ${code}`})`))
    })
    const killNow = () => child.kill('SIGKILL')
    this.#kills.add(killNow)
    const role: Role<C> = {
      pid: child.pid ?? -1,
      ask: (call, ...[params]) => {
        const id = ++lastId
        const answer = new Promise<unknown>((resolve, reject) => {
          waiting.set(id, { resolve, reject })
          child.send({ id, call, params } satisfies Ask, (error) => error && reject(error))
        })
        return within(answer, ANSWER_MS, `${name} to answer ${call}`) as ReturnType<typeof role.ask>
      },
      stop: async () => {
        this.#roles.delete(role)
        if (child.connected) child.disconnect()
        const late = setTimeout(killNow, 10_000)
        await gone
        clearTimeout(late)
        this.#kills.delete(killNow)
      },
    }
    this.#roles.add(role)
    return role
  }
}

/** What a program's output has in the place that the pattern marks. */
function said(child: ChildProcess, output: Readable | null, pattern: RegExp, who: string): Promise<string> {
  let text = ''
  output?.setEncoding('utf8')
  return new Promise((resolve, reject) => {
    output?.on('data', (part: string) => {
      if (text.length < 65_536) text += part
      const found = pattern.exec(text)?.[1]
      if (found !== undefined) resolve(found)
    })
    child.once('exit', () => reject(new Error(`${who} ended before it was ready`)))
  })
}

async function within<T>(promise: Promise<T>, ms: number, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${ms / 1000} s for ${what}`)), ms)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}
