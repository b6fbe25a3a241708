/**
 * Reads schemas in a thread of its own, within bounds of time and memory: whoever may set one could hold the hub up
 * otherwise. The thread is there while there is something to read, and a while longer.
 */

import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'
import { Worker } from 'node:worker_threads'
import { AtOnce } from '../atOnce.ts'
import { SchemaFault } from './faults.ts'
import type { Told } from './worker.ts'

const MOST_MS = 10_000
const MOST_MB = 128
/** Then the thread ends: what it has loaded takes 20 MB. */
const IDLE_MS = 10_000

const oneByOne = new AtOnce(1)
let thread: Worker | undefined
/** Who waits for it. */
let asking: { resolve(told: Told): void; reject(cause: unknown): void } | undefined
let idle: NodeJS.Timeout | undefined

/** How many schemas wait for their turn. */
export function inLine(): number {
  return oneByOne.waiting
}

/** The text of the function that the schema means, which comes as JSON. Rejects with a `SchemaFault`. */
export async function sourceBeside(text: string): Promise<string> {
  const told = await oneByOne.run(() => ask(text))
  if ('source' in told) return told.source
  throw new SchemaFault(told.path, told.message)
}

async function ask(text: string): Promise<Told> {
  clearTimeout(idle)
  thread ??= start()
  const asked = thread
  const late = setTimeout(() => asking?.reject(new SchemaFault([], 'takes too long to read')), MOST_MS)
  try {
    return await new Promise<Told>((resolve, reject) => {
      asking = { resolve, reject }
      asked.postMessage(text)
    })
  } catch (error) {
    end()
    throw error
  } finally {
    asking = undefined
    clearTimeout(late)
    idle = setTimeout(end, IDLE_MS).unref()
  }
}

function end(): void {
  void thread?.terminate()
  thread = undefined
}

function start(): Worker {
  const bounds = { env: {}, resourceLimits: { maxOldGenerationSizeMb: MOST_MB } }
  const started = import.meta.url.endsWith('.ts')
    ? new Worker(fromSources(), { ...bounds, eval: true })
    : new Worker(new URL('./schemaWorker.cjs', import.meta.url), bounds)
  // One that was ended may still answer, and another schema is asked for by then.
  const asked = () => (thread === started ? asking : undefined)
  started.on('message', (told: Told) => asked()?.resolve(told))
  started.on('error', (cause: NodeJS.ErrnoException) =>
    asked()?.reject(
      cause.code === 'ERR_WORKER_OUT_OF_MEMORY' ? new SchemaFault([], 'takes too much memory to read') : cause,
    ),
  )
  started.on('exit', () => {
    asked()?.reject(new Error('the thread that reads schemas has ended'))
    if (thread === started) thread = undefined
  })
  started.unref()
  return started
}

/** The sources are no JavaScript yet. */
function fromSources(): string {
  const loader = createRequire(import.meta.url)
    .resolve('tsx/esm/api')
    .replace(/cjs$/, 'mjs')
  const [tsx, worker] = [pathToFileURL(loader), new URL('./worker.ts', import.meta.url)].map((url) => url.href)
  return `import('${tsx}').then(({ register }) => register()).then(() => import('${worker}'))`
}
