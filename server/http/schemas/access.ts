/** What the routes of access answer. */

import { z } from 'zod'
import { ACTIONS, type Grant } from '../../core/access.ts'

const grant = z.object({
  actions: z.array(z.enum([...ACTIONS, '*'])),
  names: z.array(z.string()),
}) satisfies z.ZodType<Grant>

export const meAnswer = z.object({
  subject: z.string(),
  client: z.string().optional(),
  grants: z.array(grant),
  expiresAt: z.int().optional().meta({ description: 'Milliseconds since 1970' }),
})

export const ticketAnswer = z.object({ ticket: z.string(), expiresInMs: z.int().min(0) })

const subject = z.string().min(1).max(256)

export const revocationBody = z.union([
  z.strictObject({ subject, until: z.int().optional() }),
  z.strictObject({ tokenId: subject, until: z.int().optional() }),
])

export const revocationAnswer = z.object({
  id: z.string(),
  subject: z.string().optional(),
  tokenId: z.string().optional(),
  at: z.int(),
  until: z.int().meta({ description: 'When it is forgotten' }),
})

export const revocationsAnswer = z.object({ revocations: z.array(revocationAnswer) })
