/** How many events the scene's topic keeps: looked up, and set where the caller may. */

import { messageOf } from '../../../shared/errors.ts'
import type { Visit } from '../visit.ts'

/** What the scene wants. */
export const WANTED = 50
/** The events of one visitor are of no use later. */
const AGE = '1h'

interface Settings {
  readonly settings?: { readonly retain?: { readonly events?: number | 'unlimited' } }
}

export class Retention {
  /** Of all visitors: one entry in the hub's settings, whoever comes. */
  readonly pattern: string
  readonly mayChange: boolean
  readonly #visit: Visit
  readonly #topic: string
  readonly #changed: () => void
  #events: number | 'unlimited' | undefined
  #problem = ''

  constructor(visit: Visit, topic: string, changed: () => void) {
    this.pattern = `${visit.base}.gap.*`
    this.mayChange = visit.may('admin', this.pattern)
    this.#visit = visit
    this.#topic = topic
    this.#changed = changed
    void this.#look()
  }

  /** Events that are kept; `undefined` where the page may not know. */
  get events(): number | 'unlimited' | undefined {
    return this.#events
  }

  get isSet(): boolean {
    return this.#events === WANTED
  }

  get problem(): string {
    return this.#problem
  }

  async set(): Promise<void> {
    await this.#ask(() =>
      this.#visit.http.ask('PUT', `/topics/${this.pattern}`, { retain: { events: WANTED, age: AGE } }),
    )
    await this.#look()
  }

  async #look(): Promise<void> {
    if (!this.#visit.may('read', this.#topic)) return
    const told = await this.#ask(() => this.#visit.http.get<Settings>(`/topics/${this.#topic}/settings`))
    if (told !== undefined) this.#events = told.settings?.retain?.events
    this.#changed()
  }

  async #ask<T>(question: () => Promise<T>): Promise<T | undefined> {
    try {
      const answer = await question()
      this.#problem = ''
      return answer
    } catch (error) {
      this.#problem = messageOf(error)
      return undefined
    } finally {
      this.#changed()
    }
  }
}
