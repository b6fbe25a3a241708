/** `reprise send`: sends an argument as a job, or standard input line by line, in order and no faster than the queue takes it. */

import { setTimeout as sleep } from 'node:timers/promises'
import { type Command, InvalidArgumentError } from 'commander'
import { hasCode, messageOf } from '../../shared/errors.ts'
import { addExamples } from '../examples.ts'
import { readData } from '../input/drafts.ts'
import { addInputOptions, type Feed, feed, type InputOptions, readEntry, reworded, takesLines } from '../input/feed.ts'
import { readJobDraft } from '../input/jobDrafts.ts'
import type { Line } from '../input/lines.ts'
import { plural } from '../output/cells.ts'
import { note, printJson, printLine } from '../output/output.ts'
import {
  addRemoteOptions,
  checkedName,
  duration,
  type Fields,
  isRecord,
  positiveDuration,
  postJson,
  queueRoute,
  strange,
} from '../remote.ts'

interface SendOptions extends InputOptions {
  readonly delay?: number
  readonly priority?: number
  readonly group?: string
  readonly ttl?: number
  readonly attempts?: number
  readonly backoff?: Backoff
  readonly runTime?: number
  readonly keepDone?: false | { readonly ageMs: number }
}

type Backoff =
  | { readonly kind: 'fixed' | 'exponential'; readonly ms: number; readonly maxMs?: number }
  | { readonly kind: 'list'; readonly ms: readonly number[] }

/** What one request carries, below what the hub takes. */
const MAX_DRAFTS = 500
const MAX_BYTES = 512 * 1_024
/** What is read: so much as is under way, and as much for the next request. */
const MOST = { lines: 2 * MAX_DRAFTS, bytes: 2 * MAX_BYTES }

export function addSend(root: Command): void {
  const command = root
    .command('send')
    .description('Send a job to a queue, or one for each line of standard input.')
    .argument('<queue>', 'name of the queue', checkedName('the queue'))
    .argument('[data]', 'JSON, or a plain word; without it, or with -, each line of standard input is a job')
  const draft = '{"data":…,"id":…,"key":…,"priority":…,"delayMs":…}'
  addInputOptions(addRemoteOptions(command), 'job', draft, 'jobs with the same key run in order, one at a time')
    .option('--delay <time>', 'hand it out only after this time, such as 10m', duration)
    .option('--group <group>', 'whose job it is, for a queue that is fair or has a groupRate (default: its key)')
    .option('--priority <0-9>', 'higher runs first (default: the setting of the queue, 4)', priority)
    .option('--ttl <time>', 'dead-letter it if it still waits this long after it is due, such as 7d', positiveDuration)
    .option('--attempts <number>', "the most attempts of this job (default: the queue's maxAttempts)", attempts)
    .option(
      '--backoff <kind:time>',
      'after a failed attempt, such as fixed:5s, exponential:1s:1h, list:1s,10s,1m',
      backoff,
    )
    .option('--run-time <time>', 'a run of it that takes longer is a failed attempt, such as 30s', positiveDuration)
    .option('--keep-done <time>', 'how long to keep what became of it, such as 7d; no: not at all', keepDone)
    .action(send)
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

function attempts(text: string): number {
  if (/^\d{1,15}$/.test(text) && Number(text) > 0) return Number(text)
  throw new InvalidArgumentError('It has to be a whole number of 1 or more')
}

function backoff(text: string): Backoff {
  const [kind, ms = '', maxMs, ...rest] = text.split(':')
  const isList = kind === 'list' && maxMs === undefined
  if ((kind !== 'fixed' && kind !== 'exponential' && !isList) || ms === '' || rest.length > 0) {
    throw new InvalidArgumentError('It has to be such as fixed:5s, exponential:1s, exponential:1s:1h or list:1s,10s,1m')
  }
  if (kind === 'list') return { kind, ms: ms.split(',').map(duration) }
  return { kind, ms: duration(ms), ...(maxMs !== undefined && { maxMs: duration(maxMs) }) }
}

function keepDone(text: string): false | { readonly ageMs: number } {
  if (text === 'no') return false
  try {
    return { ageMs: duration(text) }
  } catch (error) {
    if (!(error instanceof InvalidArgumentError)) throw error
    throw new InvalidArgumentError(`${error.message}; or no`)
  }
}

async function send(queue: string, data: string | undefined, options: SendOptions): Promise<void> {
  if (takesLines(data, options, 'job')) return await sendLines(queue, options)
  const draft = draftOf({ data: readData(data ?? '', options.text === true) }, options)
  const [job] = await post(queue, [draft], options)
  if (options.json) return await printJson({ queue, ...job })
  await printLine(String(job?.id))
  if (job?.duplicate) note('this id was sent before: nothing was stored again')
}

function draftOf(given: Fields, options: SendOptions): Fields {
  const { id, key, group, header: headers, delay: delayMs, priority, ttl: ttlMs, attempts, backoff, keepDone } = options
  const common = { id, key, group, headers, priority, ttlMs, attempts, backoff, runMs: options.runTime, keepDone }
  const own = { ...common, ...(given.at === undefined ? { delayMs } : {}) }
  const draft = { ...Object.fromEntries(Object.entries(own).filter(([, value]) => value !== undefined)), ...given }
  return isRecord(given.headers) ? { ...draft, headers: { ...headers, ...given.headers } } : draft
}

async function sendLines(queue: string, options: SendOptions): Promise<void> {
  const add = startRequests(queue, options)
  let [sent, repeated] = [0, 0]
  const lines: Feed<SentJob> = {
    what: 'job',
    doing: `sending to ${queue}`,
    most: MOST,
    send: (line) => add(line, draftOf(readEntry(line, options, readJobDraft), options)),
    kept(job) {
      sent++
      if (job.duplicate) repeated++
      return { queue, ...job }
    },
    told: () => `sent ${plural(sent, 'job')} to ${queue}${repeated === 0 ? '' : `, ${repeated} of them sent before`}`,
  }
  await feed(lines, options)
}

interface Entry {
  readonly line: Line
  readonly draft: Fields
  resolve(job: SentJob): void
  reject(error: unknown): void
}

/** One at a time: what comes meanwhile goes with the next one. After one that was refused there is none. */
function startRequests(queue: string, options: SendOptions): (line: Line, draft: Fields) => Promise<SentJob> {
  const waiting: Entry[] = []
  let isRunning = false
  let refusal: Error | undefined
  return (line, draft) =>
    new Promise((resolve, reject) => {
      if (refusal !== undefined) return reject(refusal)
      waiting.push({ line, draft, resolve, reject })
      if (!isRunning) void run()
    })

  async function run(): Promise<void> {
    isRunning = true
    while (waiting.length > 0) {
      const part = take()
      const drafts = part.map(({ draft }) => draft)
      try {
        const jobs = await post(queue, drafts, options)
        for (const [i, job] of jobs.entries()) part[i]?.resolve(job)
      } catch (error) {
        refusal = reworded(error, `${placeOf(part, error)}: ${messageOf(error)}`)
        for (const { reject } of [...part, ...waiting.splice(0)]) reject(refusal)
      }
    }
    isRunning = false
  }

  function take(): Entry[] {
    let bytes = 0
    const end = waiting.findIndex(({ line }, at) => {
      bytes += line.bytes
      return at === MAX_DRAFTS || (at > 0 && bytes > MAX_BYTES)
    })
    return waiting.splice(0, end < 0 ? waiting.length : end)
  }
}

/** The hub takes all drafts of a request or none, and names the one that is wrong by its place in the request. */
function placeOf(part: readonly Entry[], error: unknown): string {
  const [, place] = /^drafts?[ [](\d+)/.exec(messageOf(error)) ?? []
  const [first, last] = [part[0], part.at(-1)].map((entry) => entry?.line.number)
  const line = place === undefined ? undefined : part[Number(place)]?.line.number
  return line !== undefined || first === last ? `line ${line ?? first}` : `lines ${first} to ${last}`
}

interface SentJob {
  readonly id: unknown
  readonly duplicate?: true
}

/** A full queue is waited for, as long as `--timeout` says. */
async function post(queue: string, drafts: readonly Fields[], options: SendOptions): Promise<SentJob[]> {
  const deadline = performance.now() + options.timeout
  for (;;) {
    try {
      const { ids, duplicatesAt = [] } = await postJson(options, `${queueRoute(queue)}/jobs`, drafts)
      if (!Array.isArray(ids) || !Array.isArray(duplicatesAt)) throw strange(options, 'without ids')
      const repeated = new Set(duplicatesAt)
      return ids.map((id: unknown, at) => (repeated.has(at) ? { id, duplicate: true } : { id }))
    } catch (error) {
      if (!hasCode(error, 'too_many')) throw error
      const waitMs = error.retryAfterMs ?? 1_000
      if (performance.now() + waitMs > deadline) throw error
      await sleep(waitMs)
    }
  }
}
