/** `reprise redrive`: brings dead letters back, part by part, so that it can be watched, paced and stopped. */

import { type Command, InvalidArgumentError, Option } from 'commander'
import { RepriseError } from '../../shared/errors.ts'
import { REDRIVE_REASON_RULE, REDRIVE_REASONS } from '../../shared/queues.ts'
import { addExamples } from '../examples.ts'
import { Ended, EXIT, type ExitCode, exitCodeOf } from '../exit.ts'
import { existing } from '../input/existing.ts'
import { plural } from '../output/cells.ts'
import { printJson, printLine } from '../output/output.ts'
import { startProgress } from '../output/progress.ts'
import {
  addRemoteOptions,
  checkedName,
  type Fields,
  isRecord,
  postJson,
  queueRoute,
  type RemoteOptions,
  strange,
  time,
  wholeNumber,
} from '../remote.ts'
import { stopSignal } from '../signals.ts'

interface RedriveOptions extends RemoteOptions {
  readonly dryRun?: true
  readonly rate?: number
  readonly id?: readonly string[]
  readonly reason?: string
  readonly key?: string
  readonly error?: string
  readonly since?: number
  readonly before?: number
}

/** Dead letters that are looked at in one call. */
const PART = 500

export function addRedrive(root: Command): void {
  const command = root
    .command('redrive')
    .description('Bring dead letters back to their queue: all of them, or those that match every given filter.')
    .argument('<queue>', 'name of the queue', checkedName('the queue'))
  addRemoteOptions(command)
    .option('--dry-run', 'count them and change nothing')
    .option('--rate <n>', 'bring back at most so many a second', wholeNumber(1))
    .option('--id <id>', 'the dead letter with this id; can be repeated', collect)
    .addOption(
      new Option('--reason <reason>', 'dead letters with this reason').choices(REDRIVE_REASONS).argParser(reasonOf),
    )
    .option('--key <key>', 'dead letters with this key')
    .option('--error <text>', 'dead letters whose error contains this text')
    .option('--since <time>', 'dead-lettered at this time or later: a time, or 2h for two hours ago', time)
    .option('--before <time>', 'dead-lettered before this time', time)
    .action(redrive)
  addExamples(
    command,
    ['reprise redrive emails --dry-run', 'how many would come back?'],
    ["reprise redrive emails --error 'mail server' --since 2h --rate 50", 'those of the last two hours, 50 a second'],
  )
}

function reasonOf(text: string): string {
  if (REDRIVE_REASONS.some((reason) => reason === text)) return text
  throw new InvalidArgumentError(`It has to be ${REDRIVE_REASON_RULE}`)
}

function collect(id: string, ids: readonly string[] = []): string[] {
  return [...ids, id]
}

async function redrive(queue: string, options: RedriveOptions): Promise<void> {
  const { id: ids, reason, key, error, since, before, rate, dryRun } = options
  const filter = { ids, reason, key, error, since, before }
  const info = await existing(options, 'queue', queue)
  const total = isRecord(info.counts) ? Number(info.counts.dead) : 0
  const bar = startProgress(`redriving ${queue}`, 'dead letters', total, !options.json)
  let interrupted: ExitCode | undefined
  void stopSignal().then((code) => {
    interrupted = code
  })
  let [matched, moved] = [0, 0]
  const limit = Math.min(PART, rate ?? PART)
  try {
    let after: string | undefined
    for (let more = true; more && interrupted === undefined; ) {
      const part = partOf(
        await postJson(options, `${queueRoute(queue)}/redrive`, { filter, limit, dryRun, rate, after }),
        options,
      )
      matched += part.matched
      moved += part.moved
      after = part.next
      more = part.more
      // What dies again meanwhile is not for this run.
      filter.before ??= part.asOf + 1
      bar.update(dryRun ? matched : moved)
    }
  } catch (cause) {
    const isUnknown = exitCodeOf(cause) === EXIT.failed
    if (dryRun || !(cause instanceof RepriseError) || (moved === 0 && !isUnknown)) throw cause
    const back = `${plural(moved, 'is', 'are')} back in ${queue} already`
    const last = isUnknown ? `, and of the last part up to ${limit} more may be: nobody answered for it` : ''
    throw new RepriseError(cause.code, `${cause.message}; ${back}${last}`, { cause })
  } finally {
    bar.stop()
  }
  if (options.json) await printJson({ queue, matched, moved, dryRun, interrupted: interrupted && true })
  else if (dryRun) await printLine(`${plural(matched, 'dead letter')} of ${queue} would come back`)
  else {
    const rest = interrupted ? '; interrupted, the others stay where they are' : ''
    await printLine(`${plural(moved, 'dead letter is', 'dead letters are')} back in ${queue}${rest}`)
  }
  if (interrupted !== undefined) throw new Ended(interrupted)
}

function partOf({ matched, moved, more, next, asOf }: Fields, options: RemoteOptions) {
  if (typeof matched !== 'number' || typeof moved !== 'number' || typeof asOf !== 'number') {
    throw strange(options, 'a redrive in an unknown form')
  }
  return { matched, moved, asOf, more: more === true, next: typeof next === 'string' ? next : undefined }
}
