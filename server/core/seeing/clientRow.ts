/** What of a connection is shown to whom: its row in the list, made of what it has open. */

import {
  type ClientConsumer,
  type ClientRow,
  type ClientSort,
  type ClientSubscription,
  SUBSCRIPTION_STATES,
} from '../../../shared/console/protocol.ts'
import { type Caller, refusalFor } from '../access.ts'
import { seesAll } from './observer.ts'

/** Of the names that a row has. */
const MAX_NAMES = 5

/** A connection as its edge has it, made when somebody looks. */
export interface Connected {
  /** The same for as long as it is there. */
  readonly key: object
  readonly transport: string
  /** `undefined` where both ends are of this process. */
  readonly address: string | undefined
  parts(): Iterable<Part>
  /** Ends it in a way that its client comes back from. */
  disconnect(): void
}

/** What a connection has open: a namespace, or its one stream. */
export interface Part {
  readonly caller: Caller
  readonly since: number
  readonly console?: boolean
  readonly subscription?: ClientSubscription
  readonly consumers?: Iterable<ClientConsumer>
}

export type Row = Omit<ClientRow, 'id'> & { readonly connected: Connected }

/** What of each connection is shown. */
export interface View {
  /** All of them, with their addresses. */
  readonly isWhole: boolean
  readonly topic: string | undefined
  readonly queue: string | undefined
  fits(name: string): boolean
}

/**
 * Whoever may `read` everything sees everybody. Others see who uses the names that they manage, as in the list of a
 * topic's cursors, and no addresses.
 */
export function viewOf(caller: Caller, topic?: string, queue?: string): View {
  const isWhole = seesAll(caller)
  const known = new Map<string, boolean>()
  const manages = (name: string): boolean => {
    let may = known.get(name)
    if (may === undefined) {
      may = refusalFor(caller, 'admin', name) === undefined
      known.set(name, may)
    }
    return may
  }
  return { isWhole, topic, queue, fits: isWhole ? () => true : manages }
}

/** A row under way: what the parts of a connection come to. */
export class Tally {
  readonly #view: View
  readonly #subjects = new Set<string>()
  readonly #clients = new Set<string>()
  #parts = 0
  #since = Number.POSITIVE_INFINITY
  #console = false
  #subscriptions = 0
  #consumers = 0
  #held = 0
  #lag = 0
  #rank = 0

  constructor(view: View) {
    this.#view = view
  }

  get isSeen(): boolean {
    return this.#parts > 0
  }

  /** Answers what that weighed. */
  add({ caller, since, console = false, subscription, consumers = [] }: Part): number {
    const { isWhole, topic, queue } = this.#view
    let weight = 1
    let isSeen = isWhole && topic === undefined && queue === undefined
    if (subscription !== undefined && this.#fits(subscription.topic, topic, queue)) {
      isSeen = true
      if (subscription.state !== 'idle') this.#subscriptions += 1
      this.#lag = Math.max(this.#lag, subscription.lag)
      this.#rank = Math.max(this.#rank, rankOf(subscription))
    }
    for (const consumer of consumers) {
      weight += 1
      if (!this.#fits(consumer.queue, queue, topic)) continue
      isSeen = true
      this.#consumers += 1
      this.#held += consumer.held
    }
    if (!isSeen) return weight
    this.#parts += 1
    this.#since = Math.min(this.#since, since)
    this.#console ||= console
    if (this.#subjects.size < MAX_NAMES) this.#subjects.add(caller.subject)
    if (caller.client !== undefined && this.#clients.size < MAX_NAMES) this.#clients.add(caller.client)
    return weight
  }

  row(connected: Connected): Row {
    const { address, transport } = connected
    return {
      connected,
      subjects: [...this.#subjects],
      clients: [...this.#clients],
      ...(this.#view.isWhole && address !== undefined ? { address } : {}),
      transport,
      since: this.#since,
      console: this.#console,
      subscriptions: this.#subscriptions,
      consumers: this.#consumers,
      held: this.#held,
      lag: this.#lag,
      state: SUBSCRIPTION_STATES[this.#rank] ?? 'idle',
    }
  }

  /** `asked`: the only name of this kind that is asked for. With `other` alone, none of this kind is. */
  #fits(name: string, asked: string | undefined, other: string | undefined): boolean {
    if (asked === undefined ? other !== undefined : asked !== name) return false
    return this.#view.fits(name)
  }
}

export function rankOf({ state }: Pick<ClientSubscription, 'state'>): number {
  return SUBSCRIPTION_STATES.indexOf(state)
}

export function isNamed({ subjects, clients, address = '' }: Row, search: string): boolean {
  const has = (name: string): boolean => name.includes(search)
  return has(address) || clients.some(has) || subjects.some(has)
}

export function valueBy(sort: ClientSort): (row: Row) => string | number {
  return VALUES[sort]
}

const VALUES: Readonly<Record<ClientSort, (row: Row) => string | number>> = {
  client: ({ clients }) => clients[0] ?? '',
  subject: ({ subjects }) => subjects[0] ?? '',
  address: ({ address = '' }) => address,
  transport: ({ transport }) => transport,
  since: ({ since }) => since,
  subscriptions: ({ subscriptions }) => subscriptions,
  consumers: ({ consumers }) => consumers,
  held: ({ held }) => held,
  lag: ({ lag }) => lag,
  state: (row) => rankOf(row),
}
