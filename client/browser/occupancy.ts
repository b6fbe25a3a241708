/**
 * One page at a time has a storage: a Web Lock says who. A page without a `client` takes the first storage that is free, and
 * after a reload the one that it had. Of two handles in a page each has its own, in the order in which they open.
 */

/** A page that is loaded again may begin before the browser has let go of the one before it. */
const RELOAD_MS = 2_000

export interface Occupied {
  readonly name: string
  /** Of several with the same beginning, from 1. */
  readonly number: number
  leave(): void
}

/** The storage of a client. `undefined`: another page has it. */
export async function occupy(name: string): Promise<Occupied | undefined> {
  return await lock(name, RELOAD_MS)
}

/** Numbers of the handles of this page that have storages of a name: each of them remembers its own. */
const handles = new Map<string, Set<number>>()

/** A storage that nobody else has: of those that are left, the oldest. */
export async function occupyAny(name: string): Promise<Occupied> {
  const numbers = handles.get(name) ?? new Set()
  handles.set(name, numbers)
  let number = 1
  while (numbers.has(number)) number++
  numbers.add(number)
  const { name: taken, number: place, leave } = await takeAny(name, number === 1 ? name : `${name} handle ${number}`)
  let left = false
  return {
    name: taken,
    number: place,
    leave: () => {
      if (!left) numbers.delete(number)
      left = true
      leave()
    },
  }
}

async function takeAny(name: string, memory: string): Promise<Occupied> {
  const before = remembered(memory)
  const again = before === null ? undefined : await lock(before, RELOAD_MS)
  if (again !== undefined) return again
  for (let n = 1; ; n++) {
    const taken = await lock(`${name} ${n}`, 0)
    if (taken === undefined) continue
    remember(memory, taken.name)
    return taken
  }
}

/** Rejects where there can be no lock. */
function lock(name: string, waitMs: number): Promise<Occupied | undefined> {
  return new Promise((resolve, reject) => {
    const options = waitMs === 0 ? { ifAvailable: true } : { signal: AbortSignal.timeout(waitMs) }
    const held = (taken: Lock | null) =>
      new Promise<void>((leave) => {
        if (taken !== null) return resolve({ name, number: Number(name.slice(name.lastIndexOf(' '))), leave })
        resolve(undefined)
        leave()
      })
    navigator.locks.request(name, options, held).catch((error: unknown) => {
      if (Object(error).name === 'TimeoutError') resolve(undefined)
      else reject(error)
    })
  })
}

function remembered(name: string): string | null {
  try {
    return sessionStorage.getItem(name)
  } catch {
    return null
  }
}

function remember(name: string, taken: string): void {
  try {
    sessionStorage.setItem(name, taken)
  } catch {
    // Without it a page that is loaded again takes what is free.
  }
}
