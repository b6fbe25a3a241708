/** `reprise tail`: prints a topic's last events, and with `-f` those that come. Keeps no cursor. */

import type { Command } from 'commander'
import type { Position, ReadPage, Topic } from '../../client/index.ts'
import { addExamples } from '../examples.ts'
import { follow } from '../follow.ts'
import { existing, missing } from '../input/existing.ts'
import { eventJson, eventText } from '../output/events.ts'
import { note, printLine } from '../output/output.ts'
import { addRemoteOptions, checkedTopic, connectTo, type RemoteOptions, wholeNumber } from '../remote.ts'

interface TailOptions extends RemoteOptions {
  readonly lines: number
  readonly follow?: true
}

const MAX_PAGE = 1_000

export function addTail(root: Command): void {
  const command = root
    .command('tail')
    .description('Print the last events of a topic.')
    .argument('<topic>', 'name of the topic', checkedTopic)
  addRemoteOptions(command)
    .option('-n, --lines <n>', 'how many events', wholeNumber(0), 10)
    .option('-f, --follow', 'go on and print new events as they come')
    .action(tail)
  addExamples(
    command,
    ['reprise tail orders', 'the last ten events'],
    ['reprise tail orders -n 100 -f', 'the last hundred, then new ones as they come'],
  )
}

async function tail(name: string, options: TailOptions): Promise<void> {
  const hub = await connectTo(options)
  try {
    const why = options.follow ? await missing(options, 'topic', name) : undefined
    if (why !== undefined) {
      note(`reprise: ${why}; waiting for its first event`)
      // It may have come by now.
      await follow(hub, name, options, { from: 'start' })
      return
    }
    if (!options.follow) await existing(options, 'topic', name)
    const topic = hub.topic(name)
    const head = await topic.head()
    for (const page of await lastPages(topic, head, options.lines)) {
      for (const event of page.events) {
        await printLine(options.json ? eventJson(name, page.epoch, event) : eventText(event))
      }
    }
    if (options.follow) await follow(hub, name, options, { from: head })
  } finally {
    await hub.close()
  }
}

/** Reads backward from the head, and answers the pages forward. */
async function lastPages(topic: Topic, head: Position, wanted: number): Promise<ReadPage[]> {
  const pages: ReadPage[] = []
  let before = head.offset + 1
  let left = wanted
  while (left > 0 && before > 1) {
    const page = await topic.read({ before, limit: Math.min(left, MAX_PAGE) })
    const [earliest] = page.events
    if (earliest === undefined) break
    pages.unshift(page)
    left -= page.events.length
    before = earliest.offset
  }
  return pages
}
