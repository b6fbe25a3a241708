/**
 * Whether this node really works: an event goes through append, notification and read, now and then, on a topic that no
 * client can name. `/readyz` answers from it.
 */

import { messageOf, RepriseError } from '../../shared/errors.ts'
import type { Store } from '../store/contract/store.ts'
import type { Telemetry } from './telemetry.ts'
import { INTERNAL_PREFIX } from './topics/log.ts'

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

/** Enough for the events of all nodes in the time between an append and its read. */
const RETAIN = { events: 256, bytes: 65_536, ageMs: Number.POSITIVE_INFINITY }

const TOPIC = `${INTERNAL_PREFIX}probe`

export class Probe {
  readonly #store: Store
  readonly #telemetry: Telemetry
  /** Since when nothing goes through, by this machine's steady clock. */
  #awaySince: number | undefined
  #timer: NodeJS.Timeout | undefined
  #stopped = false
  #lastOkAt: number | undefined
  #wrong: string | undefined = 'no event went through append, notification and read yet'

  constructor(store: Store, telemetry: Telemetry) {
    this.#store = store
    this.#telemetry = telemetry
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
      const body = { json: '{"data":null}' }
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
      clearTimeout(timer)
      unwatch?.()
    }
  }
}
