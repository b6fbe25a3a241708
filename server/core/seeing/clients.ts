/**
 * Who is connected to this node. Nothing is kept for it while nobody asks: the connections are looked at then, in turns,
 * and each says itself what it has open. What streams is listed here, as nothing else does.
 */

import { randomBytes } from 'node:crypto'
import type {
  ClientConsumer,
  ClientRow,
  ClientSeen,
  ClientSubscription,
  ClientsPage,
  ClientsQuery,
} from '../../../shared/console/protocol.ts'
import { RepriseError } from '../../../shared/errors.ts'
import { authorize, type Caller } from '../access.ts'
import type { Telemetry } from '../telemetry.ts'
import { itsTurn, PAGE_WEIGHT } from '../turns.ts'
import { type Connected, isNamed, type Row, rankOf, Tally, type View, valueBy, viewOf } from './clientRow.ts'
import { MAX_ROWS, rowsOf } from './observer.ts'
import { OneByOne } from './oneByOne.ts'
import { sortedBy } from './sorting.ts'

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

/** Connections of an edge that knows them itself. */
export interface Source {
  all(): Iterable<Connected>
  /** The one with this key, while it is there. */
  one(key: object): Connected | undefined
}

interface Look {
  readonly at: number
  readonly rows: readonly Row[]
  /** By what they were asked for. */
  readonly sorted: Map<string, Promise<readonly Row[]>>
}

export class Clients {
  readonly #context: ClientsContext
  readonly #streams = new Map<object, Connected>()
  readonly #sources: Source[] = [{ all: () => this.#streams.values(), one: (key) => this.#streams.get(key) }]
  /** Ids are of this start of the hub, so that an old one names nobody else. */
  readonly #start = randomBytes(3).toString('hex')
  readonly #ids = new WeakMap<object, string>()
  /** By their ids, so that none is looked for among all: how long that takes would tell who is there. */
  readonly #keys = new Map<string, WeakRef<object>>()
  readonly #ended = new FinalizationRegistry<string>((id) => this.#keys.delete(id))
  readonly #kept = new Map<string, Promise<Look>>()
  #newest = 0
  /** One look at a time, as each has a row for every connection in memory. Who sees all does not wait for the others. */
  readonly #filtered = new OneByOne()
  readonly #parts = new OneByOne()

  constructor(context: ClientsContext) {
    this.#context = context
  }

  /** What this node is called. */
  get node(): string {
    return this.#context.node
  }

  from(source: Source): void {
    this.#sources.push(source)
  }

  /** One that is there until the result is called. */
  add(stream: Connected): () => void {
    this.#streams.set(stream.key, stream)
    return () => this.#streams.delete(stream.key)
  }

  async list(caller: Caller, query: ClientsQuery, gone: AbortSignal): Promise<ClientsPage> {
    const { topic, queue, search = '', sort = 'client' } = query
    const { at, rows, sorted } = await this.#look(viewOf(caller, topic, queue), gone)
    const sorting = sorted.get(sort) ?? sortedBy(rows, valueBy(sort))
    sorted.set(sort, sorting)
    const all = await sorting
    // All who waited for it go on at once.
    await itsTurn(PAGE_WEIGHT)
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
    if (!view.isWhole) return this.#parts.run(() => this.#lookAtAll(view), gone)
    const what = JSON.stringify([view.topic, view.queue])
    const known = this.#kept.get(what)
    if (known !== undefined) return known
    // Of these there is one a second, so it waits for nobody.
    const isAll = view.topic === undefined && view.queue === undefined
    if (!isAll && this.#kept.size >= MAX_KEPT) return this.#filtered.run(() => this.#lookAtAll(view), gone)
    const look = isAll ? this.#lookAtAll(view) : this.#filtered.run(() => this.#lookAtAll(view))
    this.#kept.set(what, look)
    const forget = () => this.#kept.get(what) === look && this.#kept.delete(what)
    look.then(() => setTimeout(forget, FRESH_MS).unref(), forget)
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
    for (const source of this.#sources) yield* source.all()
  }

  #find(id: string): Connected | undefined {
    const key = this.#keys.get(id)?.deref()
    if (key === undefined) return undefined
    for (const source of this.#sources) {
      const connected = source.one(key)
      if (connected !== undefined) return connected
    }
    return undefined
  }

  #told({ connected, ...row }: Row): ClientRow {
    let id = this.#ids.get(connected.key)
    if (id === undefined) {
      id = `${this.#start}-${++this.#newest}`
      this.#ids.set(connected.key, id)
      this.#keys.set(id, new WeakRef(connected.key))
      this.#ended.register(connected.key, id)
    }
    return { id, ...row }
  }

  #notHere(id: string): RepriseError {
    const why = `there is no connection ${id} to this node (${this.node}): it is gone, or at another node`
    return new RepriseError('not_found', why)
  }
}
