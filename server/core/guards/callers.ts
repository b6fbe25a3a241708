/**
 * What one caller may take: a subject, over all that it has open, and where nobody is asked who is calling, a network. What
 * the program around the hub does itself is not counted.
 */

import { RepriseError } from '../../../shared/errors.ts'
import { ANONYMOUS, type Caller } from '../access.ts'
import { networkOf } from './addresses.ts'
import { Places } from './places.ts'
import { SharedRate } from './sharedRate.ts'

export interface CallerRules {
  /** Drafts: of events and of jobs. */
  readonly publishesPerSecond: number
  /** Requests that wait for something to come. */
  readonly longPolls: number
  readonly streams: number
  /** Subscriptions that read what is kept. */
  readonly replays: number
}

const WORDS = {
  longPolls: 'requests that wait',
  streams: 'streams',
  replays: 'subscriptions that replay',
} as const

/** One of them ends any moment. */
const RETRY_MS = 1_000

/** As whom a caller is counted. Whoever has no address is of this process, and is not. */
export function countedAs(subject: string, address: string | undefined): string | undefined {
  if (address === undefined) return undefined
  return subject === ANONYMOUS ? `network ${networkOf(address)}` : `subject ${subject}`
}

export class CallerLimits {
  readonly #rules: CallerRules
  readonly #publishes: SharedRate
  readonly #places: Readonly<Record<keyof typeof WORDS, Places>>

  constructor(rules: CallerRules) {
    this.#rules = rules
    this.#publishes = new SharedRate(rules.publishesPerSecond)
    this.#places = {
      longPolls: new Places(rules.longPolls),
      streams: new Places(rules.streams),
      replays: new Places(rules.replays),
    }
  }

  /** Throws `too_many`. `undefined` where nothing is counted: a publish is not held up then. */
  publishing(caller: Caller, drafts: number): Promise<void> | undefined {
    const { subject, counted } = caller
    if (counted === undefined || !this.#publishes.isBound) return undefined
    return this.#publishing(counted, subject, drafts)
  }

  async #publishing(key: string, subject: string, drafts: number): Promise<void> {
    const { waitMs } = await this.#publishes.take(key, drafts)
    if (waitMs === 0) return
    throw tooMany(subject, `${this.#rules.publishesPerSecond} drafts a second`, 'publishesPerSecond', waitMs)
  }

  /** Takes a place; the result gives it back. Throws `too_many`. */
  take(what: keyof typeof WORDS, caller: Caller): () => void {
    const { subject, counted } = caller
    const places = this.#places[what]
    if (places.hasRoom(counted)) return places.take(counted)
    throw tooMany(subject, `${this.#rules[what]} ${WORDS[what]}`, what, RETRY_MS)
  }
}

function tooMany(subject: string, has: string, limit: string, retryAfterMs: number): RepriseError {
  return new RepriseError('too_many', `${subject} has ${has}, which is the limit (limits.${limit})`, { retryAfterMs })
}
