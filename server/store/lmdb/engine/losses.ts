/** What the calls of one step made of jobs, counted: one loss for each queue and cause. */

import type { JobLoss } from '../../contract/store.ts'

export class Losses {
  readonly #byCause = new Map<string, { readonly queue: string; loss: JobLoss }>()

  add(queue: string, loss: JobLoss): void {
    const cause = loss.kind === 'dead' ? loss.reason : `${loss.consumer.subject}\n${loss.consumer.client}`
    const key = `${queue}\n${loss.kind}\n${cause}`
    const known = this.#byCause.get(key)
    if (known === undefined) this.#byCause.set(key, { queue, loss })
    else known.loss = { ...loss, jobs: known.loss.jobs + loss.jobs }
  }

  tell(lost: (queue: string, loss: JobLoss) => void): void {
    for (const { queue, loss } of this.#byCause.values()) lost(queue, loss)
    this.#byCause.clear()
  }
}
