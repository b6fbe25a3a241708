/** Which store the hubs of this run use, and how many stand for one: redisRun.ts and nodesRun.ts say it for a file. */

let url: string | undefined
let nodes = 1
let places = 0

/** From here on hubs of this file use this Redis. */
export function useRedis(redis: string | undefined): void {
  url = redis
}

/** From here on so many hubs stand behind nginx for one. */
export function useNodes(count: number): void {
  nodes = count
}

export function nodesOfRun(): number {
  return nodes
}

/** A fresh place for a hub that does not name its store. */
export function storeOfRun(): { readonly store?: string } {
  if (url === undefined) return {}
  places += 1
  return { store: `${url}?prefix=run-${places}:` }
}
