/** `reprise topics`: lists the topics of a hub, or shows what the hub knows of one. */

import type { Command } from 'commander'
import { addExamples } from '../examples.ts'
import { existing } from '../input/existing.ts'
import { printListing } from '../listing.ts'
import { cell, printFields } from '../output/cells.ts'
import { printJson, printLine } from '../output/output.ts'
import { addRemoteOptions, checkedName, isRecord, type RemoteOptions } from '../remote.ts'

const COLUMNS = ['topic', 'first', 'last', 'events', 'bytes', 'subscribers', 'cursors'] as const

export function addTopics(root: Command): void {
  const command = root
    .command('topics')
    .description('List the topics of a hub, or show one.')
    .argument('[topic]', 'show only this one', checkedName('the topic'))
  addRemoteOptions(command).action((topic: string | undefined, options: RemoteOptions) =>
    topic === undefined ? list(options) : detail(topic, options),
  )
  addExamples(
    command,
    ['reprise topics', 'all topics with their kept range'],
    ['reprise topics orders', 'all that the hub knows of one'],
  )
}

async function list(options: RemoteOptions): Promise<void> {
  const some = await printListing(options, { route: '/topics', list: 'topics', columns: COLUMNS, row })
  if (!some && !options.json) await printLine('no topics yet')
}

function row(topic: Record<string, unknown>): (string | number)[] {
  return COLUMNS.map((column) => cell(topic[column]))
}

async function detail(topic: string, options: RemoteOptions): Promise<void> {
  const info = await existing(options, 'topic', topic)
  await (options.json || !isRecord(info) ? printJson(info) : printFields(info))
}
