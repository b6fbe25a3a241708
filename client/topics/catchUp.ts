/** How far a subscription has caught up, and when that is worth a report: at most a hundred times on its way. */

import type { Progress } from '../api.ts'
import { Emitter } from '../connection/emitter.ts'

export class CatchUp {
  readonly reports = new Emitter<Progress>()
  #from = 0
  #at = 0
  #total = 0
  #nextReport = 0

  begin(offset: number, total: number): void {
    this.#from = this.#at = offset
    this.#total = total
    this.#nextReport = 1
  }

  get progress(): Progress {
    return { done: Math.max(0, Math.min(this.#total, this.#at - this.#from)), total: this.#total }
  }

  reach(offset: number): void {
    this.#at = offset
  }

  /** Offsets may begin anew behind a gap: what is done stays done. */
  skip(offset: number): void {
    this.#from = offset - this.progress.done
    this.#at = offset
  }

  end(): void {
    this.#at = this.#from + this.#total
  }

  /** Reports when that is due. Not once more at the end, when the last event was reported already. */
  report(): boolean {
    const { progress } = this
    const { done, total } = progress
    if (done < this.#nextReport) return false
    const step = Math.max(1, Math.floor(total / 100))
    this.#nextReport = done === total ? Infinity : Math.min(total, done + step)
    this.reports.emit(progress)
    return true
  }
}
