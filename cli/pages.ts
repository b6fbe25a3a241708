/** Lists of the hub, page by page: `{ <list>: […], next? }` with `after` and `limit`. */

import { type Fields, getJson, isRecord, type RemoteOptions, strange } from './remote.ts'

const PAGE = 500

/** The pages that hold something, with `most` entries together. */
export async function* getPages(
  remote: RemoteOptions,
  route: string,
  list: string,
  query: Readonly<Record<string, string>> = {},
  most = Number.POSITIVE_INFINITY,
): AsyncGenerator<Fields[]> {
  let after: string | undefined
  let left = most
  do {
    const limit = String(Math.min(left, PAGE))
    const page = await getJson(remote, route, { limit, ...query, ...(after === undefined ? {} : { after }) })
    const entries = page[list]
    if (!Array.isArray(entries)) throw strange(remote, `${route} without ${list}`)
    if (entries.length > 0) yield entries.filter(isRecord)
    left -= entries.length
    after = typeof page.next === 'string' ? page.next : undefined
  } while (after !== undefined && left > 0)
}
