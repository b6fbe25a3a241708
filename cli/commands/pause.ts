/** `reprise pause` and `reprise resume`: stop and start handing out the jobs of a queue. */

import type { Command } from 'commander'
import { addExamples } from '../examples.ts'
import { existing } from '../input/existing.ts'
import { printJson, printLine } from '../output/output.ts'
import { addRemoteOptions, checkedQueue, postJson, queueRoute, type RemoteOptions } from '../remote.ts'

export function addPause(root: Command): void {
  add(root, 'pause', 'paused', 'Stop handing out the jobs of a queue. It still takes new ones.')
}

export function addResume(root: Command): void {
  add(root, 'resume', 'resumed', 'Hand out the jobs of a paused queue again.')
}

function add(root: Command, word: string, done: string, description: string): void {
  const command = root.command(word).description(description).argument('<queue>', 'name of the queue', checkedQueue)
  addRemoteOptions(command).action(async (queue: string, options: RemoteOptions) => {
    await existing(options, 'queue', queue)
    const answer = await postJson(options, `${queueRoute(queue)}/${word}`, {})
    await (options.json ? printJson(answer) : printLine(`${queue} is ${done}`))
  })
  addExamples(command, [`reprise ${word} emails`, `${word} the queue "emails"`])
}
