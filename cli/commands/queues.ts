/** `reprise queues`, `pause`, `resume`, `purge`: the queues of a hub, or what the hub knows of one; stopping and emptying. */

import type { Command } from 'commander'
import { UsageError } from '../exit.ts'
import { printable, printJson, printLine, table } from '../output.ts'
import { getPages } from '../pages.ts'
import {
  addRemoteOptions,
  checkedQueue,
  getJson,
  isRecord,
  postJson,
  queueRoute,
  type RemoteOptions,
} from '../remote.ts'
import { cell } from './topics.ts'

const COUNTS = ['ready', 'delayed', 'held', 'dead', 'done'] as const
const COLUMNS = ['queue', ...COUNTS, 'oldest', 'consumers', 'paused'] as const

export function addQueues(root: Command): void {
  const command = root
    .command('queues')
    .description('list the queues of a hub, or look at one')
    .argument('[queue]', 'only this one', checkedQueue)
  addRemoteOptions(command).action((queue: string | undefined, options: RemoteOptions) =>
    queue === undefined ? list(options) : detail(queue, options),
  )
}

async function list(options: RemoteOptions): Promise<void> {
  let first = true
  for await (const page of getPages(options, '/queues', 'queues')) {
    if (options.json) for (const queue of page) await printJson(queue)
    else {
      const lines = table(COLUMNS, page.map(row))
      for (const line of first ? lines : lines.slice(1)) await printLine(line)
    }
    first = false
  }
  if (first && !options.json) await printLine('no queues yet')
}

function row({ queue, counts, oldestReadyMs, consumers, paused }: Record<string, unknown>): (string | number)[] {
  const known = isRecord(counts) ? counts : {}
  const age = typeof oldestReadyMs === 'number' ? ageText(oldestReadyMs) : '-'
  return [cell(queue), ...COUNTS.map((name) => cell(known[name])), age, cell(consumers), paused === true ? 'yes' : '-']
}

function ageText(ms: number): string {
  const units = [
    ['d', 86_400_000],
    ['h', 3_600_000],
    ['m', 60_000],
    ['s', 1_000],
  ] as const
  const [unit, size] = units.find(([, size]) => ms >= size) ?? ['ms', 1]
  return `${Math.floor(ms / size)}${unit}`
}

async function detail(queue: string, options: RemoteOptions): Promise<void> {
  const info = await getJson(options, queueRoute(queue))
  if (options.json || !isRecord(info)) return printJson(info)
  const width = Math.max(...Object.keys(info).map((name) => name.length))
  for (const [name, value] of Object.entries(info)) {
    const text = typeof value === 'object' ? JSON.stringify(value) : String(value)
    await printLine(`${name.padEnd(width)}  ${printable(text)}`)
  }
}

export function addPause(root: Command): void {
  for (const [word, description, done] of [
    ['pause', 'hand no jobs of a queue out any more; it still takes them', 'paused'],
    ['resume', 'hand the jobs of a queue out again', 'resumed'],
  ] as const) {
    const command = root.command(word).description(description).argument('<queue>', '', checkedQueue)
    addRemoteOptions(command).action(async (queue: string, options: RemoteOptions) => {
      const answer = await postJson(options, `${queueRoute(queue)}/${word}`, {})
      await (options.json ? printJson(answer) : printLine(`${queue} is ${done}`))
    })
  }
}

export function addPurge(root: Command): void {
  const command = root
    .command('purge')
    .description('remove all jobs of a queue that wait; held ones stay')
    .argument('<queue>', '', checkedQueue)
  addRemoteOptions(command)
    .option('--yes', 'needed: what is removed does not come back')
    .action(async (queue: string, { yes, ...options }: RemoteOptions & { readonly yes?: true }) => {
      if (yes === undefined) throw new UsageError(`purge removes what waits in ${queue} for good; give --yes to do it`)
      const answer = await postJson(options, `${queueRoute(queue)}/purge`, {})
      const removed = isRecord(answer) ? cell(answer.removed) : '-'
      await (options.json ? printJson(answer) : printLine(`removed ${removed} jobs from ${queue}`))
    })
}
