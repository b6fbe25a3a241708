/** `reprise topics`: lists the topics of a hub, or shows what the hub knows of one. */

import type { Command } from 'commander'
import { addListCommand } from '../listing.ts'
import { cell } from '../output/cells.ts'
import { checkedTopic } from '../remote.ts'

const COLUMNS = ['topic', 'first', 'last', 'events', 'bytes', 'subscribers', 'cursors'] as const

export function addTopics(root: Command): void {
  addListCommand(root, 'topic', {
    check: checkedTopic,
    columns: COLUMNS,
    row: (topic) => COLUMNS.map((column) => cell(topic[column])),
    examples: [
      ['reprise topics', 'all topics with their kept range'],
      ['reprise topics orders', 'all that the hub knows of one'],
    ],
  })
}
