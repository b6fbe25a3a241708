/** `reprise queues`: lists the queues of a hub, or shows what the hub knows of one. */

import type { Command } from 'commander'
import { addListCommand } from '../listing.ts'
import { ageText, cell } from '../output/cells.ts'
import { checkedQueue, type Fields, isRecord } from '../remote.ts'

const COUNTS = ['ready', 'delayed', 'held', 'waiting', 'dead', 'done'] as const

export function addQueues(root: Command): void {
  addListCommand(root, 'queue', {
    check: checkedQueue,
    columns: ['queue', ...COUNTS, 'oldest', 'consumers', 'paused'],
    row,
    examples: [
      ['reprise queues', 'all queues with their counts'],
      ['reprise queues emails', 'all that the hub knows of one'],
    ],
  })
}

function row({ queue, counts, oldestReadyMs, consumers, paused, tripped }: Fields): (string | number)[] {
  const known = isRecord(counts) ? counts : {}
  const age = typeof oldestReadyMs === 'number' ? ageText(oldestReadyMs) : '-'
  const state = paused !== true ? '-' : tripped === undefined ? 'yes' : 'breaker'
  return [cell(queue), ...COUNTS.map((name) => cell(known[name])), age, cell(consumers), state]
}
