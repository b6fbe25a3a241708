/** What a program passes, as it would be on the wire. */

/** What is no list is refused where drafts are counted. */
export function allGiven<D>(drafts: readonly D[]): unknown {
  return Array.isArray(drafts) ? drafts.map(given) : drafts
}

/** Without what the program left undefined: on the wire that is not there either. */
export function given<D>(draft: D): D {
  if (typeof draft !== 'object' || draft === null) return draft
  for (const value of Object.values(draft)) {
    if (value === undefined)
      return Object.fromEntries(Object.entries(draft).filter(([, one]) => one !== undefined)) as D
  }
  return draft
}
