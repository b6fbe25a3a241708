/** `reprise remove`: removes a job that waits. */

import type { Command } from 'commander'
import { printable } from '../../shared/printable.ts'
import { addExamples } from '../examples.ts'
import { existing } from '../existing.ts'
import { printJson, printLine } from '../output.ts'
import { addRemoteOptions, checkedQueue, deleteAt, queueRoute, type RemoteOptions } from '../remote.ts'

export function addRemove(root: Command): void {
  const command = root
    .command('remove')
    .description('Remove a job that waits, ready or delayed. A job that a worker holds is refused.')
    .argument('<queue>', 'name of the queue; <queue>/dead for its dead letters', checkedQueue)
    .argument('<id>', 'id of the job')
  addRemoteOptions(command).action(remove)
  addExamples(
    command,
    ['reprise remove emails order-7', 'cancel the job "order-7"'],
    ['reprise remove emails/dead order-8', 'delete a dead letter'],
  )
}

async function remove(queue: string, id: string, options: RemoteOptions): Promise<void> {
  await existing(options, 'queue', queue)
  await deleteAt(options, `${queueRoute(queue)}/jobs/${encodeURIComponent(id)}`)
  await (options.json ? printJson({ queue, id, removed: true }) : printLine(`removed ${printable(id)} from ${queue}`))
}
