/**
 * What is carried from one queue to another, as it stands among the records of a queue's life: a head in JSON, and a body.
 * Redis writes the same.
 */

import { encodeBody, readBody, readKnownBody } from '../codec.ts'
import type { Body, Errand, PayloadChange, StoredChildren, StoredJobDraft } from '../contract/store.ts'

/** A draft without its body; those of its children are records in base64. */
type DraftHead = Omit<StoredJobDraft, 'body' | 'children'> & { readonly children?: ChildrenHead }
type ChildrenHead = Omit<StoredChildren, 'drafts'> & {
  readonly drafts: readonly (DraftHead & { readonly body: string })[]
}

/** With `errand` first: that tells it from a record of the life. */
export type ErrandHead =
  | (Omit<Extract<Errand, { errand: 'child' }>, 'draft'> & { readonly draft: DraftHead })
  | Extract<Errand, { errand: 'ended' }>

export function draftHead({ body: _, children, ...rest }: StoredJobDraft): DraftHead {
  if (children === undefined) return rest
  const drafts = children.drafts.map((draft) => ({
    ...draftHead(draft),
    body: encodeBody(draft.body).toString('base64'),
  }))
  return { ...rest, children: { ...children, drafts } }
}

/** `undefined` where the checksum of a body is wrong. */
function wholeDraft({ children, ...rest }: DraftHead, body: Body | undefined): StoredJobDraft | undefined {
  if (body === undefined) return undefined
  if (children === undefined) return { ...rest, body }
  const drafts: StoredJobDraft[] = []
  for (const { body: text, ...head } of children.drafts) {
    const draft = wholeDraft(head, readBody(Buffer.from(text, 'base64')))
    if (draft === undefined) return undefined
    drafts.push(draft)
  }
  return { ...rest, body, children: { ...children, drafts } }
}

/** The body is a draft's, or the result of a child. */
export function wholeErrand(head: ErrandHead, body: Body | undefined): Errand {
  if (head.errand === 'child') return { ...head, draft: wholeDraft(head.draft, body) }
  return body === undefined ? head : { ...head, child: { ...head.child, result: body } }
}

/** The head with other payloads; `undefined` where they are as they shall be. */
export function changedHead(head: ErrandHead, change: PayloadChange): ErrandHead | undefined {
  if (head.errand === 'child') {
    const draft = changedDraft(head.draft, change)
    return draft && { ...head, draft }
  }
  const error = head.child.error === undefined ? undefined : change.text(head.child.error)
  return error === undefined ? undefined : { ...head, child: { ...head.child, error } }
}

function changedDraft<D extends DraftHead>(head: D, change: PayloadChange): D | undefined {
  const { children } = head
  if (children === undefined) return undefined
  let changed = false
  const drafts = children.drafts.map((draft) => {
    const known = readKnownBody(Buffer.from(draft.body, 'base64'))
    const body = known && change.body(known, 'job')
    const below = changedDraft(draft, change)
    changed ||= body !== undefined || below !== undefined
    return { ...(below ?? draft), ...(body !== undefined && { body: encodeBody(body).toString('base64') }) }
  })
  return changed ? { ...head, children: { ...children, drafts } } : undefined
}
