/** `reprise topics`: lists the topics of a hub, or tells of one what the hub knows. */

import type { Command } from 'commander'
import { printable, printJson, printLine, table } from '../output.ts'
import { getPages } from '../pages.ts'
import { addRemoteOptions, checkedName, getJson, isRecord, type RemoteOptions } from '../remote.ts'

const COLUMNS = ['topic', 'first', 'last', 'events', 'bytes', 'subscribers', 'cursors'] as const

export function addTopics(root: Command): void {
  const command = root
    .command('topics')
    .description('list the topics of a hub, or look at one')
    .argument('[topic]', 'only this one', checkedName('the topic'))
  addRemoteOptions(command).action((topic: string | undefined, options: RemoteOptions) =>
    topic === undefined ? list(options) : detail(topic, options),
  )
}

async function list(options: RemoteOptions): Promise<void> {
  let first = true
  for await (const page of getPages(options, '/topics', 'topics')) {
    if (options.json) for (const topic of page) await printJson(topic)
    else {
      const lines = table(
        COLUMNS,
        page.map((topic) => COLUMNS.map((column) => cell(topic[column]))),
      )
      for (const line of first ? lines : lines.slice(1)) await printLine(line)
    }
    first = false
  }
  if (first && !options.json) await printLine('no topics yet')
}

async function detail(topic: string, options: RemoteOptions): Promise<void> {
  const info = await getJson(options, `/topics/${encodeURIComponent(topic)}`)
  if (options.json || !isRecord(info)) return printJson(info)
  const width = Math.max(...Object.keys(info).map((name) => name.length))
  for (const [name, value] of Object.entries(info)) {
    const text = typeof value === 'object' ? JSON.stringify(value) : String(value)
    await printLine(`${name.padEnd(width)}  ${printable(text)}`)
  }
}

export function cell(value: unknown): string | number {
  if (typeof value === 'number') return value
  return value === undefined || value === null ? '-' : typeof value === 'string' ? value : JSON.stringify(value)
}
