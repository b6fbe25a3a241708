/** Drafts in a request's body: one or several, with data or base64, the `id` of a single one also as a header. */

import type { z } from 'zod'
import { RepriseError } from '../../shared/errors.ts'
import { readTraceparent, TRACEPARENT, withTraceparent } from '../../shared/traceparent.ts'
import { parse } from '../wire/calls.ts'
import { checkDraftCount } from '../wire/children.ts'
import { base64 } from './schemas/topics.ts'

/** The schemas of one kind of draft. */
export interface DraftSchemas<Draft> {
  readonly json: z.ZodType<Draft>
  /** With `base64` in the place of `data`. */
  readonly binary: z.ZodType<Draft>
}

/** What `draftsOf` heeds of a request's headers. */
export const DRAFT_HEADERS = {
  'Idempotency-Key': 'Stands for the `id` of a single draft',
  traceparent: 'W3C Trace Context: becomes the header of that name of each draft that has none',
}

type Carrier = { readonly id?: string; readonly headers?: Readonly<Record<string, string>> }

/**
 * `most`: how many drafts a call may have. Of the request's headers `idempotency-key` stands for the id of a single draft,
 * and `traceparent` is that of all that have none, children too.
 */
export function draftsOf<Draft extends Carrier>(
  schemas: DraftSchemas<Draft>,
  body: unknown,
  request: { get(name: string): string | undefined },
  most: number,
): readonly Draft[] {
  const drafts = readDrafts(schemas, body, request.get('idempotency-key'), most)
  const traceparent = request.get(TRACEPARENT)
  if (traceparent === undefined || readTraceparent(traceparent) === undefined) return drafts
  return drafts.map((draft) => withTraceparent(draft, traceparent))
}

/** The same with the bytes of children in the place of their `base64`. How many they are, and how deep, is checked before. */
export function jobDraftsOf<Draft extends Carrier>(
  schemas: DraftSchemas<Draft>,
  body: unknown,
  request: { get(name: string): string | undefined },
  most: number,
): readonly Draft[] {
  if (!Array.isArray(body)) return draftsOf(schemas, withBytes(body, 'draft: '), request, most)
  checkDraftCount(body, 'drafts', most)
  const drafts = body.map((draft, index) => withBytes(draft, `drafts[${index}]: `))
  return draftsOf(schemas, drafts, request, most)
}

function withBytes(draft: unknown, where: string): unknown {
  const given = (draft as { readonly children?: unknown } | null)?.children
  if (!Array.isArray(given)) return draft
  const children = given.map((child: unknown, index) => {
    const what = `${where}children[${index}]`
    if (!isBinary(child, what)) return withBytes(child, `${what}.`)
    const { base64: text, ...rest } = child
    return withBytes({ ...rest, data: parse(base64, text, `${what}.base64`) }, `${what}.`)
  })
  return { ...(draft as object), children }
}

/** Throws where it has data, too. */
function isBinary(draft: unknown, what: string): draft is { readonly base64: unknown } {
  if (typeof draft !== 'object' || draft === null || !('base64' in draft)) return false
  if ('data' in draft) throw new RepriseError('bad_request', `${what} has data and base64; it takes one of them`)
  return true
}

function readDrafts<Draft extends Carrier>(
  schemas: DraftSchemas<Draft>,
  body: unknown,
  key: string | undefined,
  most: number,
): readonly Draft[] {
  if (Array.isArray(body)) {
    if (key !== undefined) {
      throw new RepriseError('bad_request', 'Idempotency-Key goes with a single draft; give each draft an id instead')
    }
    checkDraftCount(body, 'drafts', most)
    return body.map((draft, index) => draftOf(schemas, draft, `drafts[${index}]`))
  }
  const draft = draftOf(schemas, body, 'draft')
  if (key === undefined) return [draft]
  if (draft.id !== undefined && draft.id !== key) {
    throw new RepriseError('bad_request', 'Idempotency-Key and id say different things; give one of them')
  }
  return [draftOf(schemas, { ...(body as object), id: key }, 'Idempotency-Key')]
}

function draftOf<Draft>(schemas: DraftSchemas<Draft>, value: unknown, what: string): Draft {
  return parse(isBinary(value, what) ? schemas.binary : schemas.json, value, what)
}
