/** Lists what a sorted set names, topics or queues: some of those may never have been made. */

import type { ListQuery } from '../contract/store.ts'
import type { Router } from './connection/router.ts'

export async function listNamed<T extends object>(
  router: Router,
  key: string,
  query: ListQuery,
  infoOf: (name: string) => Promise<T | undefined>,
): Promise<T[]> {
  const infosOf = async (names: readonly string[]): Promise<T[]> => {
    return (await Promise.all(names.map(infoOf))).filter((info) => info !== undefined)
  }
  if ('names' in query) return await infosOf(query.names)
  const found: T[] = []
  let last = query.after
  while (found.length < query.limit) {
    const from = last === undefined ? '-' : `(${last}`
    const range = ['ZRANGEBYLEX', key, from, '+', 'LIMIT', '0', String(query.limit - found.length)] as const
    const [members] = await router.ask(key, range)
    const names = (members as Buffer[]).map(String)
    found.push(...(await infosOf(names)))
    last = names.at(-1)
    if (last === undefined) break
  }
  return found
}
