/** Prints what the hub lists, page by page: a line of JSON for each thing, or a table. */

import { printJson, printLine, table } from './output/output.ts'
import { getPages } from './pages.ts'
import type { RemoteOptions } from './remote.ts'

interface Listing {
  readonly route: string
  /** What the pages call what they list. */
  readonly list: string
  readonly query?: Readonly<Record<string, string>>
  readonly columns: readonly string[]
  readonly row: (entry: Record<string, unknown>) => (string | number)[]
}

/** Answers whether there was something. */
export async function printListing(
  remote: RemoteOptions,
  { route, list, query, columns, row }: Listing,
): Promise<boolean> {
  let first = true
  for await (const page of getPages(remote, route, list, query)) {
    if (remote.json) for (const entry of page) await printJson(entry)
    else {
      const lines = table(columns, page.map(row))
      for (const line of first ? lines : lines.slice(1)) await printLine(line)
    }
    first = false
  }
  return !first
}
