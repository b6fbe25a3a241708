/** `reprise redrive`: brings dead letters back, part by part, so that it can be watched, paced and stopped. */

import { type Command, Option } from 'commander'
import { RepriseError } from '../../shared/errors.ts'
import { Ended, type ExitCode, UsageError } from '../exit.ts'
import { printJson, printLine } from '../output.ts'
import { readPlace } from '../places.ts'
import { startProgress } from '../progress.ts'
import {
  addRemoteOptions,
  checkedName,
  getJson,
  isRecord,
  postJson,
  queueRoute,
  type RemoteOptions,
  wholeNumber,
} from '../remote.ts'
import { listenForStop } from '../signals.ts'

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
    .description('bring the dead letters of a queue back: all, or those that fit all that is given')
    .argument('<queue>', '', checkedName('the queue'))
  addRemoteOptions(command)
    .option('--dry-run', 'only count them')
    .option('--rate <n>', 'at most so many a second', wholeNumber(1))
    .option('--id <id>', 'this one; may be given several times', collect)
    .addOption(new Option('--reason <reason>', 'why they died').choices(['max_attempts', 'rejected', 'expired', 'gap']))
    .option('--key <key>', 'those with this key')
    .option('--error <text>', 'those whose error has this text in it')
    .option('--since <time>', 'those that died at this time or later: 2h for two hours ago, or a time', time)
    .option('--before <time>', 'those that died before', time)
    .action(redrive)
}

function collect(id: string, ids: readonly string[] = []): string[] {
  return [...ids, id]
}

function time(text: string): number {
  const place = readPlace(text)
  if (typeof place === 'object' && 'at' in place) return place.at
  throw new UsageError(`${text} is not a time such as 2026-11-21T08:30:00Z, or 2h for two hours ago`)
}

async function redrive(queue: string, options: RedriveOptions): Promise<void> {
  const { id: ids, reason, key, error, since, before, rate, dryRun } = options
  const given = Object.entries({ ids, reason, key, error, since, before }).filter(([, value]) => value !== undefined)
  const filter: Record<string, unknown> = Object.fromEntries(given)
  const info = await getJson(options, queueRoute(queue))
  const total = isRecord(info) && isRecord(info.counts) ? Number(info.counts.dead) : 0
  const bar = startProgress(`redriving ${queue}`, 'dead letters', total, !options.json)
  let interrupted: ExitCode | undefined
  void listenForStop().signalled.then((code) => {
    interrupted = code
  })
  let [matched, moved] = [0, 0]
  const told = () => ({
    queue,
    matched,
    moved,
    ...(dryRun ? { dryRun } : {}),
    ...(interrupted ? { interrupted: true } : {}),
  })
  try {
    let after: string | undefined
    for (let more = true; more && interrupted === undefined; ) {
      const limit = Math.min(PART, rate ?? PART)
      const part = partOf(
        await postJson(options, `${queueRoute(queue)}/redrive`, {
          ...{ filter, limit },
          ...(dryRun === undefined ? {} : { dryRun }),
          ...(rate === undefined ? {} : { rate }),
          ...(after === undefined ? {} : { after }),
        }),
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
    if (moved === 0 || !(cause instanceof RepriseError)) throw cause
    throw new RepriseError(cause.code, `${cause.message}; ${moved} are back in ${queue} already`, { cause })
  } finally {
    bar.stop()
  }
  if (options.json) await printJson(told())
  else if (dryRun) await printLine(`${matched} dead letters of ${queue} would come back`)
  else
    await printLine(
      `${moved} dead letters are back in ${queue}${interrupted ? '; interrupted, the others stay where they are' : ''}`,
    )
  if (interrupted !== undefined) throw new Ended(interrupted)
}

function partOf(answer: unknown) {
  const { matched, moved, more, next, asOf } = isRecord(answer) ? answer : {}
  if (typeof matched !== 'number' || typeof moved !== 'number' || typeof asOf !== 'number') {
    throw new RepriseError('unavailable', 'the hub answers a redrive in an unknown form: another version?')
  }
  return { matched, moved, asOf, more: more === true, next: typeof next === 'string' ? next : undefined }
}
