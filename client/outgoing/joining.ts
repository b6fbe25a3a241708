/** What Socket.IO cannot carry as it is, on its way out and in: the joined form, which programs never see. */

import { type Joined, join, MAX_ATTACHMENTS, whole } from '../../shared/joined.ts'
import type { Draft } from '../../shared/protocol.ts'

/** A list for one packet, whose items take so many attachments. */
export function packed<T>(list: readonly T[], attachments: number): readonly T[] | { readonly joined: Joined } {
  return attachments > MAX_ATTACHMENTS ? { joined: join(list) } : list
}

export function packedDraft<D extends Draft>(draft: D, attachments: number): object {
  if (attachments <= MAX_ATTACHMENTS) return draft
  const { data, ...rest } = draft
  return { ...rest, joined: join(data) }
}

/** Events or jobs as they came, with all their data in place. */
export function unpacked<T extends { data: unknown; joined?: Joined; joinedChildren?: Joined; children?: unknown }>(
  items: readonly T[],
): readonly T[] {
  for (const item of items) {
    if (item.joinedChildren !== undefined) {
      item.children = whole(item.joinedChildren)
      delete item.joinedChildren
    }
    if (item.joined === undefined) continue
    item.data = whole(item.joined)
    delete item.joined
  }
  return items
}
