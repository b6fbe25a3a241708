/** `reprise drop`: deletes a topic with its events. */

import type { Command } from 'commander'
import { addExamples } from '../examples.ts'
import { UsageError } from '../exit.ts'
import { existing } from '../input/existing.ts'
import { printJson, printLine } from '../output/output.ts'
import { addRemoteOptions, checkedTopic, deleteAt, type RemoteOptions, topicRoute } from '../remote.ts'

export function addDrop(root: Command): void {
  const command = root
    .command('drop')
    .description('Delete a topic and its events. Cursors and settings stay; readers are told what is gone.')
    .argument('<topic>', 'name of the topic', checkedTopic)
  addRemoteOptions(command).option('--yes', 'confirm: deleted events do not come back').action(drop)
  addExamples(command, ['reprise drop orders --yes', 'delete the topic "orders"'])
}

async function drop(topic: string, { yes, ...options }: RemoteOptions & { readonly yes?: true }): Promise<void> {
  if (yes === undefined) throw new UsageError(`drop deletes all events of ${topic} for good; give --yes to do it`)
  await existing(options, 'topic', topic)
  await deleteAt(options, topicRoute(topic))
  await (options.json ? printJson({ topic, dropped: true }) : printLine(`dropped ${topic}`))
}
