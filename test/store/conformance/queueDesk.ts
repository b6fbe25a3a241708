/** A queue in few words, for the tests of the contract's queues: drafts, claims, settlements and books with defaults. */

import { expect } from 'vitest'
import type {
  Claim,
  Claimed,
  Enqueue,
  HeldJob,
  JobState,
  Owner,
  Settled,
  Settlement,
  Store,
  StoredJobDraft,
} from '../../../server/store/contract/store.ts'
import { infoOf, jobOf, POLICY } from './calls.ts'
import { text } from './fixture.ts'

export { POLICY }
export const LEASE = 30_000
export const CAP = 100_000
export const TTL = 7 * 86_400_000
export const ROOM = { jobs: 1_000_000, bytes: 2 ** 30 }

export function holder(client: string): Owner {
  return { subject: 'ann', client }
}

/** A draft whose data is its name, and its id, too. */
export function named(id: string, options: Partial<StoredJobDraft> = {}): StoredJobDraft {
  return { body: text(id), id, priority: 4, ttlMs: TTL, ...options }
}

type Ending = { as: 'done' | 'retry' | 'release' | 'dead' } | { as: 'extend'; leaseMs: number }

export function deskOf(store: Store, queue = 'q', policy = POLICY) {
  const { queues } = store
  const sessions = new Map<string, number>()
  const send = (drafts: readonly StoredJobDraft[], options: Partial<Enqueue> = {}) =>
    queues.enqueue(queue, { subject: 'ann', drafts, limit: ROOM, ...options })
  const attach = async (client: string, holding?: readonly string[], leaseMs = LEASE, name = queue) => {
    const options = { leaseMs, policy, ...(holding !== undefined && { holding }) }
    const attached = await queues.attach(name, holder(client), options)
    sessions.set(`${name} ${client}`, attached.session)
    return attached
  }
  const asking = (client: string, options: Partial<Claim> = {}, name = queue): Claim => {
    const session = sessions.get(`${name} ${client}`) ?? 0
    const common = { max: 1, bytes: 1e9, leaseMs: LEASE, capMs: CAP, policy }
    return { consumer: holder(client), session, ...common, ...options }
  }
  const claim = async (client: string, options: Partial<Claim> = {}, name = queue): Promise<Claimed> => {
    if (!sessions.has(`${name} ${client}`)) await attach(client, undefined, LEASE, name)
    return queues.claim(name, asking(client, options, name))
  }
  return {
    policy,
    send,
    /** Jobs with these names as data and id. */
    put: (...ids: string[]) => send(ids.map((id) => named(id))),
    attach,
    /** What a claim of this client asks. */
    asking,
    claim,
    session: (client: string): number => sessions.get(`${queue} ${client}`) ?? 0,
    /** One job, that has to be there. */
    async take(client: string, options: Partial<Claim> = {}, name = queue): Promise<HeldJob> {
      const [job] = (await claim(client, options, name)).jobs
      if (job === undefined) throw new Error(`there was nothing to claim for ${client}`)
      return job
    },
    async ids(client: string, options: Partial<Claim> = {}, name = queue): Promise<string[]> {
      return (await claim(client, { max: 100, ...options }, name)).jobs.map(({ id }) => id)
    },
    async settle(
      job: { id: string; lease: string },
      ending: Ending & Partial<Record<'delayMs' | 'error' | 'reply' | 'inPlace', unknown>>,
      name = queue,
    ): Promise<Settled> {
      const { id, lease } = job
      const { settled } = await queues.settle(name, [{ id, lease, ...ending } as Settlement], policy)
      const [answer] = settled
      if (answer === undefined) throw new Error('a settlement got no answer')
      return answer
    },
    detach: (client: string, leaving: 'keep' | 'release' | { graceMs: number }, session?: number) =>
      queues.detach(queue, holder(client), session ?? sessions.get(`${queue} ${client}`) ?? 0, leaving, policy),
    async turn(name = queue): Promise<void> {
      while ((await store.maintain(() => policy, name)).more);
    },
    async listed(state: JobState, name = queue): Promise<string[]> {
      return (await queues.jobs(name, { state, limit: 1_000 })).map(({ id }) => id)
    },
    job: (id: string, name = queue) => jobOf(queues, name, id),
    /** The counts, which balance; nothing of a queue that is not known. */
    async books(name = queue) {
      const counts = (await infoOf(queues, name))?.counts
      if (counts === undefined) return undefined
      const { sent, ready, delayed, held, waiting, done, dead, removed } = counts
      expect(ready + delayed + held + waiting + done + dead + removed).toBe(sent)
      return counts
    },
  }
}

export type Desk = ReturnType<typeof deskOf>
