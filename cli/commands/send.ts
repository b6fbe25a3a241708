/** `reprise send`: sends an argument as a job, or standard input line by line, in order and no faster than the queue takes it. */

import { setTimeout as sleep } from 'node:timers/promises'
import { type Command, InvalidArgumentError } from 'commander'
import type { Queue, SendReceipt } from '../../client/index.ts'
import { hasCode } from '../../shared/errors.ts'
import { addExamples } from '../examples.ts'
import { readData } from '../input/drafts.ts'
import { addInputOptions, type Feed, feed, type InputOptions, readEntry, takesLines } from '../input/feed.ts'
import { readJobDraft } from '../input/jobDrafts.ts'
import { plural } from '../output/cells.ts'
import { note, printJson, printLine } from '../output/output.ts'
import {
  addRemoteOptions,
  checkedName,
  connectTo,
  duration,
  type Fields,
  isRecord,
  positiveDuration,
  postJson,
  queueRoute,
  strange,
  wholeNumber,
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

/** What may be on its way without a reply: enough to keep the hub busy, and soon taken where a queue is full. */
const MOST = { lines: 200, bytes: 4 * 2 ** 20 }

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
    .option('--attempts <number>', "the most attempts of this job (default: the queue's maxAttempts)", wholeNumber(1))
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
  const job = await post(queue, draft, options)
  if (options.json) return await printJson({ queue, ...job })
  await printLine(String(job.id))
  if (job.duplicate) note('this id was sent before: nothing was stored again')
}

function draftOf(given: Fields, options: SendOptions): Fields {
  const { id, key, group, header: headers, delay: delayMs, priority, ttl: ttlMs, attempts, backoff, keepDone } = options
  const common = { id, key, group, headers, priority, ttlMs, attempts, backoff, runMs: options.runTime, keepDone }
  const own = { ...common, ...(given.at === undefined ? { delayMs } : {}) }
  const draft = { ...Object.fromEntries(Object.entries(own).filter(([, value]) => value !== undefined)), ...given }
  return isRecord(given.headers) ? { ...draft, headers: { ...headers, ...given.headers } } : draft
}

async function sendLines(queue: string, options: SendOptions): Promise<void> {
  const hub = await connectTo(options)
  try {
    const send = inOrder(hub.queue(queue), options.timeout)
    let [sent, repeated] = [0, 0]
    const lines: Feed<SendReceipt> = {
      what: 'job',
      doing: `sending to ${queue}`,
      most: MOST,
      send(line) {
        return send(draftOf(readEntry(line, options, readJobDraft), options))
      },
      kept({ id, duplicate }) {
        sent++
        if (duplicate) repeated++
        return { queue, id, ...(duplicate && { duplicate }) }
      },
      told: () => `sent ${plural(sent, 'job')} to ${queue}${repeated === 0 ? '' : `, ${repeated} of them sent before`}`,
    }
    await feed(lines, options)
  } finally {
    await hub.close()
  }
}

/** A job with children is a call of its own: it goes when those before it are stored, and before those behind it. */
function inOrder(queue: Queue, timeoutMs: number): (draft: Fields) => Promise<SendReceipt> {
  let last: Promise<unknown> = Promise.resolve()
  let family: Promise<unknown> | undefined
  return ({ data, ...options }) => {
    const send = () => queue.send(data, { ...options, timeoutMs })
    const isFamily = options.children !== undefined
    const before = isFamily ? last : family
    const sent = before === undefined ? send() : before.then(send)
    last = sent.catch(() => {})
    if (isFamily) family = last
    return sent
  }
}

/** A full queue is waited for, as long as `--timeout` says. */
async function post(queue: string, draft: Fields, options: SendOptions): Promise<{ id: unknown; duplicate?: true }> {
  const deadline = performance.now() + options.timeout
  for (;;) {
    try {
      const { ids, duplicates } = await postJson(options, `${queueRoute(queue)}/jobs`, [draft])
      if (!Array.isArray(ids)) throw strange(options, 'without ids')
      return { id: ids[0], ...(duplicates === 1 && { duplicate: true }) }
    } catch (error) {
      if (!hasCode(error, 'too_many')) throw error
      const waitMs = error.retryAfterMs ?? 1_000
      if (performance.now() + waitMs > deadline) throw error
      await sleep(waitMs)
    }
  }
}
