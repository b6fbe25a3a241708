/** Who is given jobs now, and how many: by credit and in turns, to nobody who is silent, suspects to empty hands. */

import type { Claimed } from '../../../store/contract/store.ts'
import type { Consumer } from './consumer.ts'
import { CLOCK_MS } from './lapses.ts'
import type { JobClient } from './outlet.ts'
import type { Silence } from './silence.ts'

/** What one claim may carry. */
const CLAIM_JOBS = 1_000
/** Smaller claims cost more than they gain. */
const LEAST_PART = 32

/** Whose turn it is. Counted over all queues of a node, as one client may take from several. */
export class Turns {
  readonly #last = new WeakMap<JobClient, number>()
  #count = 0

  /** It waits from now on. */
  given(client: JobClient): void {
    this.#count += 1
    this.#last.set(client, this.#count)
  }

  /** It waits no longer than who was given something last: else one that comes anew for each job is always first. */
  came(client: JobClient): void {
    if (!this.#last.has(client)) this.#last.set(client, this.#count)
  }

  /** Who has the most free credit is served first, and of those who waits longest. The idle ones are equal in credit. */
  order(consumers: Consumer[]): Consumer[] {
    let idle = 0
    for (const one of consumers) if (one.holds === 0) idle = Math.max(idle, one.free)
    const rank = (one: Consumer) => (one.holds === 0 ? idle : one.free)
    return consumers.sort((a, b) => rank(b) - rank(a) || this.#since(a) - this.#since(b) || b.free - a.free)
  }

  #since({ client }: Consumer): number {
    return this.#last.get(client) ?? 0
  }
}

/** The shares of one queue. */
export class Sharing {
  readonly #turns: Turns
  readonly #silence: Silence
  /** The one that takes no more until its hands are empty, so that it can be given a suspect. */
  #aside: Consumer | undefined
  /** Jobs that wait, as a claim said last: what is delivered at once is shared among those who take. */
  #waiting = 0
  /** Jobs that are on their way into the store since. */
  #coming = 0

  constructor(turns: Turns, silence: Silence) {
    this.#turns = turns
    this.#silence = silence
  }

  expect(jobs: number): void {
    this.#coming += jobs
  }

  /** So many are being claimed. */
  asked(jobs: number): void {
    this.#waiting = Math.max(0, this.#waiting - jobs)
  }

  /** What a claim has brought, the last one of several. */
  learn({ waiting, suspects }: Claimed, consumers: Iterable<Consumer>): void {
    this.#waiting = waiting
    this.#setAside(suspects, consumers)
  }

  left(consumer: Consumer): void {
    if (this.#aside === consumer) this.#aside = undefined
  }

  /** Who takes now, in their turns and no more of them than there are jobs, and how many jobs each. */
  takers(consumers: readonly Consumer[], now: number): Map<Consumer, number> {
    const able = this.#able(consumers, now)
    this.#waiting += this.#coming
    this.#coming = 0
    const waiting = Math.max(1, this.#waiting)
    const takers = this.#turns.order(able).slice(0, waiting)
    const [only, other] = consumers
    let share = CLAIM_JOBS
    if (able.length > 1) share = Math.ceil(waiting / takers.length)
    else if (only !== undefined && other === undefined) share = partOf(only)
    return new Map(takers.map((consumer) => [consumer, Math.min(consumer.free, share, CLAIM_JOBS)]))
  }

  #able(consumers: Iterable<Consumer>, now: number): Consumer[] {
    const able: Consumer[] = []
    const silent: Consumer[] = []
    let isSomebodyThere = false
    for (const consumer of consumers) {
      if (consumer.credit === 0) continue
      if (consumer.hasLapsed(now + CLOCK_MS)) this.#silence.begin(consumer.client)
      if (this.#silence.has(consumer.client)) {
        this.left(consumer)
        silent.push(consumer)
        continue
      }
      isSomebodyThere = true
      // Of a session that is over nothing is claimed.
      if (consumer.attaching > 0) continue
      if (consumer.free === 0 || consumer.stuck || consumer.over) continue
      // One in doubt has to see first what is under way for it.
      if (consumer.doubtful && consumer.asked > 0) continue
      if (consumer.client.outlet.overfull) continue
      if (consumer === this.#aside && consumer.holds + consumer.asked > 0) continue
      able.push(consumer)
    }
    if (!isSomebodyThere) for (const { client } of silent) this.#silence.ask(client)
    return able
  }

  /** Suspects go to empty hands only: one consumer is kept from taking more, the one that is done first. */
  #setAside(suspects: number, consumers: Iterable<Consumer>): void {
    if (suspects === 0) {
      this.#aside = undefined
      return
    }
    if (this.#aside !== undefined) return
    for (const consumer of consumers) {
      if (consumer.credit === 0 || this.#silence.has(consumer.client)) continue
      if (this.#aside === undefined || consumer.holds < this.#aside.holds) this.#aside = consumer
    }
  }
}

/**
 * Of the only consumer, half of its credit: the store works on the one half while the other one travels. Who takes one
 * delivery and goes would never see the other one.
 */
function partOf({ client, credit }: Consumer): number {
  return client.once ? credit : Math.max(LEAST_PART, Math.ceil(credit / 2))
}
