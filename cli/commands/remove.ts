/** `reprise remove`: removes a job that waits. */

import type { Command } from 'commander'
import { printable } from '../../shared/printable.ts'
import { addJobCommand } from '../jobCommand.ts'
import { printJson, printLine } from '../output/output.ts'
import { deleteAt } from '../remote.ts'

export function addRemove(root: Command): void {
  addJobCommand(root, 'remove', {
    description: 'Remove a job that waits, ready or delayed. A job that a worker holds is refused.',
    queue: 'name of the queue; <queue>/dead for its dead letters',
    examples: [
      ['reprise remove emails order-7', 'cancel the job "order-7"'],
      ['reprise remove emails/dead order-8', 'delete a dead letter'],
    ],
    action: async (route, { queue, id }, options) => {
      await deleteAt(options, route)
      if (options.json) await printJson({ queue, id, removed: true })
      else await printLine(`removed ${printable(id)} from ${queue}`)
    },
  })
}
