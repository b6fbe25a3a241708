/** Prints what the hub lists, page by page: a line of JSON for each thing, or a table. */

import type { Command } from 'commander'
import { addExamples, type Example } from './examples.ts'
import { existing, type Kind, routeOf } from './input/existing.ts'
import { printFields } from './output/cells.ts'
import { printJson, printLine, table } from './output/output.ts'
import { getPages } from './pages.ts'
import { addRemoteOptions, type Fields, getJson, type RemoteOptions } from './remote.ts'

interface Listing {
  readonly route: string
  /** What the pages call what they list. */
  readonly list: string
  readonly query?: Readonly<Record<string, string>>
  /** How many at most; default: all. */
  readonly most?: number
  readonly columns: readonly string[]
  readonly row: (entry: Fields) => (string | number)[]
}

/** Answers whether there was something. */
export async function printListing(
  remote: RemoteOptions,
  { route, list, query, most, columns, row }: Listing,
): Promise<boolean> {
  let first = true
  for await (const page of getPages(remote, route, list, query, most)) {
    if (remote.json) for (const entry of page) await printJson(entry)
    else {
      const lines = table(columns, page.map(row))
      for (const line of first ? lines : lines.slice(1)) await printLine(line)
    }
    first = false
  }
  return !first
}

interface ListCommand extends Pick<Listing, 'columns' | 'row'> {
  /** Of a name that is given. */
  readonly check: (text: string) => string
  readonly examples: readonly Example[]
}

/** `reprise topics` and `reprise queues`: all, or what the hub knows of one. */
export function addListCommand(root: Command, kind: Kind, { check, columns, row, examples }: ListCommand): void {
  const all = `${kind}s`
  const command = root
    .command(all)
    .description(`List the ${all} of a hub, or show one.`)
    .argument(`[${kind}]`, 'show only this one', check)
  addRemoteOptions(command).action(async (name: string | undefined, options: RemoteOptions) => {
    if (name === undefined) {
      const some = await printListing(options, { route: `/${all}`, list: all, columns, row })
      if (!some && !options.json) await printLine(`no ${all} yet`)
    } else {
      await existing(options, kind, name)
      const info = await getJson(options, routeOf(kind, name))
      await (options.json ? printJson(info) : printFields(info))
    }
  })
  addExamples(command, ...examples)
}
