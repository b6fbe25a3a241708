/** How a drawn operation on queues is done to an engine, and what the model says of its answer. */

import { expect } from 'vitest'
import type {
  Attached,
  Claim,
  Claimed,
  Enqueue,
  Enqueued,
  Keeping,
  Owner,
  QueuePolicy,
  Report,
  Settlement,
  SettleOutcome,
  Store,
  StoredJobDraft,
} from '../../../server/store/contract/store.ts'
import { RepriseError } from '../../../shared/errors.ts'
import { jobOf, remove } from '../conformance/calls.ts'
import { text } from '../conformance/fixture.ts'
import { plainDraft, storedChildren } from '../queueDrafts.ts'
import { scheduleStep } from '../scheduleSteps.ts'
import { carryStep } from './errands/carry.ts'
import type { Mover } from './errands/mover.ts'
import type { QueueModel } from './queueModel.ts'
import { heldBy, ownerName } from './queueModelJobs.ts'
import { baseOf, isDead } from './queueModelTimers.ts'
import {
  type DrawnClaim,
  type DrawnDraft,
  type DrawnSettlement,
  LIVE_PICKS,
  type QueueOperation,
} from './queueOperations.ts'

export const DEAD_MS = 120_000
const POLICIES: readonly QueuePolicy[] = [
  { maxAttempts: 3, backoffMs: [1_000, 5_000], deadMs: DEAD_MS, keep: { count: 5, ageMs: 100_000, bytes: 1e9 } },
  { maxAttempts: 2, backoffMs: [0], deadMs: DEAD_MS, keep: { count: 5, ageMs: 400_000, bytes: 1e9 } },
]

/** Of what is removed and purged. The count is one for all calls: when fewer are kept is up to the engine. */
const KEEP: Keeping = { count: 5, ageMs: 100_000, bytes: 1e9 }

export function holder(client: string): Owner {
  return { subject: 'ann', client }
}

export interface Step {
  engine(): Promise<unknown>
  /** With the engine's answer, which it compares; throws what the operation is refused with. */
  model(answer: unknown): void | Promise<void>
}

/** An engine's refusal, and the model's. */
export function compareRefusals(code: string | undefined, { code: refused }: RepriseError): void {
  // Whether a holder that is gone is still known shows in nothing else.
  expect(refused === 'not_found' ? ['not_found', 'taken_over'] : [refused]).toContain(code)
}

/** Every lease that there was, by half. */
type Leases = Map<string, { readonly id: string; readonly lease: string }[]>

export class Preparer {
  readonly #model: QueueModel
  readonly #leases: Leases = new Map()
  readonly #sent = new Map<string, StoredJobDraft>()
  /** By queue, where it is another one than `plain`. */
  readonly modes = new Map<string, 'plain' | 'grouped' | 'rated'>()
  /** Queues may pause themselves. */
  hasBreaker = false
  /** Queues that tell nothing of their jobs. */
  readonly silent = new Set<string>()
  readonly #mover: Mover
  #store: Store

  constructor(model: QueueModel, store: Store, mover: Mover) {
    this.#model = model
    this.#store = store
    this.#mover = mover
  }

  reopened(store: Store): void {
    this.#store = store
  }

  policyOf(queue: string, index: number): QueuePolicy {
    // Which of several groups loses a job first to a limit that is lower now is the engine's.
    const policy = POLICIES[this.#isGrouped(queue) ? 0 : index] ?? { maxAttempts: 1, backoffMs: [0], deadMs: DEAD_MS }
    const breaker = { share: 0.4, min: 2 }
    return {
      ...policy,
      events: !this.silent.has(baseOf(queue)),
      ...(this.#isGrouped(queue) && { grouped: true }),
      ...(this.hasBreaker && { breaker }),
    }
  }

  #howTaken(queue: string): Pick<Enqueue, 'grouped' | 'events'> {
    return { grouped: this.#isGrouped(queue), events: !this.silent.has(queue) }
  }

  #isGrouped(queue: string): boolean {
    return (this.modes.get(baseOf(queue)) ?? 'plain') !== 'plain'
  }

  prepare(operation: QueueOperation): Step {
    const model = this.#model
    const { queues } = this.#store
    switch (operation.kind) {
      case 'enqueue':
        return this.#enqueue(operation)
      case 'claim':
        return this.#claim(operation)
      case 'settle': {
        const { queue } = operation
        const policy = this.policyOf(operation.queue, operation.policy)
        const settlements = operation.settlements.map((each) => this.#settlement(queue, each))
        const next = operation.next && this.#claimOf(queue, operation.next)
        return {
          engine: () => queues.settle(queue, settlements, policy, undefined, next),
          model: (answer) => {
            const { settled, claimed } = (answer ?? {}) as Partial<SettleOutcome>
            expect(settled).toEqual(model.settle(queue, settlements, policy))
            if (next === undefined) expect(claimed).toBeUndefined()
            else this.#claimedBehind(queue, next, claimed)
          },
        }
      }
      case 'progress': {
        const { queue } = operation
        const policy = this.policyOf(queue, operation.policy)
        const reports = operation.reports.map(({ lease, value, log }): Report => {
          const one = this.#leaseAt(queue, lease)
          return { ...one, ...(value && { value: text(lease.pick) }), ...(log.length > 0 && { log }) }
        })
        return {
          engine: () => queues.progress(queue, reports, policy),
          model: (answer) => expect(answer).toEqual(model.progress(queue, reports, policy)),
        }
      }
      case 'attach': {
        const { queue, client, leaseMs } = operation
        const half = model.half(queue)
        const mine = half === undefined ? [] : heldBy(half, holder(client))
        const holding = operation.holding?.map((i) => mine[i]?.lease?.token ?? 'none')
        const options = {
          leaseMs,
          policy: this.policyOf(operation.queue, operation.policy),
          ...(holding !== undefined && { holding }),
        }
        return {
          engine: () => queues.attach(queue, holder(client), options),
          model: (answer) => {
            const { session, held } = answer as Attached
            const before = model.half(queue)?.holders.get(ownerName(holder(client)))?.session ?? 0
            expect(session).toBeGreaterThan(before)
            expect(held).toEqual(model.attach(queue, holder(client), options, session))
          },
        }
      }
      case 'detach': {
        const { queue, client, leaving } = operation
        const session = this.#session(queue, client, operation.old)
        const policy = this.policyOf(operation.queue, operation.policy)
        return {
          engine: () => queues.detach(queue, holder(client), session, leaving, policy),
          model: () => model.detach(queue, holder(client), session, leaving, policy),
        }
      }
      case 'touch': {
        const owners = operation.clients.map(holder)
        return {
          engine: () => queues.touch(operation.queue, owners),
          model: () => model.touch(operation.queue, owners),
        }
      }
      case 'turn': {
        const policy = this.policyOf(operation.queue, operation.policy)
        return {
          engine: () => this.#store.maintain(() => policy, operation.queue),
          model: (answer) => {
            model.turn(operation.queue, policy)
            expect(answer).toMatchObject({ more: false })
          },
        }
      }
      case 'pause': {
        const { queue, paused } = operation
        return {
          engine: () => queues.pause(queue, paused),
          model: (answer) => expect(answer).toBe(model.pause(queue, paused)),
        }
      }
      case 'remove': {
        const { queue } = operation
        const id = this.#idAt(queue, operation.pick)
        return {
          engine: () => remove(queues, queue, id, KEEP),
          model: (answer) => expect(answer).toBe(model.remove(queue, id, KEEP)),
        }
      }
      case 'purge': {
        const { queue, limit } = operation
        const before = model.now - operation.back
        return {
          engine: () => queues.purge(queue, { before, limit }, KEEP),
          model: async (answer) => {
            // Which of too many it takes is the engine's; there is nothing else under way then.
            const ids = [...(model.half(queue)?.jobs.keys() ?? [])]
            const gone = new Set<string>()
            if (limit < 100) for (const id of ids) if ((await jobOf(queues, queue, id)) === undefined) gone.add(id)
            expect(answer).toBe(model.purge(queue, before, limit, (id) => gone.has(id), KEEP))
          },
        }
      }
      case 'awaitEnd': {
        const { queue, pick, ms } = operation
        const [id, until] = [this.#idAt(queue, pick), model.now + ms]
        return {
          engine: () => queues.awaitEnd(queue, id, until),
          model: (answer) => expect(answer).toBe(model.awaitEnd(queue, id, until)),
        }
      }
      case 'runNow': {
        const { queue, picks } = operation
        const ids = picks.map((pick) => this.#idAt(queue, pick))
        return {
          engine: () => queues.runNow(queue, ids),
          model: (answer) => expect(answer).toBe(model.runNow(queue, ids)),
        }
      }
      case 'redrive': {
        const { queue, picks, ttlMs } = operation
        const ids = picks.map((pick) => this.#idAt(`${queue}/dead`, pick))
        return {
          engine: () => queues.redrive(queue, ids, { ttlMs }),
          model: (answer) => expect(answer).toBe(model.redrive(queue, ids, ttlMs)),
        }
      }
      case 'bind': {
        const { queue, topic } = operation
        const position = operation.on ? { epoch: `e${model.now}`, offset: 7 } : undefined
        return {
          engine: () => queues.bind(queue, topic, position),
          model: (answer) => expect(answer).toEqual(model.bind(queue, topic, position)),
        }
      }
      case 'schedule': {
        const { queue, drawn, limit } = operation
        const drafts = operation.drafts.map((one) => this.#draft(queue, one, undefined))
        const enqueue = { subject: 'ann', drafts, limit, ...this.#howTaken(queue) }
        return scheduleStep(model, this.#store, queue, drawn, enqueue)
      }
      case 'carry':
        return carryStep(model, this.#store, this.#mover, operation, this.#howTaken(operation.queue))
      default:
        throw new Error(`no single operation: ${operation.kind}`)
    }
  }

  #enqueue(operation: QueueOperation & { kind: 'enqueue' }): Step {
    const model = this.#model
    const { queue, subject, limit } = operation
    const known = model.queues.get(queue)
    const stands = operation.binding && known?.bindings.get(operation.binding.topic)
    const binding =
      operation.binding === undefined || stands === undefined
        ? undefined
        : {
            topic: operation.binding.topic,
            from: { ...stands, offset: stands.offset + operation.binding.ahead },
            to: { ...stands, offset: stands.offset + operation.drafts.length },
          }
    const row = operation.producer && known?.producers.get(`${subject}/${operation.producer.name}`)
    const next = row === undefined ? 1 : row.start + row.ids.length
    const { name, ahead } = operation.producer ?? { name: '', ahead: 0 }
    const seq = operation.producer === undefined || binding !== undefined ? undefined : Math.max(0, next + ahead)
    const enqueue: Enqueue = {
      subject,
      drafts: operation.drafts.map((draft, i) => {
        if (seq !== undefined) return this.#numbered(queue, `${subject} ${operation.producer?.name} ${seq + i}`, draft)
        const bound = binding && `${binding.topic}-${binding.from.epoch}-${binding.from.offset + i + 1}`
        return this.#draft(queue, draft, bound)
      }),
      limit,
      ...this.#howTaken(queue),
      ...(binding !== undefined && { binding }),
      ...(seq !== undefined && { producer: { name, seq } }),
    }
    return {
      engine: () => this.#store.queues.enqueue(queue, enqueue),
      model: (answer) => {
        const theirs = answer as Enqueued | undefined
        const { ids, duplicates } = model.enqueue(queue, enqueue, theirs?.ids ?? [], theirs?.childIds)
        expect([theirs?.ids, theirs?.duplicates]).toEqual([ids, duplicates])
      },
    }
  }

  /** Who sends a number again sends the same draft. */
  #numbered(queue: string, number: string, drawn: DrawnDraft): StoredJobDraft {
    const draft = this.#sent.get(`${queue} ${number}`) ?? this.#draft(queue, drawn, undefined)
    this.#sent.set(`${queue} ${number}`, draft)
    return draft
  }

  #draft(queue: string, drawnDraft: DrawnDraft, bound: string | undefined): StoredJobDraft {
    const { id, replyMs, isGap, children, ...plain } = drawnDraft
    const isParent = children !== undefined && bound === undefined && replyMs === undefined
    const { due, ...drawn } = plainDraft(plain, this.#model.now)
    return {
      ...drawn,
      ...(bound !== undefined ? { id: bound } : id !== undefined && { id }),
      ...(due !== undefined && bound === undefined && { due }),
      ...(replyMs !== undefined && bound === undefined && { replyMs }),
      ...(bound !== undefined && isGap && { dead: { reason: 'gap' as const, error: 'trimmed' } }),
      ...(isParent && { children: storedChildren(children, queue, this.#model.now) }),
    }
  }

  #claim(operation: QueueOperation & { kind: 'claim' }): Step {
    const { queue } = operation
    const claim = this.#claimOf(queue, operation)
    return {
      engine: () => this.#store.queues.claim(queue, claim),
      model: (answer) => this.#claimed(queue, claim, answer as Claimed | undefined),
    }
  }

  #claimOf(queue: string, { client, max, bytes, leaseMs, capMs, rate, old, policy }: DrawnClaim): Claim {
    return {
      consumer: holder(client),
      session: this.#session(queue, client, old),
      ...{ max, bytes, leaseMs, capMs, policy: this.policyOf(queue, policy) },
      ...(rate !== undefined && { rate }),
      ...(this.modes.get(queue) === 'rated' && { groupRate: 2 }),
    }
  }

  #claimed(queue: string, claim: Claim, theirs: Claimed | undefined): void {
    const { jobs, waiting, suspects, nextAt } = this.#model.claim(queue, claim, theirs?.jobs ?? [])
    expect(theirs?.jobs).toEqual(jobs)
    expect([theirs?.waiting, theirs?.suspects]).toEqual([waiting, suspects])
    expect(theirs?.nextAt ?? Number.POSITIVE_INFINITY).toBe(nextAt ?? Number.POSITIVE_INFINITY)
    const leases = this.#leases.get(queue) ?? []
    leases.push(...jobs.map(({ id, lease }) => ({ id, lease })))
    this.#leases.set(queue, leases)
  }

  /** Refused, it says so and throws nothing. */
  #claimedBehind(queue: string, claim: Claim, theirs: Claimed | RepriseError | undefined): void {
    try {
      this.#claimed(queue, claim, theirs instanceof RepriseError ? undefined : theirs)
    } catch (error) {
      if (!(error instanceof RepriseError)) throw error
      compareRefusals((theirs as Partial<RepriseError> | undefined)?.code, error)
    }
  }

  #settlement(queue: string, drawn: DrawnSettlement): Settlement {
    const { pick, as, delayMs, leaseMs, error, reply } = drawn
    const mine = this.#leaseAt(queue, drawn)
    switch (as) {
      case 'done':
        return { ...mine, as, ...(reply && { reply: text(pick) }) }
      case 'retry':
        return { ...mine, as, ...(error !== undefined && { error }), ...(delayMs !== undefined && { delayMs }) }
      case 'dead':
        return { ...mine, as, ...(error !== undefined && { error }) }
      case 'extend':
        return { ...mine, as, leaseMs }
      default:
        return { ...mine, as, ...(reply && { inPlace: true }) }
    }
  }

  #leaseAt(queue: string, { pick, wrong }: Pick<DrawnSettlement, 'pick' | 'wrong'>) {
    const all = this.#leases.get(queue) ?? []
    const half = this.#model.half(queue)
    const counting = all.filter(({ id, lease }) => half?.jobs.get(id)?.lease?.token === lease)
    const leases = pick < LIVE_PICKS && counting.length > 0 ? counting : all
    const known = leases.at(-1 - pick) ?? leases.at(-1) ?? { id: 'nothing', lease: '1.1.n' }
    const id = wrong === 'id' ? (leases.at(-2 - pick)?.id ?? 'other') : known.id
    return { id, lease: wrong === 'lease' ? `${known.lease}x` : known.lease }
  }

  #session(queue: string, client: string, old: boolean): number {
    const session = this.#model.half(queue)?.holders.get(ownerName(holder(client)))?.session ?? 0
    return old ? session - 1 : session
  }

  #idAt(queue: string, pick: number): string {
    const ids = [...(this.#model.half(queue)?.jobs.keys() ?? [])]
    return ids[pick % Math.max(1, ids.length + (pick > 25 ? 1 : 0))] ?? (isDead(queue) ? 'none' : '1-none')
  }
}
