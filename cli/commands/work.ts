/** `reprise work`: works on the jobs of a queue by running a command for each, or prints them as lines. */

import type { Command } from 'commander'
import type { HeldJob, Outcome, Worker } from '../../client/index.ts'
import { RepriseError } from '../../shared/errors.ts'
import { Ended, EXIT, UsageError } from '../exit.ts'
import { colours, note, printable, printLine } from '../output.ts'
import {
  addRemoteOptions,
  checkedName,
  checkedQueue,
  connectTo,
  duration,
  type RemoteOptions,
  wholeNumber,
} from '../remote.ts'
import { type Runner, startRunner } from '../runner.ts'
import { listenForStop } from '../signals.ts'
import { dataText } from './jobs.ts'

interface WorkOptions extends RemoteOptions {
  readonly client?: string
  readonly concurrency: number
  readonly lease?: number
  readonly count?: number
  readonly drain: number
  readonly text?: true
}

export function addWork(root: Command): void {
  const command = root
    .command('work')
    .description('run a command for each job of a queue, or print the jobs; both settle them')
    .argument('<queue>', '', checkedQueue)
    .argument('[command...]', 'behind --: the data is its input; exit 0 is done, its output the reply; others: again')
  addRemoteOptions(command)
    .option('--concurrency <n>', 'jobs at a time', wholeNumber(1), 1)
    .option('--client <name>', 'who holds the jobs; without it a name of its own', checkedName('--client'))
    .option('--lease <time>', 'how long a job stays with a worker that is not heard of', duration)
    .option('-n, --count <n>', 'end after so many jobs', wholeNumber(1))
    .option('--drain <time>', 'how long a stop waits for what runs', duration, 60_000)
    .option('--text', 'give data that is text to the command as it is, not as JSON')
    .action((queue: string, given: readonly string[], options: WorkOptions) => work(queue, given, options))
}

async function work(queue: string, given: readonly string[], options: WorkOptions): Promise<void> {
  const [program, ...args] = given
  if (program === undefined && options.text) throw new UsageError('--text is for a command')
  const stop = listenForStop()
  const { release, retry } = await import('../../client/index.ts')
  const hub = await connectTo(options, options.client, { drainMs: options.drain })
  const runner = program === undefined ? undefined : startRunner(program, args, { text: options.text === true })
  const { count = Number.POSITIVE_INFINITY } = options
  let taken = 0
  let done = 0
  let broken: UsageError | undefined

  async function handle(job: HeldJob): Promise<unknown | Outcome> {
    if (taken >= count) return release()
    taken++
    try {
      return await finish(job, runner, options.json === true)
    } catch (error) {
      if (!(error instanceof UsageError)) {
        if (runner === undefined || job.signal.aborted) throw error
        const why = error instanceof Error ? error.message : String(error)
        note(`reprise: job ${printable(job.id)} comes again: ${printable(lastLine(why))}`)
        return retry(undefined, why)
      }
      // Not the job's fault: the command cannot be run at all.
      broken ??= error
      void worker.close()
      return release()
    } finally {
      done++
      if (done >= count) void worker.close()
    }
  }

  const worker: Worker = hub.queue(queue).consume(handle, {
    concurrency: Math.min(options.concurrency, count),
    ...(options.lease === undefined ? {} : { leaseMs: options.lease }),
  })
  const late = startTimer(worker, options)
  const untell = tellLost(worker)
  try {
    const outcome = await Promise.race([stop.signalled, late.passed, worker.ended])
    if (outcome instanceof Error) throw outcome
    if (typeof outcome === 'number') {
      await worker.close()
      throw new Ended(outcome)
    }
    if (broken !== undefined) throw broken
    if (outcome.code !== 'closed') throw 'error' in outcome ? outcome.error : new Ended(EXIT.failed)
  } finally {
    late.clear()
    untell()
    await hub.close()
    runner?.stop()
  }
}

async function finish(job: HeldJob, runner: Runner | undefined, json: boolean): Promise<unknown> {
  if (runner !== undefined) return await runner.run(job)
  await printLine(json ? jobJson(job) : jobText(job))
  return undefined
}

/** The job without its lease: it is settled when the line is written. */
function jobJson({ queue, id, key, headers, attempts, deliveries, sentAt, data }: HeldJob): string {
  return JSON.stringify({ queue, id, key, headers, attempts, deliveries, sentAt, ...contentOf(data) })
}

function jobText({ id, key, data }: HeldJob): string {
  const paint = colours()
  const labels = [id, key].flatMap((label, at) =>
    label === undefined ? [] : [at === 0 ? paint.dim(printable(label)) : paint.cyan(printable(label))],
  )
  return [...labels, dataText(contentOf(data), Number.POSITIVE_INFINITY)].join('  ')
}

function contentOf(data: unknown): Record<string, unknown> {
  if (data instanceof Uint8Array) return { base64: Buffer.from(data).toString('base64') }
  if (data instanceof ArrayBuffer) return { base64: Buffer.from(data).toString('base64') }
  return { data }
}

/** The SDK tries for ever; a command that never got through says so. */
function startTimer(worker: Worker, { url, timeout }: RemoteOptions): { passed: Promise<Error>; clear(): void } {
  let timer: NodeJS.Timeout | undefined
  let last: RepriseError | undefined
  const undo = worker.onStatus((status) => {
    if (status.state === 'offline') last = status.reason
    else if (status.state !== 'connecting') clear()
  })
  function clear(): void {
    clearTimeout(timer)
    undo()
  }
  const passed = new Promise<Error>((resolve) => {
    timer = setTimeout(() => {
      resolve(last ?? new RepriseError('timeout', `no jobs could be asked for at ${url} within ${timeout} ms`))
    }, timeout)
  })
  return { passed, clear }
}

/** Leases that were lost; what the command says is told where it fails. */
function tellLost(worker: Worker): () => void {
  return worker.onError(({ error, job, then }) => {
    const why = error instanceof Error ? error.message : String(error)
    note(`reprise: job ${printable(job.id)}: ${then}: ${printable(lastLine(why))}`)
  })
}

function lastLine(text: string): string {
  return text.split('\n').at(-1) ?? ''
}
