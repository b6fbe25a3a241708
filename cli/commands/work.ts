/** `reprise work`: works on the jobs of a queue by running a command for each, or prints them as lines. */

import { type Command, Option } from 'commander'
import type { HeldJob, Outcome, Worker } from '../../client/index.ts'
import { messageOf } from '../../shared/errors.ts'
import { printable } from '../../shared/printable.ts'
import { addExamples } from '../examples.ts'
import { Ended, EXIT, UsageError } from '../exit.ts'
import { missing } from '../input/existing.ts'
import { dataText } from '../output/cells.ts'
import { jsonContent } from '../output/events.ts'
import { colours, note, printLine } from '../output/output.ts'
import { patience } from '../patience.ts'
import {
  addRemoteOptions,
  checkedName,
  checkedQueue,
  connectTo,
  duration,
  positiveDuration,
  type RemoteOptions,
  wholeNumber,
} from '../remote.ts'
import { type Runner, startRunner } from '../runner.ts'
import { stopSignal } from '../signals.ts'

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
    .description('Run a command for each job of a queue. Without a command, print the jobs and settle them as done.')
    .argument('<queue>', 'name of the queue; <queue>/dead for its dead letters', checkedQueue)
    .argument(
      '[command...]',
      'command to run, after --: reads the data from standard input; exit code 0 is done, any other is a failed attempt',
    )
  addRemoteOptions(command)
    .option('--concurrency <n>', 'run so many jobs at a time', wholeNumber(1), 1)
    .option(
      '--client <name>',
      'name of the worker: after a restart it keeps the jobs that it held',
      checkedName('--client'),
    )
    .option(
      '--lease <time>',
      'how long a silent worker keeps a job (default: the setting of the queue)',
      positiveDuration,
    )
    .option('-n, --count <n>', 'stop after so many jobs', wholeNumber(1))
    .addOption(
      new Option('--drain <time>', 'how long a stop waits for running commands')
        .default(60_000, '60s')
        .argParser(duration),
    )
    .option('--text', 'pass text data to the command as it is, not as JSON')
    .action((queue: string, given: readonly string[], options: WorkOptions) => work(queue, given, options))
  addExamples(
    command,
    ['reprise work emails -- ./send-mail.sh', 'run a script for each job'],
    ['reprise work emails --concurrency 8 --client mailer-1 -- node mail.js', 'eight at a time'],
    ['reprise work emails --count 1', 'take one job, print it, settle it as done'],
  )
}

async function work(queue: string, given: readonly string[], options: WorkOptions): Promise<void> {
  const [program, ...args] = given
  if (program === undefined && options.text) throw new UsageError('--text is for a command')
  const stopped = stopSignal()
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
        const why = messageOf(error)
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

  const why = await missing(options, 'queue', queue)
  if (why !== undefined) note(`reprise: ${why}; waiting for its first job`)
  const worker: Worker = hub.queue(queue).consume(handle, {
    concurrency: Math.min(options.concurrency, count),
    ...(options.lease === undefined ? {} : { leaseMs: options.lease }),
  })
  const started = patience(worker, 'no jobs could be asked for', options)
  const untell = tellLost(worker)
  try {
    const outcome = await Promise.race([stopped, started.late, worker.ended])
    if (outcome instanceof Error) throw outcome
    if (typeof outcome === 'number') {
      await worker.close()
      throw new Ended(outcome)
    }
    if (broken !== undefined) throw broken
    if (outcome.code !== 'closed') throw 'error' in outcome ? outcome.error : new Ended(EXIT.failed)
  } finally {
    started.clear()
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
  return JSON.stringify({ queue, id, key, headers, attempts, deliveries, sentAt, ...jsonContent(data) })
}

function jobText({ id, key, data }: HeldJob): string {
  const paint = colours()
  const labels = [id, key].flatMap((label, at) =>
    label === undefined ? [] : [at === 0 ? paint.dim(printable(label)) : paint.cyan(printable(label))],
  )
  return [...labels, dataText(jsonContent(data), Number.POSITIVE_INFINITY)].join('  ')
}

/** Leases that were lost; what the command says is told where it fails. */
function tellLost(worker: Worker): () => void {
  return worker.onError(({ error, job, then }) => {
    note(`reprise: job ${printable(job.id)}: ${then}: ${printable(lastLine(messageOf(error)))}`)
  })
}

function lastLine(text: string): string {
  return text.split('\n').at(-1) ?? ''
}
