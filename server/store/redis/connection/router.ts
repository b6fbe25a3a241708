/**
 * Which server has a key, and how a command gets there: one server, the master that Sentinel names, or the shard of a
 * cluster. Follows moved slots and waits while a server is away, as long as nothing can have been done.
 */

import { setTimeout as sleep } from 'node:timers/promises'
import type { Redis, RedisOptions } from 'ioredis'
import { messageOf, RepriseError } from '../../../../shared/errors.ts'
import { WAIT_MS } from '../../contract/basics.ts'
import { type Command, Connection, type LinkContext } from './connection.ts'
import { failure, isPassing, isReplica, NotSent } from './errors.ts'
import { watchSentinels } from './sentinels.ts'
import { slotOf } from './slot.ts'
import type { Location } from './url.ts'

const RETRY_MS = 50
/** How long a server of a cluster that cannot be reached is waited for. */
const REACH_MS = 500
/** How long a sentinel may take to name the master. */
const SENTINEL_MS = 700
/** How long a server may take to tell the slots. */
const LEARN_MS = 1_000

/** What a server lacks before it can do what it was given; `undefined` where the error says something else. */
export type Remedy = (error: unknown) => Command | undefined

/** A server did not take what it lacks. */
export class NotTaken extends Error {
  override readonly name = 'NotTaken'
}

/** The one server that is no shard. */
const ONLY = ''

export class Router {
  readonly #location: Location
  readonly #links = new Map<string, Connection>()
  /** Address of the master of each slot, in a cluster. */
  #slots: string[] = []
  #refreshing: Promise<void> | undefined
  /** Servers that a slot moves to, and when that was last heard of: they may have no slot yet. */
  readonly #gaining = new Map<string, number>()
  /** Which sentinel is asked first: another one at each try, as one may hang. */
  #turn = 0
  /** Those that others have of their own. */
  readonly #own = new Set<Connection>()
  #unwatch: (() => void) | undefined
  #closed = false
  /** Looks at a server before a new connection to it is used. */
  prepare: ((address: string, redis: Redis) => Promise<void>) | undefined

  constructor(location: Location) {
    this.#location = location
  }

  optionsFor(address: string): RedisOptions {
    const { kind, addresses, master, tls, username, password, sentinelPassword, database } = this.#location
    const common: RedisOptions = {
      ...(username !== undefined && { username }),
      ...(password !== undefined && { password }),
      ...(tls !== undefined && { tls }),
    }
    if (kind === 'sentinel') {
      const first = this.#turn++ % addresses.length
      return {
        ...common,
        sentinels: [...addresses.slice(first), ...addresses.slice(0, first)],
        name: master,
        sentinelRetryStrategy: () => null,
        sentinelCommandTimeout: SENTINEL_MS,
        ...(sentinelPassword !== undefined && { sentinelPassword }),
        ...(tls !== undefined && { enableTLSForSentinelMode: true, sentinelTLS: tls }),
      }
    }
    if (kind === 'single') return { ...common, ...addresses[0], db: database }
    const colon = address.lastIndexOf(':')
    return { ...common, host: address.slice(0, colon), port: Number(address.slice(colon + 1)) }
  }

  #link(address: string): Connection {
    let link = this.#links.get(address)
    if (link === undefined) {
      const prepare = async (redis: Redis): Promise<void> => this.prepare?.(address, redis)
      link = new Connection({ options: () => this.optionsFor(address), prepare })
      this.#links.set(address, link)
    }
    return link
  }

  /** A connection of its own to a server that the router knows. */
  ownLink(address: string, context: Omit<LinkContext, 'options' | 'closed'>): Connection {
    const link = new Connection({
      ...context,
      options: () => this.optionsFor(address),
      closed: () => this.#own.delete(link),
    })
    this.#own.add(link)
    return link
  }

  /** The server that has this key, by what is known. */
  addressOf(key: string): string {
    if (this.#location.kind !== 'cluster') return ONLY
    const [{ host, port }] = this.#location.addresses
    return this.#slots[slotOf(key)] ?? `${host}:${port}`
  }

  /** Every master that is known. */
  get masters(): string[] {
    return this.#location.kind === 'cluster' ? [...new Set(this.#slots)].filter(Boolean) : [ONLY]
  }

  /** Connects, and learns the shards of a cluster. */
  async open(deadline: number): Promise<void> {
    if (this.#location.kind === 'cluster') await this.refresh(deadline)
    else await this.#link(ONLY).ready(deadline, true)
    if (this.#location.kind === 'sentinel' && !this.#closed) this.#unwatch = this.#watch()
  }

  #watch(): () => void {
    const { addresses, master, tls, sentinelPassword } = this.#location
    const options: RedisOptions = {
      ...(sentinelPassword !== undefined && { password: sentinelPassword }),
      ...(tls !== undefined && { tls }),
    }
    const switched = (): void => {
      for (const link of [...this.#links.values(), ...this.#own]) link.renew()
    }
    return watchSentinels({ addresses, master, options, switched })
  }

  /** Asks which server has which slots. */
  async refresh(deadline = performance.now() + WAIT_MS): Promise<void> {
    if (this.#location.kind !== 'cluster') return
    this.#refreshing ??= this.#learn(deadline).finally(() => {
      this.#refreshing = undefined
    })
    await this.#refreshing
  }

  async #learn(deadline: number): Promise<void> {
    const given = this.#location.addresses.map(({ host, port }) => `${host}:${port}`)
    const part = Math.min(deadline, performance.now() + LEARN_MS)
    const asked = [...new Set([...this.#links.keys(), ...given])].map(async (address) => {
      const [ranges] = await this.#link(address).send([['CLUSTER', 'SLOTS']], part)
      const slots = slotsOf(ranges, address)
      if (slots.length === 0) throw new Error('CLUSTERDOWN the cluster has no slots')
      return slots
    })
    try {
      this.#slots = await Promise.any(asked)
    } catch (error) {
      throw error instanceof AggregateError ? error.errors[0] : error
    }
    for (const [known, link] of this.#links) {
      const isGaining = performance.now() - (this.#gaining.get(known) ?? Number.NEGATIVE_INFINITY) < WAIT_MS
      if (this.#slots.includes(known) || isGaining) continue
      link.close()
      this.#links.delete(known)
      this.#gaining.delete(known)
    }
  }

  /**
   * Gives commands to the server that has the key. Rejects with a `RepriseError`, with the server's own answer, or with
   * `NotTaken`. What a server lacks is given to the one where the call ended: while a slot moves that is another one than
   * the key's.
   */
  async run(key: string, commands: readonly Command[], deadline: number, remedy?: Remedy): Promise<unknown[]> {
    let address: string | undefined
    let asking = false
    for (;;) {
      address ??= this.addressOf(key)
      let error: unknown
      try {
        const answers = await this.#link(address).send(
          asking ? [['ASKING'], ...commands] : commands,
          this.#by(deadline),
        )
        return asking ? answers.slice(1) : answers
      } catch (cause) {
        error = cause
      }
      const [word, slot, target = ''] = messageOf(error).split(' ')
      const inTime = performance.now() < deadline
      if (inTime && (word === 'MOVED' || word === 'ASK')) {
        address = target.startsWith(':') ? `${address.slice(0, address.lastIndexOf(':'))}${target}` : target
        asking = word === 'ASK'
        if (asking) this.#gaining.set(address, performance.now())
        else this.#slots[Number(slot)] = address
        continue
      }
      const lacking = inTime ? remedy?.(error) : undefined
      if (lacking !== undefined) {
        const refused = await this.#give(address, lacking, deadline)
        if (refused === undefined) continue
        if (refused instanceof NotTaken) throw refused
        error = refused
      }
      if (!isPassing(error)) throw error
      if (this.#closed || performance.now() + RETRY_MS > deadline) throw failure(error)
      if (isReplica(error)) this.#link(address).renew()
      address = undefined
      asking = false
      await sleep(RETRY_MS)
      await this.refresh(deadline).catch(() => {})
    }
  }

  /** The answers of commands that nobody has to wait for longer than a call may. Rejects with a `RepriseError`. */
  async ask(key: string, ...commands: readonly Command[]): Promise<unknown[]> {
    try {
      return await this.run(key, commands, performance.now() + WAIT_MS)
    } catch (error) {
      throw failure(error)
    }
  }

  /** In a cluster another server may have the key soon, so that one which cannot be reached is not waited for. */
  #by(deadline: number): number {
    return this.#location.kind === 'cluster' ? Math.min(deadline, performance.now() + REACH_MS) : deadline
  }

  /** Answers why the server did not take it. It may be given twice: an answer that was lost is as if it was not sent. */
  async #give(address: string, lacking: Command, deadline: number): Promise<Error | undefined> {
    try {
      await this.#link(address).send([lacking], this.#by(deadline))
      return undefined
    } catch (error) {
      // A replica loads nothing, and yet answers reads.
      if (isPassing(error) && !isReplica(error)) return error as Error
      if (error instanceof RepriseError) return new NotSent(error.message)
      return new NotTaken(messageOf(error), { cause: error })
    }
  }

  /** Gives a command to one server, whatever it has. */
  async sendTo(address: string, command: Command, deadline: number): Promise<unknown> {
    return (await this.#link(address).send([command], deadline))[0]
  }

  /** The reason why nothing can be reached. */
  get lastError(): Error | undefined {
    for (const link of this.#links.values()) if (link.lastError !== undefined) return link.lastError
    return undefined
  }

  close(): void {
    this.#closed = true
    this.#unwatch?.()
    for (const link of this.#links.values()) link.close()
  }
}

/** Of `CLUSTER SLOTS`: from, to, then the master's host and port. */
function slotsOf(ranges: unknown, asked: string): string[] {
  const slots: string[] = []
  for (const [from, to, master] of ranges as [number, number, [Buffer | null, number]][]) {
    const host = master[0]?.toString() || asked.slice(0, asked.lastIndexOf(':'))
    for (let slot = from; slot <= to; slot++) slots[slot] = `${host}:${master[1]}`
  }
  return slots
}
