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
