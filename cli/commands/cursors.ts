/** `reprise cursors`: lists the cursors of a topic with their lag. */

import type { Command } from 'commander'
import { addExamples } from '../examples.ts'
import { existing } from '../input/existing.ts'
import { printListing } from '../listing.ts'
import { cell } from '../output/cells.ts'
import { printLine } from '../output/output.ts'
import {
  addRemoteOptions,
  checkedTopic,
  type Fields,
  isRecord,
  type RemoteOptions,
  topicRoute,
  wholeNumber,
} from '../remote.ts'

interface CursorOptions extends RemoteOptions {
  readonly behind?: number
}

export function addCursors(root: Command): void {
  const command = root
    .command('cursors')
    .description('List the cursors of a topic with their lag.')
    .argument('<topic>', 'name of the topic', checkedTopic)
  addRemoteOptions(command)
    .option('--behind <offset>', 'only cursors that have not seen this offset', wholeNumber(1))
    .action(list)
  addExamples(
    command,
    ['reprise cursors orders', 'every client with a cursor, and its lag'],
    ['reprise cursors orders --behind 42', 'who has not seen event 42 yet'],
  )
}

async function list(topic: string, options: CursorOptions): Promise<void> {
  const query = options.behind === undefined ? {} : { behind: String(options.behind) }
  const columns = ['client', 'subject', 'offset', 'epoch', 'lag', 'session', 'used']
  const route = `${topicRoute(topic)}/cursors`
  const some = await printListing(options, { route, list: 'cursors', query, columns, row })
  if (some) return
  // A client may wait for a topic that has no event yet; where nobody does, the name may be wrong.
  await existing(options, 'topic', topic)
  if (!options.json) await printLine(`no cursors${options.behind === undefined ? '' : ' behind that'}`)
}

function row(cursor: Fields): (string | number)[] {
  const position = isRecord(cursor.position) ? cursor.position : {}
  const used = typeof cursor.usedAt === 'number' ? new Date(cursor.usedAt).toISOString() : '-'
  const { client, subject, lag, session } = cursor
  return [...[client, subject, position.offset, position.epoch, lag, session].map(cell), used]
}
