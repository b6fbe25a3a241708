/** `reprise cursors`: who reads a topic under a name, and how far each is behind. */

import type { Command } from 'commander'
import { printJson, printLine, table } from '../output.ts'
import { getPages } from '../pages.ts'
import { addRemoteOptions, checkedName, isRecord, type RemoteOptions, wholeNumber } from '../remote.ts'
import { cell } from './topics.ts'

interface CursorOptions extends RemoteOptions {
  readonly behind?: number
}

export function addCursors(root: Command): void {
  const command = root
    .command('cursors')
    .description('list the cursors of a topic: who is where')
    .argument('<topic>', '', checkedName('the topic'))
  addRemoteOptions(command)
    .option('--behind <offset>', 'only those that have not seen this offset', wholeNumber(1))
    .action(list)
}

async function list(topic: string, options: CursorOptions): Promise<void> {
  const query = options.behind === undefined ? {} : { behind: String(options.behind) }
  let first = true
  for await (const page of getPages(options, `/topics/${encodeURIComponent(topic)}/cursors`, 'cursors', query)) {
    if (options.json) for (const cursor of page) await printJson(cursor)
    else {
      const lines = table(['client', 'subject', 'offset', 'epoch', 'lag', 'session', 'used'], page.map(row))
      for (const line of first ? lines : lines.slice(1)) await printLine(line)
    }
    first = false
  }
  if (first && !options.json) await printLine(`no cursors${options.behind === undefined ? '' : ' behind that'}`)
}

function row(cursor: Record<string, unknown>): (string | number)[] {
  const position = isRecord(cursor.position) ? cursor.position : {}
  const used = typeof cursor.usedAt === 'number' ? new Date(cursor.usedAt).toISOString() : '-'
  const { client, subject, lag, session } = cursor
  return [...[client, subject, position.offset, position.epoch, lag, session].map(cell), used]
}
