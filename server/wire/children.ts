/** The schemas of drafts that have children, made of the one without, and how many drafts a call may have, and how deep. */

import { z } from 'zod'
import { RepriseError } from '../../shared/errors.ts'
import { type ChildDraft, MAX_GENERATIONS } from '../../shared/queues.ts'

const NONE = 'is a list of at least one draft; leave it out where there are none'
const NO_ID = 'a child takes no id: it belongs to its parent, and comes once with it'

/** `draft` with children; `queue` is the name of one. `forms`: what a child may be besides. */
export function parentSchema<Shape extends z.core.$ZodShape>(
  draft: z.ZodObject<Shape, z.core.$strict>,
  queue: z.ZodType<string>,
  forms: (child: z.ZodObject) => readonly z.ZodType[] = () => [],
) {
  const parent = {
    children: z
      .array(z.lazy((): z.ZodType<ChildDraft> => any))
      .min(1, { error: NONE })
      .exactOptional()
      .meta({ description: 'Jobs that are stored with this one, which falls due when they have ended' }),
    onDeadChild: z.enum(['fail', 'skip'], { error: "is 'fail' or 'skip'" }).exactOptional().meta({
      description:
        '`fail`, the default: it goes to the dead letters with a child. `skip`: it goes on without the child',
    }),
  }
  const child = draft
    .extend({
      id: z.never({ error: NO_ID }).exactOptional(),
      queue: queue.exactOptional().meta({ description: 'That of its parent, by default' }),
      ...parent,
    })
    .meta({ id: 'ChildDraft', examples: [{ data: { page: 1 } }] })
  const more = forms(child as unknown as z.ZodObject)
  const any = (more.length === 0 ? child : z.union([child, ...more])) as unknown as z.ZodType<ChildDraft>
  return draft.extend(parent)
}

/** Throws before a draft is looked at: `too_large` for more than `most` with all children, `bad_request` for too deep ones. */
export function checkFamilies(drafts: readonly unknown[], what: string, most: number): void {
  // So many without their children: `checkDraftCount` says that.
  if (drafts.length > most) return
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
      // One more than fit says that there are too many.
      if (Array.isArray(children)) next.push(...children.slice(0, most + 1 - next.length))
    }
    generation = next
  }
}

/** Throws before a draft is looked at: `bad_request` for no list or an empty one, `too_large` for more than `most`. */
export function checkDraftCount(value: unknown, what: string, most: number): asserts value is readonly unknown[] {
  if (!Array.isArray(value)) throw new RepriseError('bad_request', `${what}: drafts come as a list`)
  if (value.length === 0) throw new RepriseError('bad_request', `${what}: at least one draft`)
  if (value.length > most) throw new RepriseError('too_large', `${value.length} drafts in one call; at most ${most}`)
}
