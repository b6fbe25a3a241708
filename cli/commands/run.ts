/** `reprise run`: makes a delayed job ready now. */

import type { Command } from 'commander'
import { printable } from '../../shared/printable.ts'
import { addJobCommand } from '../jobCommand.ts'
import { cell } from '../output/cells.ts'
import { printJson, printLine } from '../output/output.ts'
import { postJson, records } from '../remote.ts'

export function addRun(root: Command): void {
  addJobCommand(root, 'run', {
    description: 'Make a delayed job ready now: one that was sent with a delay, or that waits for its next attempt.',
    queue: 'name of the queue',
    examples: [['reprise run emails order-7', 'do not wait for its time']],
    action: async (route, { queue, id }, options) => {
      const answer = await postJson(options, `${route}/run`, {})
      if (options.json) return printJson(answer)
      await printLine(`${printable(id)} in ${queue} ${answer.changed === true ? 'is ready now' : 'was ready already'}`)
      for (const why of records(answer.why)) await printLine(`why       ${printable(String(cell(why.text)))}`)
    },
  })
}
