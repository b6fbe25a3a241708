/** `reprise pub`: publishes an argument, or standard input line by line, in order and no faster than the hub takes it. */

import type { Command } from 'commander'
import type { PublishOptions, Receipt, Topic } from '../../client/index.ts'
import { addExamples } from '../examples.ts'
import { type Entry, readData, readDraft } from '../input/drafts.ts'
import { addInputOptions, type Feed, feed, type InputOptions, readEntry, takesLines } from '../input/feed.ts'
import { printJson, printLine } from '../output/output.ts'
import { addRemoteOptions, checkedName, connectTo } from '../remote.ts'

/** What may be on its way without a reply: far below what the SDK's outbox holds, so it never refuses. */
const MOST = { lines: 1_000, bytes: 4 * 2 ** 20 }

export function addPub(root: Command): void {
  const command = root
    .command('pub')
    .alias('publish')
    .description('Publish an event, or one for each line of standard input.')
    .argument('<topic>', 'name of the topic', checkedName('the topic'))
    .argument('[data]', 'JSON, or a plain word; without it, or with -, each line of standard input is an event')
  const draft = '{"data":…,"id":…,"key":…,"headers":{…}}'
  addInputOptions(addRemoteOptions(command), 'event', draft, 'key of the event').action(publish)
  addExamples(
    command,
    ['reprise pub orders \'{"id":1}\'', 'publish one event'],
    ['reprise pub log.web --text < access.log', 'one event for each line of a file'],
    ['reprise sub orders --json | reprise pub copies --drafts', 'copy a topic'],
  )
}

async function publish(name: string, data: string | undefined, options: InputOptions): Promise<void> {
  const fromInput = takesLines(data, options, 'event')
  // Read before anything is connected: a typing mistake costs no round trip.
  const single = fromInput ? undefined : readData(data ?? '', options.text === true)
  const hub = await connectTo(options)
  try {
    const topic = hub.topic(name)
    if (fromInput) return await publishLines(topic, options)
    const receipt = await topic.publish(single, publishOptions(options, {}))
    await (options.json ? printJson({ topic: name, ...receipt }) : printLine(String(receipt.offset)))
  } finally {
    await hub.close()
  }
}

async function publishLines(topic: Topic, options: InputOptions): Promise<void> {
  const { name } = topic
  let [count, first, last] = [0, 0, 0]
  const lines: Feed<Receipt> = {
    what: 'event',
    doing: `publishing to ${name}`,
    most: MOST,
    send(line) {
      const entry: Entry = readEntry(line, options, readDraft)
      return topic.publish(entry.data, publishOptions(options, entry))
    },
    kept(receipt) {
      if (count === 0) first = receipt.offset
      last = receipt.offset
      count++
      return { topic: name, ...receipt }
    },
    told() {
      if (count === 0) return `published nothing to ${name}`
      if (count === 1) return `published 1 event: offset ${first} of ${name}`
      return `published ${count} events: offsets ${first} to ${last} of ${name}`
    },
  }
  await feed(lines, options)
}

function publishOptions(options: InputOptions, entry: Omit<Entry, 'data'>): PublishOptions {
  const id = entry.id ?? options.id
  const key = entry.key ?? options.key
  const headers = options.header === undefined ? entry.headers : { ...options.header, ...entry.headers }
  return {
    timeoutMs: options.timeout,
    ...(id === undefined ? {} : { id }),
    ...(key === undefined ? {} : { key }),
    ...(headers === undefined ? {} : { headers }),
  }
}
