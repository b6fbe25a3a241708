/** The processes of a question: the hub, its peers, publishers and subscribers, each one a child. None outlives it. */

import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { modulePath } from './client.ts'
import { compileBench } from './compile.ts'
import type { Product } from './product.ts'
import type { Ask, Calls, Told } from './role.ts'

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
  cpu(): NodeJS.CpuUsage
}

export interface HubRole extends Role<ProbeCalls> {
  readonly url: string
}

const ANSWER_MS = 120_000
const START_MS = 20_000
const ROOT = fileURLToPath(new URL('..', import.meta.url))

export class Processes implements AsyncDisposable {
  readonly product: Product
  readonly #profileTo: string | undefined
  readonly #dataUnder: string
  readonly #roles = new Set<{ stop(): Promise<void> }>()
  readonly #folders: string[] = []
  #programs: string | undefined

  /** `profileTo`: a folder for a CPU profile of every process. `dataUnder`: a folder on the disk to measure. */
  constructor(product: Product, options: { readonly profileTo?: string; readonly dataUnder?: string } = {}) {
    this.product = product
    this.#profileTo = options.profileTo
    this.#dataUnder = options.dataUnder ?? tmpdir()
  }

  async dataFolder(): Promise<string> {
    const folder = await mkdtemp(join(this.#dataUnder, 'reprise-bench-'))
    this.#folders.push(folder)
    return join(folder, 'data')
  }

  /** Starts `roles/<name>.ts`. */
  async start<C extends Calls>(name: string): Promise<Role<C>> {
    const { root, form } = this.product
    const child = fork(join(this.#compiled(), 'roles', `${name}.js`), [JSON.stringify({ root, form })], {
      execArgv: [...this.#loader(), '--expose-gc', ...this.#profiling(name)],
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    })
    const role = this.#adopt<C>(name, child)
    await within(once(child, 'message'), START_MS, `the start of ${name}`)
    return role
  }

  /** Starts `reprise serve` of the chosen build, with a store of its own. */
  async startHub(label = 'hub'): Promise<HubRole> {
    const args = ['serve', '--port', '0', '--data', await this.dataFolder(), '--log-level', 'error']
    const probe = new URL('probe.mjs', import.meta.url).href
    const child = fork(modulePath(this.product, 'cli/main'), args, {
      execArgv: [...this.#loader(), '--import', probe, '--expose-gc', ...this.#profiling(label)],
      stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
    })
    const role = this.#adopt<ProbeCalls>(label, child)
    const url = await within(listening(child), START_MS, 'a hub to listen')
    return { ...role, url }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#roles].map((role) => role.stop()))
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
    return ['--cpu-prof', '--cpu-prof-dir', this.#profileTo, '--cpu-prof-name', `${name}-${Date.now()}.cpuprofile`]
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
    process.once('exit', killNow)
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
        process.off('exit', killNow)
      },
    }
    this.#roles.add(role)
    return role
  }
}

function listening(child: ChildProcess): Promise<string> {
  let text = ''
  child.stdout?.setEncoding('utf8')
  return new Promise((resolve, reject) => {
    child.stdout?.on('data', (part: string) => {
      text += part
      const url = /listening on (http:\/\/\S+)/.exec(text)?.[1]
      if (url !== undefined) resolve(url)
    })
    child.once('exit', () => reject(new Error('the hub ended before it was listening')))
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
