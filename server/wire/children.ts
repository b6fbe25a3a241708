/** The schemas of drafts that have children, beside those of wire.ts, and how deep and how many they may be. */

import { z } from 'zod'
import { RepriseError } from '../../shared/errors.ts'
import type { ChildDraft, JobDraft } from '../../shared/queues.ts'
import { MAX_GENERATIONS } from '../../shared/queues.ts'
import { checkDraftCount, isBareDraft, jobDraftSchema, parseEach, queueNameSchema } from '../wire.ts'

const NONE = 'is a list of at least one draft; leave it out where there are none'

const parentFields = {
  children: z
    .array(z.lazy((): z.ZodType<ChildDraft> => childSchema))
    .min(1, { error: NONE })
    .exactOptional()
    .meta({ description: 'Jobs of the same queue, stored with this one, which falls due when they have ended' }),
  onDeadChild: z.enum(['fail', 'skip'], { error: "is 'fail' or 'skip'" }).exactOptional().meta({
    description: '`fail`, the default: it goes to the dead letters with a child. `skip`: it goes on without the child',
  }),
}

const childSchema: z.ZodType<ChildDraft> = jobDraftSchema
  .extend({
    id: z.never({ error: 'a child takes no id: it belongs to its parent, and comes once with it' }).exactOptional(),
    queue: queueNameSchema.exactOptional().meta({ description: "The parent's queue, by default" }),
    ...parentFields,
  })
  .meta({ id: 'ChildDraft', examples: [{ data: { page: 1 } }] })

/** What `send` takes. */
export const sentDraftSchema = jobDraftSchema.extend(parentFields).meta({
  id: 'SentDraft',
  examples: [{ data: { report: 7 }, children: [{ data: { page: 1 } }, { data: { page: 2 } }] }],
})

/** The drafts of a `send`, as `parseDrafts` does it. */
export function parseJobDrafts(value: unknown, what: string, most: number): readonly JobDraft[] {
  checkDraftCount(value, what, most)
  checkFamilies(value, what, most)
  return parseEach(value, isBareDraft, sentDraftSchema, what)
}

/** Throws before a draft is looked at: `too_large` for more than `most` with all children, `bad_request` for too deep ones. */
export function checkFamilies(drafts: readonly unknown[], what: string, most: number): void {
  let count = 0
  let generation = drafts
  for (let depth = 1; generation.length > 0; depth++) {
    if (depth > MAX_GENERATIONS) {
      throw new RepriseError('bad_request', `${what}: children go ${MAX_GENERATIONS - 1} generations deep at most`)
    }
    count += generation.length
    if (count > most) {
      throw new RepriseError('too_large', `${what}: more than ${most} drafts in one call, with all children`)
    }
    const next: unknown[] = []
    for (const draft of generation) {
      const children: unknown = (draft as { readonly children?: unknown } | null)?.children
      if (!Array.isArray(children)) continue
      if (next.length + children.length > most) next.length = most
      for (const child of children.slice(0, most + 1 - next.length)) next.push(child)
    }
    generation = next
  }
}
