/** What a call is told of drafts that were there already, and of ids that were forgotten: alike by all stores. */

export interface Duplicates {
  readonly duplicates: number
  readonly duplicatesAt?: readonly number[]
}

/** `at`: which drafts they were, from 0, rising. */
export function duplicatesOf(at: readonly number[]): Duplicates {
  return at.length === 0 ? { duplicates: 0 } : { duplicates: at.length, duplicatesAt: at }
}

/** Nothing where there are none. */
export function forgottenOf(ids: number): { readonly forgottenIds?: number } {
  return ids === 0 ? {} : { forgottenIds: ids }
}
