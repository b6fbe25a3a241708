/**
 * The metrics of a hub: counts from its start on, and their text for Prometheus, whose library is loaded when somebody asks
 * for the first time. Who may ask is up to the edge.
 */

import { Counts } from './counts.ts'
import type { Exposition, MetricsContext } from './prometheus.ts'
import { Sampler } from './sampler.ts'

/** A text is given to everybody who asks within this time. */
const CACHE_MS = 1_000

export class Metrics {
  readonly counts = new Counts()
  #context: MetricsContext | undefined
  #sampler: Sampler | undefined
  #exposition: Promise<Exposition> | undefined
  #text: Promise<string> | undefined
  #textAt = 0

  /** The store is open. */
  open(context: MetricsContext): void {
    this.#context = context
    this.counts.use(context)
    this.#sampler = new Sampler(context.store, context)
  }

  close(): void {
    this.#sampler?.stop()
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
    this.#exposition ??= import('./prometheus.ts').then(({ openExposition }) => openExposition())
    const exposition = await this.#exposition
    const sample = await this.#sampler?.look()
    return await exposition({
      counts: this.counts,
      opened: this.#context,
      sample,
    })
  }
}
