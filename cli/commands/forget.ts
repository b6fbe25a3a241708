/** `reprise forget`: deletes the cursor of a client. */

import type { Command } from 'commander'
import { addExamples } from '../examples.ts'
import { printJson, printLine } from '../output/output.ts'
import { addRemoteOptions, checkedName, checkedTopic, deleteAt } from '../remote.ts'
import { cursorRoute, type OwnerOptions, subjectOf } from './seek.ts'

export function addForget(root: Command): void {
  const command = root
    .command('forget')
    .description('Delete the cursor of a client. The client begins as a new one when it subscribes again.')
    .argument('<topic>', 'name of the topic', checkedTopic)
    .argument('<client>', 'name of the client', checkedName('the client'))
  addRemoteOptions(command).option('--subject <subject>', "whose client it is (default: the caller's)").action(forget)
  addExamples(command, ['reprise forget orders billing', 'delete the cursor of "billing" on "orders"'])
}

async function forget(topic: string, client: string, options: OwnerOptions): Promise<void> {
  await deleteAt(options, cursorRoute(topic, client), subjectOf(options))
  await (options.json
    ? printJson({ topic, client, forgotten: true })
    : printLine(`forgot the cursor of ${client} on ${topic}`))
}
