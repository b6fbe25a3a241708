/** Drafts in a request's body: one or several, with data or base64, the `id` of a single one also as a header. */

import type { z } from 'zod'
import { RepriseError } from '../../shared/errors.ts'
import { checkDraftCount, parse } from '../wire.ts'

/** The schemas of one kind of draft. */
export interface DraftSchemas<Draft> {
  readonly json: z.ZodType<Draft>
  /** With `base64` in the place of `data`. */
  readonly binary: z.ZodType<Draft>
}

/** `key` is what the header Idempotency-Key says; `most` how many drafts a call may have. */
export function draftsOf<Draft extends { readonly id?: string }>(
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
