/** Makes lists one at a time, for so many who wait for theirs. */

import { RepriseError } from '../../../shared/errors.ts'

const MAX_WAITING = 100
const RETRY_MS = 1_000

export class OneByOne {
  #last: Promise<unknown> = Promise.resolve()
  #waiting = 0

  /** Throws `too_many` where too many wait already. Nothing is done for whoever is `gone`. */
  async run<T>(work: () => Promise<T>, gone?: AbortSignal): Promise<T> {
    if (this.#waiting >= MAX_WAITING) {
      const message = `${MAX_WAITING} others wait for such a list, which is the limit: ask again`
      throw new RepriseError('too_many', message, { retryAfterMs: RETRY_MS })
    }
    this.#waiting += 1
    const done = this.#last.then(async () => {
      this.#waiting -= 1
      if (gone?.aborted) throw new RepriseError('unavailable', 'whoever asked is gone')
      return await work()
    })
    this.#last = done.catch(() => {})
    return await done
  }
}
