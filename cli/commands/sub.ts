/** `reprise sub`: prints a topic's events from a place on, under a name whose cursor moves with what was printed. */

import { type Command, Option } from 'commander'
import type { From, OnGap } from '../../client/index.ts'
import { UsageError } from '../exit.ts'
import { follow } from '../follow.ts'
import { readPlace } from '../places.ts'
import { addRemoteOptions, checkedName, connectTo, type RemoteOptions, wholeNumber } from '../remote.ts'

interface SubOptions extends RemoteOptions {
  readonly client?: string
  readonly from?: Exclude<From, 'none'>
  readonly onGap: OnGap
  readonly count?: number
  readonly ack: boolean
}

export function addSub(root: Command): void {
  const command = root
    .command('sub')
    .description('print the events of a topic: what was missed, then what comes')
    .argument('<topic>', '', checkedName('the topic'))
  addRemoteOptions(command)
    .option(
      '--client <name>',
      'the hub keeps a cursor under this name; the next run goes on there',
      checkedName('--client'),
    )
    .option(
      '--from <place>',
      'start, end, cursor, epoch:offset, a time, or 2h for two hours ago (default: cursor with --client, else end)',
      (text: string) => readPlace(text),
    )
    .addOption(
      new Option('--on-gap <what>', 'after events that are gone: go on, go on live, or exit with 4')
        .choices(['continue', 'end', 'fail'])
        .default('continue'),
    )
    .option('-n, --count <n>', 'end after so many events', wholeNumber(1))
    .option('--no-ack', 'leave the cursor of --client where it is')
    .action(subscribe)
}

async function subscribe(topic: string, options: SubOptions): Promise<void> {
  const { client, from, onGap, count, ack } = options
  if (from === 'cursor' && client === undefined) throw new UsageError('--from cursor needs --client: whose cursor?')
  if (!ack && client === undefined) throw new UsageError('--no-ack needs --client: without one nothing is acknowledged')
  const hub = await connectTo(options, client)
  try {
    await follow(hub, topic, options, {
      onGap,
      ack: ack ? 'auto' : 'manual',
      ...(from === undefined ? {} : { from }),
      ...(count === undefined ? {} : { count }),
    })
  } finally {
    await hub.close()
  }
}
