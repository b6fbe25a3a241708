/** What senders get for their drafts. */

/** The receipts, of which those at these places were stored before. */
export function marked<R extends object>(receipts: R[], at: readonly number[] = []): R[] {
  if (at.length === 0) return receipts
  const known = new Set(at)
  return receipts.map((receipt, i) => (known.has(i) ? { ...receipt, duplicate: true } : receipt))
}
