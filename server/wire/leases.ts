/** The schemas of what consumers say of the jobs that they hold, beside those of calls.ts: how they end, and how far they are. */

import { z } from 'zod'
import { RepriseError } from '../../shared/errors.ts'
import type { JobReport, Settlement } from '../../shared/queues.ts'
import { parseEach } from './parse.ts'

/** Unsettled jobs that one consumer may have. */
export const MAX_CREDIT = 10_000
const MIN_LEASE_MS = 100
const MAX_LEASE_MS = 86_400_000
export const MAX_LEASE_LENGTH = 128
/** Ids of bound jobs have a topic, an epoch and an offset in them. */
export const MAX_ID_LENGTH = 512
const YEAR_MS = 365 * 86_400_000

export const leaseMs = z.number().min(MIN_LEASE_MS).max(MAX_LEASE_MS)

const lease = { id: z.string().min(1).max(MAX_ID_LENGTH), lease: z.string().min(1).max(MAX_LEASE_LENGTH) }

const settlementSchema = z
  .discriminatedUnion(
    'as',
    [
      z.strictObject({ ...lease, as: z.literal('done'), reply: z.unknown().optional() }),
      z.strictObject({
        ...lease,
        as: z.literal('retry'),
        delayMs: z.number().min(0).max(YEAR_MS).exactOptional(),
        error: z.string().exactOptional(),
      }),
      z.strictObject({ ...lease, as: z.literal('release') }),
      z.strictObject({ ...lease, as: z.literal('dead'), reason: z.string().exactOptional() }),
      z.strictObject({ ...lease, as: z.literal('extend'), leaseMs }),
    ],
    { error: "a settlement is { id, lease, as } with as 'done', 'retry', 'release', 'dead' or 'extend'" },
  )
  .meta({ id: 'Settlement', examples: [{ id: '12', lease: 'q7Lx', as: 'done' }] }) satisfies z.ZodType<Settlement>

/** For the document alone: `parseSettlements` counts them first. */
export const settlementsSchema = z.array(settlementSchema).min(1).max(MAX_CREDIT)

/** The settlements of a call. Most say `done` and nothing else: those are known at a glance. */
export function parseSettlements(value: unknown, what: string): readonly Settlement[] {
  const wrong = (rule: string) => new RepriseError('bad_request', `${what}: ${rule}`)
  if (!Array.isArray(value)) throw wrong('settlements come as a list')
  if (value.length === 0) throw wrong('at least one settlement')
  if (value.length > MAX_CREDIT) throw wrong(`${value.length} settlements in one call; at most ${MAX_CREDIT}`)
  return parseEach(value, isBareDone, settlementSchema, what)
}

function isBareDone(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  for (const name in value) if (name !== 'id' && name !== 'lease' && name !== 'as' && name !== 'reply') return false
  const { id, lease, as } = value as { readonly id?: unknown; readonly lease?: unknown; readonly as?: unknown }
  return as === 'done' && isText(id, MAX_ID_LENGTH) && isText(lease, MAX_LEASE_LENGTH)
}

function isText(value: unknown, most: number): boolean {
  return typeof value === 'string' && value.length > 0 && value.length <= most
}

const reportSchema = z
  .strictObject({
    ...lease,
    value: z.unknown().optional(),
    log: z.string().exactOptional(),
  })
  .refine(({ value, log }) => value !== undefined || log !== undefined, { error: 'a report has value, log or both' })
  .meta({
    id: 'JobReport',
    examples: [{ id: '12', lease: 'q7Lx', value: 40, log: 'page 4 of 10' }],
  }) satisfies z.ZodType<JobReport>

/** The same. */
export const reportsSchema = z.array(reportSchema).min(1).max(MAX_CREDIT)

export function parseReports(value: unknown, what: string): readonly JobReport[] {
  const wrong = (rule: string) => new RepriseError('bad_request', `${what}: ${rule}`)
  if (!Array.isArray(value)) throw wrong('reports come as a list')
  if (value.length === 0) throw wrong('at least one report')
  if (value.length > MAX_CREDIT) throw wrong(`${value.length} reports in one call; at most ${MAX_CREDIT}`)
  return parseEach(value, () => false, reportSchema, what)
}
