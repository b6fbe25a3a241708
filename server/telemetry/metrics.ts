/**
 * The metrics of a hub: counts from its start on, and their text for Prometheus, whose library is loaded when somebody asks
 * for the first time. Who may ask is up to the edge.
 */

import { RepriseError } from '../../shared/errors.ts'
import type { Observer } from '../core/seeing/observer.ts'
import type { Reports, Telemetry } from '../core/telemetry.ts'
import { Activity } from './activity.ts'
import { Counts, type MetricsContext } from './counts.ts'
import type { Exposition } from './prometheus.ts'
import { Sampler } from './sampler.ts'

/** A text is given to everybody who asks within this time. */
const CACHE_MS = 1_000

export class Metrics {
  readonly counts = new Counts()
  readonly #activity = new Activity()
  #context: MetricsContext | undefined
  #sampler: Sampler | undefined
  #exposition: Exposition | undefined
  #observer: Promise<Observer & { close(): void }> | undefined
  #text: Promise<string> | undefined
  #textAt = 0

  /** Tells `reports` what it is told, and counts it. */
  listening(reports: Reports): Omit<Telemetry, 'spans'> {
    return {
      ...reports,
      meter: this.counts,
      happened: (event) => {
        this.#activity.add(event)
        this.counts.happened(event)
        reports.happened(event)
      },
    }
  }

  /** The store is open. */
  open(context: MetricsContext): void {
    this.#context = context
    this.counts.use(context)
    this.#sampler = new Sampler(context.store, context)
  }

  close(): void {
    this.#sampler?.stop()
    this.#observer?.then(
      (observer) => observer.close(),
      () => {},
    )
  }

  /** For the console. The store has to be open. */
  observer(): Promise<Observer> {
    this.#observer ??= this.#observe().catch((error: unknown) => {
      // The next one who asks tries again.
      this.#observer = undefined
      throw error
    })
    return this.#observer
  }

  async #observe() {
    const { HubObserver } = await import('./seeing/observer.ts')
    const [opened, sampler] = [this.#context, this.#sampler]
    if (opened === undefined || sampler === undefined) throw new RepriseError('unavailable', 'the hub is starting')
    return new HubObserver({ counts: this.counts, activity: this.#activity, sampler, opened })
  }

  /** As Prometheus reads it. */
  text(): Promise<string> {
    const now = performance.now()
    if (this.#text === undefined || now - this.#textAt >= CACHE_MS) {
      this.#textAt = now
      this.#text = this.#make()
    }
    return this.#text
  }

  async #make(): Promise<string> {
    const { openExposition } = await import('./prometheus.ts')
    this.#exposition ??= openExposition()
    const sample = await this.#sampler?.look()
    return await this.#exposition({
      counts: this.counts,
      opened: this.#context,
      sample,
    })
  }
}
