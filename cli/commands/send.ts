/** `reprise send`: sends an argument as a job, or standard input line by line, in order and no faster than the queue takes it. */

import { setTimeout as sleep } from 'node:timers/promises'
import { type Command, InvalidArgumentError } from 'commander'
import { RepriseError } from '../../shared/errors.ts'
import { parseExact } from '../../shared/exactNumbers.ts'
import { addExamples } from '../examples.ts'
import { Ended, type ExitCode, UsageError } from '../exit.ts'
import { collectHeader, readData } from '../input/drafts.ts'
import { readJobDraft } from '../input/jobDrafts.ts'
import { readLines } from '../input/lines.ts'
import { note, printJson, printLine } from '../output/output.ts'
import { inputBytes, startProgress } from '../output/progress.ts'
import {
  addRemoteOptions,
  checkedName,
  duration,
  isRecord,
  positiveDuration,
  postJson,
  queueRoute,
  type RemoteOptions,
} from '../remote.ts'
import { listenForStop } from '../signals.ts'

interface SendOptions extends RemoteOptions {
  readonly text?: true
  readonly drafts?: true
  readonly id?: string
  readonly key?: string
  readonly header?: Readonly<Record<string, string>>
  readonly delay?: number
  readonly priority?: number
  readonly ttl?: number
}

/** What one request carries, below what the hub takes. */
const MAX_DRAFTS = 500
const MAX_BYTES = 512 * 1_024

export function addSend(root: Command): void {
  const command = root
    .command('send')
    .description('Send a job to a queue, or one for each line of standard input.')
    .argument('<queue>', 'name of the queue', checkedName('the queue'))
    .argument('[data]', 'JSON, or a plain word; without it, or with -, each line of standard input is a job')
  addRemoteOptions(command)
    .option('--text', 'take the data, or every line, as text')
    .option('--drafts', 'each line is a whole draft: {"data":…,"id":…,"key":…,"priority":…,"delayMs":…}')
    .option('--id <id>', 'store one job only, if the same id comes again within 5 minutes')
    .option('--key <key>', 'jobs with the same key run in order, one at a time')
    .option('--header <name=value>', 'add a header; can be repeated', collectHeader)
    .option('--delay <time>', 'hand it out only after this time, such as 10m', duration)
    .option('--priority <0-9>', 'higher runs first (default: the setting of the queue, 4)', priority)
    .option('--ttl <time>', 'dead-letter it if it still waits this long after it is due, such as 7d', positiveDuration)
    .action((queue: string, data: string | undefined, options: SendOptions) => send(queue, data, options))
  addExamples(
    command,
    ['reprise send emails \'{"to":"ann"}\'', 'send one job, print its id'],
    ['reprise send emails \'{"to":"bob"}\' --delay 10m --key bob', 'in ten minutes, behind the other jobs for bob'],
    ['reprise jobs emails/dead --json | reprise send emails --drafts', 'send the dead letters again as new jobs'],
  )
}

function priority(text: string): number {
  if (/^\d$/.test(text)) return Number(text)
  throw new InvalidArgumentError('It has to be a whole number from 0 to 9')
}

async function send(queue: string, data: string | undefined, options: SendOptions): Promise<void> {
  const fromInput = data === undefined || data === '-'
  if (options.text && options.drafts) throw new UsageError('--text and --drafts contradict: a draft is JSON')
  if (fromInput && options.id !== undefined) {
    throw new UsageError('--id is for one job; lines carry theirs with --drafts')
  }
  if (!fromInput && options.drafts) throw new UsageError('--drafts is for lines of standard input')
  if (fromInput) return await sendLines(queue, options)
  const draft = draftOf({ data: readData(data, options.text === true) }, options)
  const { ids, duplicatesAt } = await post(queue, [draft], options)
  const isDuplicate = duplicatesAt.has(0)
  if (options.json) return await printJson({ queue, id: ids[0], ...(isDuplicate && DUPLICATE) })
  await printLine(String(ids[0]))
  if (isDuplicate) note('this id was sent before: nothing was stored again')
}

function draftOf(given: Record<string, unknown>, options: SendOptions): Record<string, unknown> {
  const { id, key, header: headers, delay: delayMs, priority, ttl: ttlMs } = options
  const own = { id, key, headers, priority, ttlMs, ...(given.at === undefined ? { delayMs } : {}) }
  const draft = { ...Object.fromEntries(Object.entries(own).filter(([, value]) => value !== undefined)), ...given }
  return isRecord(given.headers) ? { ...draft, headers: { ...headers, ...given.headers } } : draft
}

const DUPLICATE = { duplicate: true }

interface Entry {
  readonly line: number
  readonly bytes: number
  readonly draft: Record<string, unknown>
}

async function sendLines(queue: string, options: SendOptions): Promise<void> {
  if (process.stdin.isTTY) note('each line is sent as one job; Ctrl-D ends')
  const size = inputBytes()
  const bar = startProgress(`sending to ${queue}`, size > 0 ? 'bytes' : 'jobs', size, !options.json)
  let interrupted: ExitCode | undefined
  void listenForStop().signalled.then((code) => {
    interrupted = code
    process.stdin.destroy()
  })
  let [sent, sentBytes, repeated] = [0, 0, 0]
  let waiting: Entry[] = []
  let waitingBytes = 0
  let failure: unknown
  let wrongLine: unknown
  /** One request at a time: what comes meanwhile goes with the next one. */
  let underWay: Promise<void> | undefined

  async function flush(): Promise<void> {
    while (waiting.length > 0 && failure === undefined) {
      const part = waiting
      waiting = []
      waitingBytes = 0
      try {
        const { ids, duplicatesAt } = await post(
          queue,
          part.map(({ draft }) => draft),
          options,
        )
        for (const [index, { line, bytes }] of part.entries()) {
          sent++
          sentBytes += bytes
          if (duplicatesAt.has(index)) repeated++
          if (options.json) {
            await printJson({ line, queue, id: ids[index], ...(duplicatesAt.has(index) && DUPLICATE) })
          }
        }
        bar.update(size > 0 ? sentBytes : sent)
      } catch (error) {
        failure = refused(part, error)
      }
    }
    underWay = undefined
  }

  try {
    for await (const { number, text, bytes } of readLines(process.stdin)) {
      const draft = readEntry(text, number, options)
      while (waiting.length >= MAX_DRAFTS || (waiting.length > 0 && waitingBytes + bytes > MAX_BYTES)) {
        underWay ??= flush()
        await underWay
      }
      if (failure !== undefined || interrupted !== undefined) break
      waiting.push({ line: number, bytes, draft })
      waitingBytes += bytes
      underWay ??= flush()
    }
  } catch (error) {
    // Reading fails when the interruption closes the input under it.
    if (interrupted === undefined) wrongLine = error
  }
  await underWay
  bar.stop()
  const told = `sent ${sent} ${sent === 1 ? 'job' : 'jobs'} to ${queue}${repeated === 0 ? '' : `, ${repeated} of them sent before`}`
  if (failure instanceof RepriseError) {
    throw new RepriseError(failure.code, `${failure.message}; ${told}, no other line`, { cause: failure })
  }
  if (failure !== undefined) throw failure
  if (wrongLine instanceof UsageError) throw new UsageError(`${wrongLine.message}; ${told}, nothing from that line on`)
  if (wrongLine !== undefined) throw wrongLine
  if (!options.json) await printLine(told)
  if (interrupted !== undefined) throw new Ended(interrupted)
}

/** The hub takes all drafts of a request or none, and names the one that is wrong by its place in the request. */
function refused(part: readonly Entry[], error: unknown): unknown {
  if (!(error instanceof RepriseError)) return error
  const [, place] = /^drafts?[ [](\d+)/.exec(error.message) ?? []
  const [first, last] = [part[0]?.line, part.at(-1)?.line]
  const line = place === undefined ? undefined : part[Number(place)]?.line
  const where = line !== undefined || first === last ? `line ${line ?? first}` : `lines ${first} to ${last}`
  return new RepriseError(error.code, `${where}: ${error.message}`, { cause: error })
}

function readEntry(text: string, line: number, options: SendOptions): Record<string, unknown> {
  try {
    if (options.drafts) return draftOf(readJobDraft(text), options)
    return draftOf({ data: options.text ? text : parseExact(text) }, options)
  } catch (error) {
    const hint = options.drafts || options.text ? '' : ' (give --text for lines of plain text)'
    throw new UsageError(`line ${line} is wrong: ${error instanceof Error ? error.message : String(error)}${hint}`)
  }
}

interface Posted {
  readonly ids: readonly unknown[]
  readonly duplicatesAt: ReadonlySet<unknown>
}

/** A full queue is waited for, as long as `--timeout` says. */
async function post(queue: string, drafts: readonly object[], options: SendOptions): Promise<Posted> {
  const deadline = performance.now() + options.timeout
  for (;;) {
    try {
      const answer = await postJson(options, `${queueRoute(queue)}/jobs`, drafts)
      if (isRecord(answer) && Array.isArray(answer.ids)) {
        const { ids, duplicatesAt } = answer
        return { ids, duplicatesAt: new Set(Array.isArray(duplicatesAt) ? duplicatesAt : []) }
      }
      throw new RepriseError('unavailable', `${options.url} answers without ids: another version?`)
    } catch (error) {
      if (!(error instanceof RepriseError) || error.code !== 'too_many') throw error
      const waitMs = error.retryAfterMs ?? 1_000
      if (performance.now() + waitMs > deadline) throw error
      await sleep(waitMs)
    }
  }
}
