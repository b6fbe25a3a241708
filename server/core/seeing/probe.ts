/**
 * Whether this node really works: an event goes through append, notification and read, now and then, on a topic that no
 * client can name. `/readyz` answers from it.
 */

import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'
import type { NodeSeen } from '../../../shared/console/protocol.ts'
import { messageOf, RepriseError } from '../../../shared/errors.ts'
import type { Store } from '../../store/contract/store.ts'
import type { Telemetry } from '../telemetry.ts'
import { INTERNAL_PREFIX } from '../topics/log.ts'

export interface Health {
  readonly ready: boolean
  /** What is wrong, in one sentence; absent when ready. */
  readonly reason?: string
  /** Milliseconds since 1970 of the last event that went all the way; absent before the first. */
  readonly lastOkAt?: number
  /** What of the store was found damaged since the hub began, in sentences; absent where nothing was. */
  readonly damage?: readonly string[]
}

/** Between two events. */
const INTERVAL_MS = 3_000
/** An event that takes longer than this did not go through. */
const PATIENCE_MS = 2_500

/** A node that has sent nothing through for so long is not told of any more. */
const NODE_MS = 4 * INTERVAL_MS
/** Enough for the events of all nodes in the time between an append and its read. */
const RETAIN = { events: 256, bytes: 65_536, ageMs: Number.POSITIVE_INFINITY }

const TOPIC = `${INTERNAL_PREFIX}probe`

/** Of this hub, as a person tells it from others: two may run on one machine. */
export function nodeName(): string {
  return `${hostname()}-${randomBytes(3).toString('hex')}`
}

export class Probe {
  readonly #store: Store
  readonly #telemetry: Telemetry
  readonly #node: Omit<NodeSeen, 'at'>
  /** Since when nothing goes through, by this machine's steady clock. */
  #awaySince: number | undefined
  #timer: NodeJS.Timeout | undefined
  #stopped = false
  #lastOkAt: number | undefined
  #wrong: string | undefined = 'no event went through append, notification and read yet'

  /** `node`: what other nodes are told of this one. */
  constructor(store: Store, telemetry: Telemetry, node: Omit<NodeSeen, 'at'>) {
    this.#store = store
    this.#telemetry = telemetry
    this.#node = node
  }

  get node(): Omit<NodeSeen, 'at'> {
    return this.#node
  }

  /** The nodes whose events went through a moment ago, in the order of their ids. */
  async nodes(): Promise<readonly NodeSeen[]> {
    const { topics } = this.#store
    const now = await this.#store.ready()
    const { head } = await topics.read(TOPIC, Number.MAX_SAFE_INTEGER, { events: 0, bytes: 0 })
    const { events } = await topics.read(TOPIC, Math.max(0, head - RETAIN.events), RETAIN)
    const seen = new Map<string, NodeSeen>()
    for (const event of events) {
      if ('damaged' in event || event.at < now - NODE_MS) continue
      const { data } = JSON.parse(event.body.json) as { readonly data: Omit<NodeSeen, 'at'> | null }
      // An older release says nothing of itself.
      if (data !== null) seen.set(data.id, { ...data, at: event.at })
    }
    return [...seen.values()].sort((one, other) => (one.id < other.id ? -1 : 1))
  }

  /** Resolves after the first try, whatever came of it. */
  async start(): Promise<void> {
    await this.#round()
  }

  stop(): void {
    this.#stopped = true
    clearTimeout(this.#timer)
  }

  health(): Health {
    const damage = this.#store.damage()
    const last = {
      ...(this.#lastOkAt !== undefined && { lastOkAt: this.#lastOkAt }),
      ...(damage.length > 0 && { damage }),
    }
    return this.#wrong === undefined ? { ready: true, ...last } : { ready: false, reason: this.#wrong, ...last }
  }

  async #round(): Promise<void> {
    try {
      await this.#try()
      this.#wrong = undefined
      this.#lastOkAt = Date.now()
      this.#back()
    } catch (error) {
      this.#wrong = messageOf(error)
      this.#away(this.#wrong)
    }
    if (this.#stopped) return
    this.#timer = setTimeout(() => void this.#round(), INTERVAL_MS)
    this.#timer.unref()
  }

  #away(reason: string): void {
    if (this.#awaySince !== undefined || this.#stopped) return
    this.#awaySince = performance.now()
    this.#telemetry.happened({ kind: 'storeAway', reason })
  }

  #back(): void {
    if (this.#awaySince === undefined) return
    const afterMs = Math.round(performance.now() - this.#awaySince)
    this.#awaySince = undefined
    this.#telemetry.happened({ kind: 'storeBack', afterMs })
  }

  async #try(): Promise<void> {
    let step = 'append'
    let isOver = false
    let unwatch: (() => void) | undefined
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        reject(new RepriseError('timeout', `the probe's event did not get through ${step} in ${PATIENCE_MS} ms`))
      }, PATIENCE_MS)
    })
    const through = async () => {
      const { topics } = this.#store
      // All nodes share the topic: only a head at its own event or behind it counts.
      let told = 0
      let own = Number.POSITIVE_INFINITY
      let heard: () => void = () => {}
      unwatch = await topics.watch(TOPIC, (notification) => {
        if (notification.kind !== 'appended') return
        told = notification.head
        if (told >= own) heard()
      })
      // The store may take longer to listen than is waited for.
      if (isOver) return unwatch()
      const body = { json: JSON.stringify({ data: this.#node }) }
      const { offsets } = await topics.append(TOPIC, { subject: TOPIC, drafts: [{ body }], retain: RETAIN })
      const offset = offsets[0] ?? 0
      step = 'notification'
      if (told < offset) {
        await new Promise<void>((resolve) => {
          own = offset
          heard = resolve
        })
      }
      step = 'read'
      const page = await topics.read(TOPIC, offset - 1, { events: 1, bytes: 1 })
      if (page.events[0]?.offset !== offset) throw new RepriseError('internal', "the probe's event could not be read")
    }
    try {
      await Promise.race([through(), late])
    } finally {
      isOver = true
      clearTimeout(timer)
      unwatch?.()
    }
  }
}
