/** Commands about one job of a queue: `reprise <word> <queue> <id>`. */

import { type Command, InvalidArgumentError } from 'commander'
import { addExamples, type Example } from './examples.ts'
import { existing } from './input/existing.ts'
import { addRemoteOptions, checkedQueue, queueRoute, type RemoteOptions } from './remote.ts'

interface JobCommand {
  readonly description: string
  /** What may be given as the queue. */
  readonly queue: string
  readonly examples: readonly Example[]
  /** Begins when the hub is known to have the queue. `route`: where the job is under `/v1`. */
  readonly action: (
    route: string,
    job: { readonly queue: string; readonly id: string },
    options: RemoteOptions,
  ) => Promise<void>
}

/** As a part of a path either means another path: the queue itself. */
function pathId(id: string): string {
  if (id !== '.' && id !== '..') return id
  throw new InvalidArgumentError(
    'No request over HTTP can name such a job; the SDK can, as queue.job(id) and queue.remove(id)',
  )
}

export function addJobCommand(root: Command, word: string, { description, queue, examples, action }: JobCommand): void {
  const command = root
    .command(word)
    .description(description)
    .argument('<queue>', queue, checkedQueue)
    .argument('<id>', 'id of the job', pathId)
  addRemoteOptions(command).action(async (name: string, id: string, options: RemoteOptions) => {
    await existing(options, 'queue', name)
    await action(`${queueRoute(name)}/jobs/${encodeURIComponent(id)}`, { queue: name, id }, options)
  })
  addExamples(command, ...examples)
}
