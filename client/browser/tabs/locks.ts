/** Web Locks that are held until they are given back, or taken away. */

export interface Held {
  release(): void
  /** Called when another tab has taken it away. */
  stolen: () => void
}

/** Resolves when it is held. Rejects when that was called off, or cannot be. */
export function hold(name: string, options: LockOptions): Promise<Held> {
  return new Promise((resolve, reject) => {
    let held: Held | undefined
    const granted = () =>
      new Promise<void>((release) => {
        held = { release, stolen: () => {} }
        resolve(held)
      })
    navigator.locks.request(name, options, granted).catch((error: unknown) => {
      held?.stolen()
      reject(error)
    })
  })
}

/** The page that has it. */
export async function holderOf(name: string): Promise<string | undefined> {
  const { held = [] } = await navigator.locks.query()
  return held.find((lock) => lock.name === name)?.clientId
}
