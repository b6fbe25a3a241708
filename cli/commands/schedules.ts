/** `reprise schedules`: lists the schedules of a queue, puts, runs and removes one. */

import { type Command, Option } from 'commander'
import { printable } from '../../shared/printable.ts'
import { addExamples } from '../examples.ts'
import { UsageError } from '../exit.ts'
import { readData } from '../input/drafts.ts'
import { existing } from '../input/existing.ts'
import { printListing } from '../listing.ts'
import { ageText, cell, printFields, timeText } from '../output/cells.ts'
import { printJson, printLine } from '../output/output.ts'
import {
  addRemoteOptions,
  checkedName,
  deleteAt,
  duration,
  type Fields,
  getJson,
  positiveDuration,
  postJson,
  putJson,
  queueRoute,
  type RemoteOptions,
  wholeNumber,
} from '../remote.ts'

interface PutOptions extends RemoteOptions {
  readonly cron?: string
  readonly every?: number
  readonly zone?: string
  readonly start?: number
  readonly end?: number
  readonly limit?: number
  readonly missed?: string
  readonly key?: string
  readonly priority?: number
  readonly delay?: number
  readonly ttl?: number
  readonly text?: true
}

export function addSchedules(root: Command): void {
  const schedules = root
    .command('schedules')
    .description('List the schedules of a queue, which add jobs again and again; put, run and remove them.')
  const list = schedules
    .command('list', { isDefault: true })
    .description('List the schedules of a queue with their next times, or show one.')
    .argument('<queue>', 'name of the queue', checkedName('the queue'))
    .argument('[name]', 'show only this one', checkedName('the schedule'))
  addRemoteOptions(list).action(show)
  addPut(schedules)
  const run = withName(schedules.command('run').description('Add a job of a schedule now, beside those of its times.'))
  addRemoteOptions(run).action(async (queue: string, name: string, options: RemoteOptions) => {
    const ran = await postJson(options, `${routeOf(queue, name)}/run`, undefined)
    await (options.json ? printJson({ queue, name, ...ran }) : printLine(printable(String(ran.id))))
  })
  const remove = withName(schedules.command('remove').description('Remove a schedule. Jobs that it has added stay.'))
  addRemoteOptions(remove).action(async (queue: string, name: string, options: RemoteOptions) => {
    await deleteAt(options, routeOf(queue, name))
    await (options.json ? printJson({ queue, name, removed: true }) : printLine(`removed ${name} of ${queue}`))
  })
  const listing = ['reprise schedules reports', 'what is due when'] as const
  addExamples(schedules, listing, ['reprise schedules run reports daily', 'add a job of "daily" now'])
  addExamples(list, listing, ['reprise schedules reports daily', 'all that the hub knows of one'])
  addExamples(run, ['reprise schedules run reports daily', 'add a job of "daily" now, print its id'])
  addExamples(remove, ['reprise schedules remove reports daily', 'no more jobs of "daily"'])
}

function addPut(schedules: Command): void {
  const put = withName(
    schedules.command('put').description('Make a schedule, or change it: give all of it, as what is left out is gone.'),
  ).argument('<data>', 'what its jobs hold: JSON, or a plain word')
  addRemoteOptions(put)
    .option(
      '--cron <fields>',
      "minute hour day month weekday, such as '0 9 * * MON-FRI'; six fields begin with the second",
    )
    .option('--every <time>', 'in place of --cron: every so long, such as 30s or 12h', positiveDuration)
    .option('--zone <name>', 'time zone of --cron, such as Europe/Berlin (default: UTC)')
    .option('--start <time>', 'not before, such as 2026-11-21T08:30:00Z', pointInTime)
    .option('--end <time>', 'not after', pointInTime)
    .option('--limit <n>', 'over after so many jobs', wholeNumber(1))
    .addOption(new Option('--missed <policy>', 'what becomes of times that nobody saw').choices(['one', 'all', 'none']))
    .option('--key <key>', 'key of its jobs, which then run one at a time')
    .option('--priority <0-9>', 'priority of its jobs', wholeNumber(0))
    .option('--delay <time>', 'hand its jobs out so long after they are due', duration)
    .option('--ttl <time>', 'dead-letter its jobs if they still wait this long after they are due', positiveDuration)
    .option('--text', 'the data is text, not JSON')
    .action(putOne)
  addExamples(
    put,
    [
      'reprise schedules put reports daily \'{"of":"sales"}\' --cron \'0 9 * * MON-FRI\' --zone Europe/Berlin',
      'at nine',
    ],
    ['reprise schedules put metrics collect all --every 30s', 'every 30 seconds'],
  )
}

function withName(command: Command): Command {
  return command
    .argument('<queue>', 'name of the queue', checkedName('the queue'))
    .argument('<name>', 'name of the schedule', checkedName('the schedule'))
}

function routeOf(queue: string, name: string): string {
  return `${queueRoute(queue)}/schedules/${encodeURIComponent(name)}`
}

function pointInTime(text: string): number {
  const at = /^\d{4}-\d\d-\d\d/.test(text) ? Date.parse(text) : Number.NaN
  if (Number.isNaN(at)) throw new UsageError(`${text} is not a time such as 2026-11-21T08:30:00Z`)
  return at
}

async function putOne(queue: string, name: string, data: string, options: PutOptions): Promise<void> {
  const { cron, every: everyMs, zone: timeZone, start: startAt, end: endAt, limit, missed } = options
  const { key, priority, delay: delayMs, ttl: ttlMs } = options
  if ((cron === undefined) === (everyMs === undefined))
    throw new UsageError('give --cron or --every: exactly one of them')
  const draft = { data: readData(data, options.text === true), key, priority, delayMs, ttlMs }
  const spec = { cron, everyMs, timeZone, draft, startAt, endAt, limit, missed }
  await print(await putJson(options, routeOf(queue, name), spec), options)
}

async function show(queue: string, name: string | undefined, options: RemoteOptions): Promise<void> {
  if (name !== undefined) return await print(await getJson(options, routeOf(queue, name)), options)
  const columns = ['name', 'when', 'zone', 'next', 'last', 'fired', 'missed']
  const some = await printListing(options, { route: `${queueRoute(queue)}/schedules`, list: 'schedules', columns, row })
  if (some) return
  await existing(options, 'queue', queue)
  if (!options.json) await printLine(`no schedules in ${queue}`)
}

function row({ name, cron, everyMs, timeZone, next, lastAt, fired, missedCount }: Fields): (string | number)[] {
  const when = typeof everyMs === 'number' ? `every ${everyText(everyMs)}` : cell(cron)
  const [first] = Array.isArray(next) ? next : []
  return [
    cell(name),
    when,
    cell(timeZone),
    first === undefined ? 'over' : timeText(first),
    timeText(lastAt),
    cell(fired),
    cell(missedCount),
  ]
}

/** Exact where a unit fits. */
function everyText(ms: number): string {
  const text = ageText(ms)
  const [, count = '', unit = ''] = /^(\d+)(\w+)$/.exec(text) ?? []
  const size = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1_000 }[unit] ?? 1
  return Number(count) * size === ms ? text : `${ms}ms`
}

async function print(schedule: Fields, options: RemoteOptions): Promise<void> {
  if (options.json) return await printJson(schedule)
  const { next, startAt, endAt, lastAt, ...rest } = schedule
  const times = Array.isArray(next) ? next.map(timeText).join(' ') : ''
  const known = Object.entries({ startAt, endAt, lastAt }).filter(([, at]) => typeof at === 'number')
  const told = known.map(([field, at]) => [field, timeText(at)])
  await printFields({ ...rest, ...Object.fromEntries(told), next: times === '' ? 'over' : times })
}
