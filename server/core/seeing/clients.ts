/**
 * Who is connected to this node. Nothing is kept for it while nobody asks: the connections are looked at then, in turns,
 * and each says itself what it has open. What streams is listed here, as nothing else does.
 */

import { randomBytes } from 'node:crypto'
import {
  type ClientConsumer,
  type ClientRow,
  type ClientSeen,
  type ClientSort,
  type ClientSubscription,
  type ClientsPage,
  type ClientsQuery,
  SUBSCRIPTION_STATES,
} from '../../../shared/console/protocol.ts'
import { RepriseError } from '../../../shared/errors.ts'
import { authorize, type Caller, refusalFor } from '../access.ts'
import type { Telemetry } from '../telemetry.ts'
import { itsTurn, PAGE_WEIGHT } from '../turns.ts'
import { MAX_ROWS, rowsOf, seesAll } from './observer.ts'

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

export interface ClientsContext {
  readonly node: string
  readonly telemetry: Telemetry
}

/** A look is given to everybody who asks for the same within this time. */
const FRESH_MS = 1_000
/** Looks that are kept so long: one for each topic and queue that is asked for. */
const MAX_KEPT = 20
/** What is looked at in one piece: namespaces and consumers. */
const PIECE = 250
/** Of the names that a row has. */
const MAX_NAMES = 5

type Row = Omit<ClientRow, 'id'> & { readonly connected: Connected }

interface Look {
  readonly at: number
  readonly rows: readonly Row[]
  /** By what they were asked for. */
  readonly sorted: Map<string, readonly Row[]>
}

/** What of each connection is shown. */
interface View {
  /** All of them, with their addresses. */
  readonly isWhole: boolean
  readonly topic: string | undefined
  readonly queue: string | undefined
  fits(name: string): boolean
}

export class Clients {
  readonly #context: ClientsContext
  readonly #sources: (() => Iterable<Connected>)[] = []
  readonly #streams = new Set<Connected>()
  /** Ids are of this start of the hub, so that an old one names nobody else. */
  readonly #start = randomBytes(3).toString('hex')
  readonly #ids = new WeakMap<object, string>()
  readonly #kept = new Map<string, Promise<Look>>()
  #newest = 0
  /** One look at a time: each has a row for every connection in memory. */
  #line: Promise<unknown> = Promise.resolve()

  constructor(context: ClientsContext) {
    this.#context = context
    this.#sources.push(() => this.#streams)
  }

  /** As which this node is told of. */
  get node(): string {
    return this.#context.node
  }

  /** Connections of an edge that knows them itself. */
  from(source: () => Iterable<Connected>): void {
    this.#sources.push(source)
  }

  /** One that is there until the result is called. */
  add(stream: Connected): () => void {
    this.#streams.add(stream)
    return () => this.#streams.delete(stream)
  }

  async list(caller: Caller, query: ClientsQuery, gone: AbortSignal): Promise<ClientsPage> {
    const { topic, queue, search = '', sort = 'client' } = query
    const { at, rows, sorted } = await this.#look(viewOf(caller, topic, queue), gone)
    let all = sorted.get(sort)
    if (all === undefined) {
      all = sortedBy(rows, sort)
      sorted.set(sort, all)
    }
    const found = search === '' ? all : all.filter((row) => isNamed(row, search))
    const part = rowsOf(found, query).map((row) => this.#told(row))
    return { node: this.node, at, total: rows.length, matched: found.length, rows: part }
  }

  /** Throws `not_found` also for one of which the caller sees nothing. */
  async one(caller: Caller, id: string): Promise<ClientSeen> {
    const view = viewOf(caller)
    const connected = this.#find(id)
    const tally = new Tally(view)
    for (const part of connected?.parts() ?? []) tally.add(part)
    if (connected === undefined || !tally.isSeen) throw this.#notHere(id)
    const subscriptions: ClientSubscription[] = []
    const consumers: ClientConsumer[] = []
    for (const part of connected.parts()) {
      if (part.subscription !== undefined && view.fits(part.subscription.topic)) subscriptions.push(part.subscription)
      for (const consumer of part.consumers ?? []) if (view.fits(consumer.queue)) consumers.push(consumer)
    }
    subscriptions.sort((one, other) => rankOf(other) - rankOf(one) || other.lag - one.lag)
    consumers.sort((one, other) => other.held - one.held)
    return {
      node: this.node,
      client: this.#told(tally.row(connected)),
      subscriptions: subscriptions.slice(0, MAX_ROWS),
      consumers: consumers.slice(0, MAX_ROWS),
    }
  }

  /** Its client comes back by itself; who is to stay away is revoked. */
  disconnect(caller: Caller, id: string): void {
    authorize(caller, 'admin', '*')
    const connected = this.#find(id)
    if (connected === undefined) throw this.#notHere(id)
    const tally = new Tally(viewOf(caller))
    for (const part of connected.parts()) tally.add(part)
    const [client] = tally.row(connected).clients
    connected.disconnect()
    // Whoever looks next sees that it is gone.
    this.#kept.clear()
    const { subject } = caller
    const named = client === undefined ? {} : { client }
    this.#context.telemetry.happened({ kind: 'acted', what: 'disconnectClient', subject, ...named, item: id })
  }

  #look(view: View, gone: AbortSignal): Promise<Look> {
    // What only a part is seen of is another thing for each caller.
    if (!view.isWhole) return this.#inLine(view, gone)
    const what = JSON.stringify([view.topic, view.queue])
    const known = this.#kept.get(what)
    if (known !== undefined) return known
    if (this.#kept.size >= MAX_KEPT) return this.#inLine(view, gone)
    const look = this.#inLine(view)
    this.#kept.set(what, look)
    const forget = () => this.#kept.delete(what)
    look.then(() => setTimeout(forget, FRESH_MS).unref(), forget)
    return look
  }

  #inLine(view: View, gone?: AbortSignal): Promise<Look> {
    const look = this.#line.then(async () => {
      if (gone?.aborted) throw new RepriseError('unavailable', 'whoever asked is gone')
      return await this.#lookAtAll(view)
    })
    this.#line = look.catch(() => {})
    return look
  }

  async #lookAtAll(view: View): Promise<Look> {
    const rows: Row[] = []
    let looked = PIECE
    const step = async (): Promise<void> => {
      looked = 0
      await itsTurn(PAGE_WEIGHT)
    }
    for (const connected of this.#all()) {
      const tally = new Tally(view)
      for (const part of connected.parts()) {
        if (looked >= PIECE) await step()
        looked += tally.add(part)
      }
      if (tally.isSeen) rows.push(tally.row(connected))
    }
    return { at: Date.now(), rows, sorted: new Map() }
  }

  *#all(): Generator<Connected> {
    for (const source of this.#sources) yield* source()
  }

  #find(id: string): Connected | undefined {
    if (!id.startsWith(this.#start)) return undefined
    for (const connected of this.#all()) if (this.#ids.get(connected.key) === id) return connected
    return undefined
  }

  #told({ connected, ...row }: Row): ClientRow {
    let id = this.#ids.get(connected.key)
    if (id === undefined) {
      id = `${this.#start}-${++this.#newest}`
      this.#ids.set(connected.key, id)
    }
    return { id, ...row }
  }

  #notHere(id: string): RepriseError {
    const why = `there is no connection ${id} to this node (${this.node}): it is gone, or at another node`
    return new RepriseError('not_found', why)
  }
}

/**
 * Whoever may `read` everything sees everybody. Others see who uses the names that they manage, as in the list of a
 * topic's cursors, and no addresses.
 */
function viewOf(caller: Caller, topic?: string, queue?: string): View {
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
class Tally {
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

function rankOf({ state }: Pick<ClientSubscription, 'state'>): number {
  return SUBSCRIPTION_STATES.indexOf(state)
}

function isNamed({ subjects, clients, address = '' }: Row, search: string): boolean {
  return address.includes(search) || [...clients, ...subjects].some((name) => name.includes(search))
}

function sortedBy(rows: readonly Row[], sort: ClientSort): Row[] {
  const value = VALUES[sort]
  // Of very many, what is compared is worked out once.
  const valued = rows.map((row) => ({ row, by: value(row) }))
  valued.sort(({ by: a }, { by: b }) => (a < b ? -1 : a > b ? 1 : 0))
  return valued.map(({ row }) => row)
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
