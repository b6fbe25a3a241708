/** What the list of happenings may be narrowed to. */

import type { ActivityQuery } from '../../../shared/console/happenings.ts'

interface Choice {
  readonly name: string
  readonly query: ActivityQuery
  /** Said where nothing of it happened. */
  readonly empty: string
}

export const CHOICES = {
  lost: {
    name: 'lost events',
    query: { kinds: ['gap'] },
    empty: 'No client was told of lost events since this node started.',
  },
  work: {
    name: 'failed work',
    query: { kinds: ['consumerLost', 'leasesLapsed', 'deadLetters', 'breakerTripped', 'lifeStuck', 'lifeMoved'] },
    empty: 'No consumer was lost and no job failed for good since this node started.',
  },
  clients: {
    name: 'slow and replaced clients',
    query: { kinds: ['slow', 'takeover'] },
    empty: 'No client was too slow or taken over since this node started.',
  },
  refused: {
    name: 'refusals',
    query: { kinds: ['refused', 'idsForgotten'] },
    empty: 'No refusal that you may see since this node started.',
  },
  changes: {
    name: 'changes by people',
    query: { kinds: ['acted'] },
    empty: 'No change that you may see since this node started.',
  },
  hub: {
    name: 'hub and store',
    query: { kinds: ['started', 'stopping', 'stopped', 'storeAway', 'storeBack', 'rotating', 'rotated'] },
    empty: 'You see nothing of the hub itself: that needs “read” on every name.',
  },
} as const satisfies Readonly<Record<string, Choice>>

export type About = keyof typeof CHOICES
