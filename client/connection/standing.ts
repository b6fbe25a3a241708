/** What a subscription or a worker is doing, and who listens to that. Once it has ended nothing changes any more. */

import { Emitter, type Undo } from './emitter.ts'
import type { Warnings } from './warnings.ts'

interface Reason {
  readonly code: string
  readonly error?: unknown
}

export class Standing<S extends { readonly state: string }, R extends Reason> {
  /** Resolves with the reason. */
  readonly ended: Promise<R>
  #ended: (reason: R) => void = () => {}
  readonly #reports = new Emitter<S>()
  readonly #warnings: Warnings
  #now: S

  constructor(first: S, warnings: Warnings) {
    this.#now = first
    this.#warnings = warnings
    this.ended = new Promise((resolve) => {
      this.#ended = resolve
    })
  }

  get now(): S {
    return this.#now
  }

  get over(): boolean {
    return this.#now.state === 'ended'
  }

  on(listener: (status: S) => void): Undo {
    return this.#warnings.watch(this.#reports.on(listener))
  }

  report(status: S): void {
    if (this.over) return
    this.#now = status
    this.#reports.emit(status)
  }

  /** The last report. `what` it is that has ended is told on the console when nobody listens. */
  end(what: string, status: S & { readonly reason: R }): void {
    if (!this.#reports.heard) this.#warnings.ended(what, status.reason)
    this.report(status)
    this.#ended(status.reason)
  }
}
