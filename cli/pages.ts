/** Lists of the hub, page by page: `{ <list>: […], next? }` with `after` and `limit`. */

import { RepriseError } from '../shared/errors.ts'
import { getJson, isRecord, type RemoteOptions } from './remote.ts'

const PAGE = '500'

/** The pages that hold something. */
export async function* getPages(
  remote: RemoteOptions,
  route: string,
  list: string,
  query: Readonly<Record<string, string>> = {},
): AsyncGenerator<Record<string, unknown>[]> {
  let after: string | undefined
  do {
    const page = await getJson(remote, route, { limit: PAGE, ...query, ...(after === undefined ? {} : { after }) })
    const entries = isRecord(page) ? page[list] : undefined
    if (!isRecord(page) || !Array.isArray(entries)) {
      throw new RepriseError('unavailable', `${remote.url} answers ${route} without ${list}: another version?`)
    }
    if (entries.length > 0) yield entries.filter(isRecord)
    after = typeof page.next === 'string' ? page.next : undefined
  } while (after !== undefined)
}
