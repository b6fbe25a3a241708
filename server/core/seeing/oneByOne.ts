/** Makes lists one at a time, for so many who wait for theirs. */

import { RepriseError } from '../../../shared/errors.ts'
import { AtOnce } from '../atOnce.ts'

const MAX_WAITING = 100
const RETRY_MS = 1_000

export class OneByOne {
  readonly #line = new AtOnce(1)

  /** Throws `too_many` where too many wait already. Nothing is done for whoever is `gone`. */
  async run<T>(work: () => Promise<T>, gone?: AbortSignal): Promise<T> {
    if (this.#line.waiting >= MAX_WAITING) {
      const message = `${MAX_WAITING} others wait for such a list, which is the limit: ask again`
      throw new RepriseError('too_many', message, { retryAfterMs: RETRY_MS })
    }
    return await this.#line.run(async () => {
      if (gone?.aborted) throw new RepriseError('unavailable', 'whoever asked is gone')
      return await work()
    })
  }
}
