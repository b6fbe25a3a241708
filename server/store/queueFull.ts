/** What a sender is told of a queue that takes no more, in the same words by all stores. */

import { RepriseError } from '../../shared/errors.ts'
import type { Enqueue } from './contract/store.ts'

export function queueFull({ jobs, bytes }: Enqueue['limit']): RepriseError {
  const most = [`${jobs} jobs`, `${bytes} bytes`].filter((text) => !text.startsWith('Infinity'))
  return new RepriseError('too_many', `the queue is full: it takes ${most.join(' and ')}`)
}
