/** Drafts in a request's body: one or several, with data or base64, the `id` of a single one also as a header. */

import type { z } from 'zod'
import { RepriseError } from '../../shared/errors.ts'
import { readTraceparent, TRACEPARENT } from '../../shared/traceparent.ts'
import { checkDraftCount } from '../wire/children.ts'
import { parse } from '../wire.ts'

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
 * and `traceparent` is that of all that have none.
 */
export function draftsOf<Draft extends Carrier>(
  schemas: DraftSchemas<Draft>,
  body: unknown,
  request: { get(name: string): string | undefined },
  most: number,
): readonly Draft[] {
  const drafts = readDrafts(schemas, body, request.get('idempotency-key'), most)
  const traceparent = request.get(TRACEPARENT)
  if (readTraceparent(traceparent) === undefined) return drafts
  return drafts.map((draft) => ({ ...draft, headers: { [TRACEPARENT]: traceparent, ...draft.headers } }))
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
  const isBinary = typeof value === 'object' && value !== null && 'base64' in value
  if (!isBinary) return parse(schemas.json, value, what)
  if ('data' in value) throw new RepriseError('bad_request', `${what} has data and base64; it takes one of them`)
  return parse(schemas.binary, value, what)
}
