/** `reprise queues`: lists the queues of a hub, or shows what the hub knows of one. */

import type { Command } from 'commander'
import { addExamples } from '../examples.ts'
import { existing } from '../input/existing.ts'
import { printListing } from '../listing.ts'
import { ageText, cell, printFields } from '../output/cells.ts'
import { printJson, printLine } from '../output/output.ts'
import { addRemoteOptions, checkedQueue, getJson, isRecord, queueRoute, type RemoteOptions } from '../remote.ts'

const COUNTS = ['ready', 'delayed', 'held', 'dead', 'done'] as const
const COLUMNS = ['queue', ...COUNTS, 'oldest', 'consumers', 'paused'] as const

export function addQueues(root: Command): void {
  const command = root
    .command('queues')
    .description('List the queues of a hub, or show one.')
    .argument('[queue]', 'show only this one', checkedQueue)
  addRemoteOptions(command).action((queue: string | undefined, options: RemoteOptions) =>
    queue === undefined ? list(options) : detail(queue, options),
  )
  addExamples(
    command,
    ['reprise queues', 'all queues with their counts'],
    ['reprise queues emails', 'all that the hub knows of one'],
  )
}

async function list(options: RemoteOptions): Promise<void> {
  const some = await printListing(options, { route: '/queues', list: 'queues', columns: COLUMNS, row })
  if (!some && !options.json) await printLine('no queues yet')
}

function row({ queue, counts, oldestReadyMs, consumers, paused }: Record<string, unknown>): (string | number)[] {
  const known = isRecord(counts) ? counts : {}
  const age = typeof oldestReadyMs === 'number' ? ageText(oldestReadyMs) : '-'
  return [cell(queue), ...COUNTS.map((name) => cell(known[name])), age, cell(consumers), paused === true ? 'yes' : '-']
}

async function detail(queue: string, options: RemoteOptions): Promise<void> {
  await existing(options, 'queue', queue)
  const info = await getJson(options, queueRoute(queue))
  await (options.json || !isRecord(info) ? printJson(info) : printFields(info))
}
