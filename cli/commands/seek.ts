/** `reprise seek`: moves the cursor of a client, back or forth. */

import type { Command } from 'commander'
import type { Place } from '../../shared/places.ts'
import { printable } from '../../shared/printable.ts'
import { addExamples } from '../examples.ts'
import { UsageError } from '../exit.ts'
import { existing } from '../input/existing.ts'
import { cell } from '../output/cells.ts'
import { printJson, printLine } from '../output/output.ts'
import {
  addRemoteOptions,
  checkedName,
  checkedTopic,
  isRecord,
  place,
  putJson,
  type RemoteOptions,
  strange,
  topicRoute,
} from '../remote.ts'

export interface OwnerOptions extends RemoteOptions {
  readonly subject?: string
}

export function addSeek(root: Command): void {
  const command = root
    .command('seek')
    .description(
      'Move the cursor of a client. A subscription that the client has open ends; its next one reads from there.',
    )
    .argument('<topic>', 'name of the topic', checkedTopic)
    .argument('<client>', 'name of the client', checkedName('the client'))
    .argument('<place>', 'start, end, epoch:offset, last:n, a time, or 2h for two hours ago', place)
  addRemoteOptions(command).option('--subject <subject>', "whose client it is (default: the caller's)").action(seek)
  addExamples(
    command,
    ['reprise seek orders billing start', 'read all of the topic again'],
    ['reprise seek orders billing 2h', 'read the last two hours again'],
  )
}

async function seek(topic: string, client: string, from: Place, options: OwnerOptions): Promise<void> {
  if (from === 'cursor')
    throw new UsageError('the place is where the cursor is to go: start, end, epoch:offset, a time')
  await existing(options, 'topic', topic)
  const answer = await putJson(options, cursorRoute(topic, client), { from }, subjectOf(options))
  if (!isRecord(answer.position)) throw strange(options, 'a seek in an unknown form')
  if (options.json) return await printJson({ topic, ...answer })
  const { epoch, offset } = answer.position
  await printLine(`${client} goes on behind event ${cell(offset)} of ${topic} (${printable(`${epoch}:${offset}`)})`)
}

export function cursorRoute(topic: string, client: string): string {
  return `${topicRoute(topic)}/cursors/${encodeURIComponent(client)}`
}

export function subjectOf({ subject }: OwnerOptions): Record<string, string> {
  return subject === undefined ? {} : { subject }
}
