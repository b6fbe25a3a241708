/**
 * Whether this node really works: an event goes through append, notification and read, now and then, on a topic that no
 * client can name. `/readyz` answers from it.
 */

import { RepriseError } from '../../shared/errors.ts'
import type { Store } from '../store/contract.ts'
import { INTERNAL_PREFIX } from './topics/log.ts'

export interface Health {
  readonly ready: boolean
  /** What is wrong, in one sentence; absent when ready. */
  readonly reason?: string
  /** Milliseconds since 1970 of the last event that went all the way; absent before the first. */
  readonly lastOkAt?: number
}

/** Between two events. */
const INTERVAL_MS = 3_000
/** An event that takes longer than this did not go through. */
const PATIENCE_MS = 2_500

const RETAIN = { events: 4, bytes: 4_096, ageMs: Number.POSITIVE_INFINITY }

const TOPIC = `${INTERNAL_PREFIX}probe`

export class Probe {
  readonly #store: Store
  readonly #topic: string
  #timer: NodeJS.Timeout | undefined
  #stopped = false
  #lastOkAt: number | undefined
  #wrong: string | undefined = 'no event went through append, notification and read yet'

  constructor(store: Store, node: string) {
    this.#store = store
    this.#topic = `${TOPIC}:${node}`
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
    const last = this.#lastOkAt === undefined ? {} : { lastOkAt: this.#lastOkAt }
    return this.#wrong === undefined ? { ready: true, ...last } : { ready: false, reason: this.#wrong, ...last }
  }

  async #round(): Promise<void> {
    try {
      await this.#try()
      this.#wrong = undefined
      this.#lastOkAt = Date.now()
    } catch (error) {
      this.#wrong = error instanceof Error ? error.message : String(error)
    }
    if (this.#stopped) return
    this.#timer = setTimeout(() => void this.#round(), INTERVAL_MS)
    this.#timer.unref()
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
      let told: (head: number) => void = () => {}
      const notified = new Promise<number>((resolve) => {
        told = resolve
      })
      unwatch = await topics.watch(this.#topic, (notification) => {
        if (notification.kind === 'appended') told(notification.head)
      })
      const body = { json: '{"data":null}' }
      const { offsets } = await topics.append(this.#topic, { subject: TOPIC, drafts: [{ body }], retain: RETAIN })
      step = 'notification'
      await notified
      step = 'read'
      const offset = offsets[0] ?? 0
      const page = await topics.read(this.#topic, offset - 1, { events: 1, bytes: 1 })
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
