/** What the demo keeps for this tab, so that a reload in the middle changes nothing. */

const KEY = 'reprise-demo'

/** `undefined` where nothing is kept, or nothing of the sort. */
export function readKept<T>(name: string, isSort: (value: unknown) => value is T): T | undefined {
  try {
    const value: unknown = JSON.parse(sessionStorage.getItem(`${KEY}-${name}`) ?? 'null')
    return isSort(value) ? value : undefined
  } catch {
    return undefined
  }
}

export function keep(name: string, value: unknown): void {
  try {
    sessionStorage.setItem(`${KEY}-${name}`, JSON.stringify(value))
  } catch {
    // A browser that keeps nothing forgets it with the page.
  }
}
