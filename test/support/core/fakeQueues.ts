/**
 * The part of a store that consumers need, in memory: the test gives each answer to a claim and to settlements, and to
 * those that attach and detach where it wants to.
 */

import { DEFAULT_QUEUE_SETTINGS, type QueueSettings } from '../../../server/core/queues/settings.ts'
import type {
  Attached,
  Claim,
  Claimed,
  HeldJob,
  KeptLease,
  Leaving,
  Owner,
  QueueNotification,
  Settled,
  Settlement,
  SettleOutcome,
  Store,
} from '../../../server/store/contract/store.ts'
import { RepriseError } from '../../../shared/errors.ts'

/** A call that waits for its answer. */
interface Asked<Outcome> {
  answer(outcome: Outcome): Promise<void>
  refuse(error: Error): Promise<void>
}

export interface AskedClaim extends Asked<Partial<Claimed>> {
  readonly queue: string
  readonly claim: Claim
}

/** Answered with the leases that the store knows of; it gives the session. */
export interface AskedAttach extends Asked<readonly KeptLease[]> {
  readonly client: string
}

export interface AskedSettle extends Asked<{ settled?: Settled[]; claimed?: Partial<Claimed> | RepriseError }> {
  readonly settlements: readonly Settlement[]
  readonly by: Owner | undefined
  readonly next: Claim | undefined
}

/** All that follows from what was done is done. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

let made = 0

/** Jobs as a claim brings them. */
export function heldJobs(count: number, more: Partial<HeldJob> = {}): HeldJob[] {
  return Array.from({ length: count }, () => {
    const id = `job-${++made}`
    const times = { expiresAt: Date.now() + 30_000, attempts: 0, deliveries: 1, sentAt: Date.now(), dueAt: Date.now() }
    return { id, lease: `lease-${made}`, ...times, body: { json: '{"data":1}' }, ...more }
  })
}

export class FakeQueues {
  /** What waits for an answer, in the order of asking. */
  readonly claims: AskedClaim[] = []
  readonly settles: AskedSettle[] = []
  readonly detached: { readonly client: string; readonly leaving: Leaving }[] = []
  readonly attached: { readonly client: string; readonly session: number }[] = []
  /** Where `isSlow`. */
  readonly attaches: AskedAttach[] = []
  readonly detaches: Asked<void>[] = []
  isSlow = false
  settings: QueueSettings = DEFAULT_QUEUE_SETTINGS
  readonly #listeners = new Set<(notification: QueueNotification) => void>()
  #sessions = 0

  /** As the core sees it. */
  readonly store = {
    maintain: async () => ({ more: false }),
    queues: {
      watch: async (_queue: string, listener: (notification: QueueNotification) => void) => {
        this.#listeners.add(listener)
        return () => this.#listeners.delete(listener)
      },
      claim: (queue: string, claim: Claim) =>
        this.#ask<Partial<Claimed>, Claimed>(this.claims, { queue, claim }, (claimed) => ({ ...NOTHING, ...claimed })),
      settle: (_queue: string, settlements: readonly Settlement[], _policy: unknown, by?: Owner, next?: Claim) =>
        this.#ask<Parameters<AskedSettle['answer']>[0], SettleOutcome>(
          this.settles,
          { settlements, by, next },
          ({ settled, claimed }) => ({
            settled: settled ?? settlements.map(() => 'ok'),
            ...(next !== undefined && {
              claimed: claimed instanceof RepriseError ? claimed : { ...NOTHING, ...claimed },
            }),
          }),
        ),
      session: async () => this.#sessions,
      attach: async (_queue: string, { client }: Owner) => {
        const session = ++this.#sessions
        this.attached.push({ client, session })
        if (!this.isSlow) return { session, held: [] }
        return await this.#ask<readonly KeptLease[], Attached>(this.attaches, { client }, (held) => ({ session, held }))
      },
      detach: async (_queue: string, { client }: Owner, _session: number, leaving: Leaving) => {
        this.detached.push({ client, leaving })
        if (this.isSlow) await this.#ask<void, void>(this.detaches, {}, () => {})
      },
      touch: async () => {},
      jobs: async () => [],
    },
  } as unknown as Store

  /** Queues that are watched, each time. */
  get watchers(): number {
    return this.#listeners.size
  }

  async tell(notification: QueueNotification): Promise<void> {
    for (const listener of this.#listeners) listener(notification)
    await turn()
  }

  /** The only claim that waits for its answer. */
  async claim(): Promise<AskedClaim> {
    return await only(this.claims, 'claim')
  }

  /** The only call that attaches a consumer and does. */
  async attach(): Promise<AskedAttach> {
    return await only(this.attaches, 'attaching')
  }

  /** The only call with settlements that does. */
  async settle(): Promise<AskedSettle> {
    return await only(this.settles, 'settle')
  }

  #ask<Given, Outcome>(waiting: object[], asked: object, outcomeOf: (given: Given) => Outcome): Promise<Outcome> {
    return new Promise((resolve, reject) => {
      const done = async (): Promise<void> => {
        waiting.splice(waiting.indexOf(call), 1)
        await turn()
      }
      const call = {
        ...asked,
        answer: (given: Given) => {
          resolve(outcomeOf(given))
          return done()
        },
        refuse: (error: Error) => {
          reject(error)
          return done()
        },
      }
      waiting.push(call)
    })
  }
}

const NOTHING: Claimed = { jobs: [], waiting: 0, suspects: 0 }

async function only<Call>(calls: readonly Call[], what: string): Promise<Call> {
  await turn()
  const [call, ...others] = calls
  if (call === undefined || others.length > 0) throw new Error(`one ${what} was expected, there are ${calls.length}`)
  return call
}
