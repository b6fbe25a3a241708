/**
 * The order of calls that wait together: acknowledgements last. A publisher waits for its answer, and its event's readers
 * with it; a client goes on without the answer to an acknowledgement. Those of one session are one, the furthest.
 */

export interface CursorCall {
  /** The cursor that it is about. */
  readonly cursor?: string
  /** It acknowledges. Those with the same key differ in nothing but the offset. */
  readonly ack?: { readonly key: string; readonly offset: number }
}

export type Group<T> = [T, ...T[]]

/**
 * An acknowledgement stays before a later call of its cursor, or a client that comes back would get once more what it has
 * acknowledged. Everything else keeps its order: who subscribes and then publishes gets that event. The furthest
 * acknowledgement of each group comes first.
 */
export function acksLast<T>(calls: readonly T[], about: (call: T) => CursorCall): { others: T[]; acks: Group<T>[] } {
  const others: T[] = []
  const acks = new Map<string, Group<T>>()
  const later = new Set<string>()
  for (const call of calls.toReversed()) {
    const { cursor, ack } = about(call)
    if (ack === undefined || later.has(cursor ?? '')) {
      others.push(call)
      if (cursor !== undefined) later.add(cursor)
      continue
    }
    const group = acks.get(ack.key)
    if (group === undefined) acks.set(ack.key, [call])
    else if (ack.offset <= (about(group[0]).ack?.offset ?? 0)) group.push(call)
    else group.unshift(call)
  }
  return { others: others.reverse(), acks: [...acks.values()].reverse() }
}
