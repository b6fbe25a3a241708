/**
 * Carries children to the queues that they are of, and what became of them to the queues of their parents. Both may be done
 * again: a child is taken once, and its first end counts.
 */

import type { Carried, EndedChild, Errand, Errands, Store, StoredJobDraft } from '../../../store/contract/store.ts'
import type { Telemetry } from '../../telemetry.ts'
import { itsTurn, PAGE_WEIGHT } from '../../turns.ts'
import { type HubQueueSettings, takenOf } from '../settings.ts'

/** The error of a child whose draft cannot be read. */
const DAMAGED = 'damaged'

export interface ErrandsContext {
  readonly store: Store
  readonly telemetry: Telemetry
  readonly settings: Pick<HubQueueSettings, 'forQueue'>
}

type Numbered = Errand & { readonly number: number }

/** All of them, from `queue`, in their order. */
export async function carry(context: ErrandsContext, queue: string, { row, first, list }: Errands): Promise<void> {
  await itsTurn(PAGE_WEIGHT)
  const errands = list.map((errand, i) => ({ ...errand, number: first + i }))
  for (const part of alike(errands)) {
    const [{ errand, to } = { errand: 'ended', to: '' }] = part
    if (errand === 'child') await carryChildren(context, queue, row, to, part)
    else
      await context.store.queues.tellParents(
        to,
        part.flatMap((one) => endedIn(queue, one)),
      )
  }
}

/** Neighbours that go to one queue in one call. */
function alike(errands: readonly Numbered[]): Numbered[][] {
  const parts: Numbered[][] = []
  for (const one of errands) {
    const part = parts.at(-1)
    const last = part?.at(-1)
    if (part !== undefined && last !== undefined && isAlike(last, one)) part.push(one)
    else parts.push([one])
  }
  return parts
}

function isAlike(a: Errand, b: Errand): boolean {
  if (a.to !== b.to || a.errand !== b.errand) return false
  return a.errand !== 'child' || b.errand !== 'child' || a.subject === b.subject
}

function endedIn(queue: string, errand: Errand): EndedChild[] {
  return errand.errand === 'ended' ? [{ parent: errand.parent, child: { queue, ...errand.child } }] : []
}

async function carryChildren(
  { store, telemetry, settings }: ErrandsContext,
  queue: string,
  row: string,
  to: string,
  errands: readonly Numbered[],
): Promise<void> {
  const lost: EndedChild[] = []
  const [drafts, children] = [[], []] as [StoredJobDraft[], Carried['children'][number][]]
  let subject = ''
  for (const one of errands) {
    if (one.errand !== 'child') continue
    subject = one.subject
    if (one.draft === undefined) {
      lost.push({ parent: one.parent, child: { queue: to, id: '', state: 'dead', error: DAMAGED } })
      continue
    }
    drafts.push(one.draft)
    children.push({ number: one.number, parent: one.parent })
  }
  if (lost.length > 0) await store.queues.tellParents(queue, lost)
  if (drafts.length === 0) return
  const { ids, childIds = [] } = await store.queues.enqueue(to, {
    ...{ subject, drafts, carried: { queue, row, children } },
    ...takenOf(settings.forQueue(to)),
  })
  telemetry.meter.sent(to, ids.filter((id) => id !== '').length + childIds.length)
}
