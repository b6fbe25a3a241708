/** What the routes of access answer. */

import { z } from 'zod'
import { ACTIONS, type Grant } from '../../core/access.ts'

const grant = z
  .object({ actions: z.array(z.enum([...ACTIONS, '*'])), names: z.array(z.string()) })
  .meta({ id: 'Grant', examples: [{ actions: ['subscribe', 'read'], names: ['orders.*'] }] }) satisfies z.ZodType<Grant>

export const meAnswer = z
  .object({
    subject: z.string(),
    client: z.string().optional(),
    grants: z.array(grant),
    expiresAt: z.int().optional().meta({ description: 'Milliseconds since 1970' }),
  })
  .meta({ id: 'Me', examples: [{ subject: 'ann', grants: [{ actions: ['*'], names: ['*'] }] }] })

export const ticketAnswer = z
  .object({ ticket: z.string(), expiresInMs: z.int().min(0) })
  .meta({ id: 'Ticket', examples: [{ ticket: '17.q7Lx', expiresInMs: 30_000 }] })

const subject = z.string().min(1).max(256)

const until = z.int().optional().meta({ description: 'When the last of these tokens ends; milliseconds since 1970' })

export const revocationBody = z
  .union([z.strictObject({ subject, until }), z.strictObject({ tokenId: subject, until })], {
    error: 'is { subject } or { tokenId }, with until in milliseconds since 1970 where it is known',
  })
  .meta({ id: 'Revoke', examples: [{ subject: 'ann' }] })

export const revocationAnswer = z
  .object({
    id: z.string(),
    subject: z.string().optional(),
    tokenId: z.string().optional(),
    at: z.int(),
    until: z.int().meta({ description: 'When it is forgotten' }),
  })
  .meta({ id: 'Revocation', examples: [{ id: '1', subject: 'ann', at: 1_760_000_000_000, until: 2_075_000_000_000 }] })

export const revocationsAnswer = z
  .object({ revocations: z.array(revocationAnswer) })
  .meta({ id: 'Revocations', examples: [{ revocations: [] }] })
