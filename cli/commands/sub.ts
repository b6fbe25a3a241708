/** `reprise sub`: prints a topic's events from a place on, under a name whose cursor moves with what was printed. */

import { type Command, Option } from 'commander'
import type { OnGap } from '../../client/index.ts'
import type { Place } from '../../shared/places.ts'
import { addExamples } from '../examples.ts'
import { UsageError } from '../exit.ts'
import { follow } from '../follow.ts'
import { missing } from '../input/existing.ts'
import { note } from '../output/output.ts'
import {
  addRemoteOptions,
  checkedName,
  checkedTopic,
  connectTo,
  place,
  type RemoteOptions,
  wholeNumber,
} from '../remote.ts'

interface SubOptions extends RemoteOptions {
  readonly client?: string
  readonly from?: Place
  readonly onGap: OnGap
  readonly count?: number
  readonly ack: boolean
}

export function addSub(root: Command): void {
  const command = root
    .command('sub')
    .alias('subscribe')
    .description('Print the events of a topic: first what was missed, then new ones as they come.')
    .argument('<topic>', 'name of the topic', checkedTopic)
  addRemoteOptions(command)
    .option(
      '--client <name>',
      'keep a cursor under this name: the next run continues where this one ended',
      checkedName('--client'),
    )
    .option(
      '--from <place>',
      'start, end, cursor, epoch:offset, last:n, a time, or 2h for two hours ago (default: cursor with --client, else end)',
      place,
    )
    .addOption(
      new Option(
        '--on-gap <what>',
        'when events are gone: continue with the earliest kept, go on at the end, or fail with exit code 4',
      )
        .choices(['continue', 'end', 'fail'])
        .default('continue'),
    )
    .option('-n, --count <n>', 'stop after so many events', wholeNumber(1))
    .option('--no-ack', 'do not move the cursor of --client')
    .action(subscribe)
  addExamples(
    command,
    ['reprise sub orders', 'new events as they come'],
    ['reprise sub orders --client billing --from start', 'all events once; the next run continues behind them'],
    ['reprise sub orders --from 2h --json', 'the last two hours and what comes, for a program'],
  )
}

async function subscribe(topic: string, options: SubOptions): Promise<void> {
  const { client, from, onGap, count, ack } = options
  if (from === 'cursor' && client === undefined) throw new UsageError('--from cursor needs --client: whose cursor?')
  if (!ack && client === undefined) throw new UsageError('--no-ack needs --client: without one nothing is acknowledged')
  const hub = await connectTo(options, client)
  try {
    const why = await missing(options, 'topic', topic)
    if (why !== undefined) note(`reprise: ${why}; waiting for its first event`)
    await follow(hub, topic, options, {
      onGap,
      ack: ack ? 'auto' : 'manual',
      acknowledges: ack && client !== undefined,
      ...(from === undefined ? {} : { from }),
      ...(count === undefined ? {} : { count }),
    })
  } finally {
    await hub.close()
  }
}
