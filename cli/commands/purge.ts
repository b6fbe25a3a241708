/** `reprise purge`: removes the jobs of a queue that wait. */

import type { Command } from 'commander'
import { addExamples } from '../examples.ts'
import { UsageError } from '../exit.ts'
import { existing } from '../input/existing.ts'
import { plural } from '../output/cells.ts'
import { printJson, printLine } from '../output/output.ts'
import { addRemoteOptions, checkedQueue, postJson, queueRoute, type RemoteOptions } from '../remote.ts'

export function addPurge(root: Command): void {
  const command = root
    .command('purge')
    .description('Remove all jobs of a queue that wait, ready or delayed. Jobs that workers hold stay.')
    .argument('<queue>', 'name of the queue; <queue>/dead for its dead letters', checkedQueue)
  addRemoteOptions(command).option('--yes', 'confirm: removed jobs do not come back').action(purge)
  addExamples(command, ['reprise purge emails --yes', 'empty the queue "emails"'])
}

async function purge(queue: string, { yes, ...options }: RemoteOptions & { readonly yes?: true }): Promise<void> {
  if (yes === undefined) throw new UsageError(`purge removes what waits in ${queue} for good; give --yes to do it`)
  await existing(options, 'queue', queue)
  const answer = await postJson(options, `${queueRoute(queue)}/purge`, {})
  await (options.json ? printJson(answer) : printLine(`removed ${plural(answer.removed, 'job')} from ${queue}`))
}
