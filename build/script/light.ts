/** What the light script has in place of what only the whole one has: an error that says so. */

import { RepriseError } from '../../shared/errors.ts'

class Missing {
  constructor() {
    throw new RepriseError(
      'unsupported',
      'the light script has no persist, share or transaction: load reprise-client.global.js',
    )
  }
}

export { Missing as Keeping, Missing as Persistence, Missing as Sharing, Missing as Transactions }

export function prepareDatabase(): unknown {
  return new Missing()
}

/** Of earlier pages there is nothing. */
export function restored(): { rows: []; waiting: [] } {
  return { rows: [], waiting: [] }
}
