/** Runs a command for a job: data in, reply out, exit code for done or again. Nothing it started outlives it. */

import { type ChildProcess, spawn } from 'node:child_process'
import type { HeldJob } from '../client/index.ts'
import { parseExact } from '../shared/exactNumbers.ts'
import { UsageError } from './exit.ts'

export interface Runner {
  /** Resolves with the reply; rejects when the command failed, or the lease was lost. */
  run(job: HeldJob): Promise<unknown>
  /** Ends what still runs. */
  stop(): void
}

/** What of a command's output is kept: a reply may have no more, an error is cut shorter by the hub. */
const MAX_OUTPUT_BYTES = 1_048_576
const MAX_ERROR_BYTES = 2_000
/** After a polite end. */
const KILL_MS = 5_000

export function startRunner(program: string, args: readonly string[], { text }: { readonly text: boolean }): Runner {
  const running = new Set<ChildProcess>()
  const stop = () => {
    for (const child of running) end(child, 'SIGTERM')
  }
  // A second Ctrl-C leaves at once, and nothing behind.
  process.once('exit', stop)

  function run(job: HeldJob): Promise<unknown> {
    return new Promise((resolve, reject) => {
      // In a group of its own: Ctrl-C in the terminal is for this program, which lets the command finish.
      const child = spawn(program, args, {
        detached: true,
        stdio: ['pipe', 'pipe', 'pipe'],
        env: { ...process.env, ...variablesOf(job) },
      })
      running.add(child)
      const output: Buffer[] = []
      let outputBytes = 0
      let errors = Buffer.alloc(0)
      let lost = false
      const give = () => {
        lost = true
        end(child, 'SIGTERM')
        setTimeout(() => end(child, 'SIGKILL'), KILL_MS).unref()
      }
      job.signal.addEventListener('abort', give)
      child.stdout.on('data', (chunk: Buffer) => {
        outputBytes += chunk.length
        if (outputBytes <= MAX_OUTPUT_BYTES) output.push(chunk)
      })
      child.stderr.on('data', (chunk: Buffer) => {
        process.stderr.write(chunk)
        errors = Buffer.concat([errors, chunk]).subarray(-MAX_ERROR_BYTES)
      })
      // A command need not read its input.
      child.stdin.on('error', () => {})
      child.stdin.end(inputOf(job.data, text))
      const over = () => {
        running.delete(child)
        job.signal.removeEventListener('abort', give)
      }
      child.once('error', (error: NodeJS.ErrnoException) => {
        over()
        const why = error.code === 'ENOENT' ? 'there is no such command' : error.message
        reject(new UsageError(`${program}: ${why}`))
      })
      child.once('close', (code, signal) => {
        over()
        if (lost) return reject(job.signal.reason)
        if (code !== 0) return reject(new Error(failureOf(errors.toString(), code, signal)))
        if (outputBytes > MAX_OUTPUT_BYTES) return reject(new Error(`the output is over ${MAX_OUTPUT_BYTES} bytes`))
        resolve(replyOf(Buffer.concat(output).toString()))
      })
    })
  }

  return {
    run,
    stop() {
      process.off('exit', stop)
      stop()
    },
  }
}

function end({ pid }: ChildProcess, signal: NodeJS.Signals): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, signal)
  } catch {
    // Nobody of the group is left.
  }
}

/** Not named REPRISE_…: those are options of the hub's own commands. */
function variablesOf({ queue, id, key = '', attempts, headers = {} }: HeldJob): Record<string, string> {
  return {
    JOB_QUEUE: queue,
    JOB_ID: id,
    JOB_KEY: key,
    JOB_ATTEMPTS: String(attempts),
    JOB_HEADERS: JSON.stringify(headers),
  }
}

function inputOf(data: unknown, text: boolean): string | Uint8Array {
  if (data instanceof Uint8Array) return data
  if (data instanceof ArrayBuffer) return new Uint8Array(data)
  if (text && typeof data === 'string') return data
  return `${JSON.stringify(data)}\n`
}

/** Its last words, or how it ended. */
function failureOf(errors: string, code: number | null, signal: NodeJS.Signals | null): string {
  const words = errors.trim()
  if (words !== '') return words
  return code === null ? `the command was ended by ${signal}` : `the command ended with ${code}`
}

/** JSON where it is JSON, else text; nothing where there is nothing. */
function replyOf(output: string): unknown {
  const text = output.replace(/\r?\n$/, '')
  if (text === '') return undefined
  try {
    return parseExact(text)
  } catch {
    return text
  }
}
