/** Which store the hubs of this run use: the embedded one, or a Redis that redis-run.ts has started for the file. */

let url: string | undefined
let places = 0

/** From here on hubs of this file use this Redis. */
export function useRedis(redis: string | undefined): void {
  url = redis
}

/** A fresh place for a hub that does not name its store. */
export function storeOfRun(): { readonly store?: string } {
  if (url === undefined) return {}
  places += 1
  return { store: `${url}?prefix=run-${places}:` }
}
