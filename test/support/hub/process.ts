/**
 * Programs as children: the hub as it is shipped (from `dist`; from its sources when those are newer), and any command.
 * A child never outlives its test.
 */

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { isFresh, ROOT } from '../../../build/build.ts'
import { atEnd } from '../ending.ts'
import { tempFolder } from '../temp.ts'
import { within } from '../until.ts'

export interface Exit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

export interface Child {
  readonly pid: number
  readonly process: ChildProcess
  /** Resolves when the process is gone and its output is read to the end. */
  readonly exited: Promise<Exit>
  /** What it has written so far. */
  stdout(): string
  stderr(): string
  /** Sends the signal (default SIGKILL) and resolves when the process is gone. */
  kill(signal?: NodeJS.Signals): Promise<Exit>
}

export interface HubProcess extends Child {
  readonly url: string
  readonly port: number
  /** The data folder. */
  readonly data: string
}

interface ChildOptions {
  readonly env?: Readonly<Record<string, string | undefined>>
  readonly cwd?: string
  /** Written to its standard input, which is then closed. Without it the input is empty. */
  readonly input?: string
  /** In a process group of its own: `kill` reaches its children too. */
  readonly group?: boolean
}

export interface HubOptions extends Omit<ChildOptions, 'input' | 'group'> {
  /** Behind `serve --port … --data …`. */
  readonly args?: readonly string[]
  /** Default: a temporary folder. */
  readonly data?: string
  /** The URL of a Redis in place of the folder. */
  readonly store?: string
  /** Default 0: a free one. Give the old one to a hub that takes another's place. */
  readonly port?: number
  /** Put before the command: `[strace, '-f', …]`. */
  readonly wrapper?: readonly string[]
  /** Default 25,000. */
  readonly deadlineMs?: number
}

/**
 * Settings of the run itself that a child must not inherit. Node reads further certificates at each start, which takes a
 * third of it; only what asks a registry needs them.
 */
const OWN_ENVIRONMENT = ['NODE_ENV', 'VITEST', 'NO_COLOR', 'FORCE_COLOR', 'NODE_OPTIONS', 'NODE_EXTRA_CA_CERTS']

/** `node` and the arguments that start the command line tool. */
export function cliCommand(): [string, ...string[]] {
  const built = process.env.REPRISE_BUILT === '1' || isFresh()
  if (built) return [process.execPath, join(ROOT, 'dist/cli/main.js')]
  return [process.execPath, '--import', import.meta.resolve('tsx'), join(ROOT, 'cli/main.ts')]
}

export function startChild(command: readonly [string, ...string[]], options: ChildOptions = {}): Child {
  const [program, ...args] = command
  const env: NodeJS.ProcessEnv = { ...process.env }
  for (const name of OWN_ENVIRONMENT) delete env[name]
  const child = spawn(program, args, {
    cwd: options.cwd ?? ROOT,
    env: { ...env, ...options.env },
    detached: options.group === true,
    stdio: [options.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
  })
  let stdout = ''
  let stderr = ''
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
  })
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  child.stdin?.on('error', () => {})
  child.stdin?.end(options.input)
  const exited = new Promise<Exit>((resolve) => {
    child.once('close', (code, signal) => resolve({ code, signal }))
    child.once('error', (error) => {
      stderr += `${error.message}\n`
      if (child.pid === undefined) resolve({ code: 127, signal: null })
    })
  })
  const send = (signal: NodeJS.Signals): void => {
    if (options.group !== true || child.pid === undefined) {
      child.kill(signal)
      return
    }
    try {
      process.kill(-child.pid, signal)
    } catch {
      // Nobody of the group is left.
    }
  }
  const kill = async (signal: NodeJS.Signals = 'SIGKILL'): Promise<Exit> => {
    if (options.group === true || (child.exitCode === null && child.signalCode === null)) send(signal)
    return exited
  }
  const killNow = (): void => send('SIGKILL')
  process.once('exit', killNow)
  void exited.then(() => process.off('exit', killNow))
  atEnd(async () => {
    await kill()
  })
  return { pid: child.pid ?? -1, process: child, exited, stdout: () => stdout, stderr: () => stderr, kill }
}

/** Runs a command to its end. */
export async function run(
  command: readonly [string, ...string[]],
  options: ChildOptions & { readonly deadlineMs?: number } = {},
): Promise<{ code: number | null; signal: NodeJS.Signals | null; stdout: string; stderr: string }> {
  const child = startChild(command, options)
  try {
    const exit = await within(child.exited, options.deadlineMs ?? 60_000, `the end of ${command.join(' ')}`)
    return { ...exit, stdout: child.stdout(), stderr: child.stderr() }
  } catch (error) {
    await child.kill()
    throw new Error(`${String(error)}\n${child.stdout()}\n${child.stderr()}`, { cause: error })
  }
}

/** Runs the command line tool to its end: `runCli(['pub', 'orders', '--url', hub.url], { input })`. */
export function runCli(args: readonly string[], options: ChildOptions & { readonly deadlineMs?: number } = {}) {
  return run([...cliCommand(), ...args], options)
}

/** Starts a hub and resolves when it serves; rejects with its standard error when it ends before that. */
export async function spawnHub(options: HubOptions = {}): Promise<HubProcess> {
  const data = options.data ?? (await tempFolder())
  const place = options.store === undefined ? ['--data', data] : ['--store', options.store]
  const serve = ['serve', '--port', String(options.port ?? 0), ...place, ...(options.args ?? [])]
  const [program = process.execPath, ...rest] = [...(options.wrapper ?? []), ...cliCommand(), ...serve]
  const child = startChild([program, ...rest], options)
  const url = await within(listening(child), options.deadlineMs ?? 25_000, 'a hub to listen').catch(async (error) => {
    await child.kill()
    throw new Error(`${(error as Error).message}\n${child.stdout()}${child.stderr()}`, { cause: error })
  })
  return { ...child, url, port: Number(new URL(url).port), data }
}

async function listening(child: Child): Promise<string> {
  const ended = child.exited.then(({ code, signal }) => {
    throw new Error(`the hub ended (${signal ?? `exit ${code}`}) before it was listening`)
  })
  ended.catch(() => {})
  for (;;) {
    const line = /listening on (https?:\/\/\S+)/.exec(child.stdout())
    if (line?.[1] !== undefined) return line[1]
    const stdout = child.process.stdout
    if (stdout === null) throw new Error('the hub has no standard output')
    await Promise.race([once(stdout, 'data'), ended])
  }
}
