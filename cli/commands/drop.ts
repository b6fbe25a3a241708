/** `reprise drop`: deletes a topic with its events, or a queue that nobody uses. */

import type { Command } from 'commander'
import { addExamples } from '../examples.ts'
import { UsageError } from '../exit.ts'
import { existing, routeOf } from '../input/existing.ts'
import { printJson, printLine } from '../output/output.ts'
import { addRemoteOptions, checkedQueue, checkedTopic, deleteAt, type RemoteOptions } from '../remote.ts'

export function addDrop(root: Command): void {
  const command = root
    .command('drop')
    .description('Delete a topic and its events, or with --queue a queue that nobody uses. Cursors and settings stay.')
    .argument('<name>', 'name of the topic, or of the queue with --queue')
  addRemoteOptions(command)
    .option('--queue', 'delete a queue that nobody uses: one without jobs, consumers, bindings and schedules')
    .option('--yes', 'confirm: what is deleted does not come back')
    .action(drop)
  addExamples(
    command,
    ['reprise drop orders --yes', 'delete the topic "orders"'],
    ['reprise drop emails --queue --yes', 'delete the unused queue "emails"'],
  )
}

interface DropOptions extends RemoteOptions {
  readonly queue?: true
  readonly yes?: true
}

async function drop(given: string, { queue, yes, ...options }: DropOptions): Promise<void> {
  const kind = queue ? 'queue' : 'topic'
  const name = queue ? checkedQueue(given) : checkedTopic(given)
  if (yes === undefined) {
    const what = queue ? `the queue ${name} and what it remembers` : `all events of ${name}`
    throw new UsageError(`drop deletes ${what} for good; give --yes to do it`)
  }
  await existing(options, kind, name)
  await deleteAt(options, routeOf(kind, name))
  await (options.json ? printJson({ [kind]: name, dropped: true }) : printLine(`dropped ${name}`))
}
