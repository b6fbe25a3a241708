/** `reprise pub`: publishes an argument, or standard input line by line, in order and no faster than the hub takes it. */

import type { Command } from 'commander'
import type { PublishOptions, Receipt, Topic } from '../../client/index.ts'
import { RepriseError } from '../../shared/errors.ts'
import { parseExact } from '../../shared/exactNumbers.ts'
import { addExamples } from '../examples.ts'
import { Ended, type ExitCode, UsageError } from '../exit.ts'
import { collectHeader, type Entry, readData, readDraft } from '../input/drafts.ts'
import { readLines } from '../input/lines.ts'
import { note, printJson, printLine } from '../output/output.ts'
import { inputBytes, startProgress } from '../output/progress.ts'
import { addRemoteOptions, checkedName, connectTo, type RemoteOptions } from '../remote.ts'
import { listenForStop } from '../signals.ts'

interface PubOptions extends RemoteOptions {
  readonly text?: true
  readonly drafts?: true
  readonly id?: string
  readonly key?: string
  readonly header?: Readonly<Record<string, string>>
}

/** What may be on its way without a reply: far below what the SDK's outbox holds, so it never refuses. */
const MAX_OUTSTANDING = 1_000
const MAX_OUTSTANDING_BYTES = 4 * 2 ** 20

export function addPub(root: Command): void {
  const command = root
    .command('pub')
    .alias('publish')
    .description('Publish an event, or one for each line of standard input.')
    .argument('<topic>', 'name of the topic', checkedName('the topic'))
    .argument('[data]', 'JSON, or a plain word; without it, or with -, each line of standard input is an event')
  addRemoteOptions(command)
    .option('--text', 'take the data, or every line, as text')
    .option('--drafts', 'each line is a whole draft: {"data":…,"id":…,"key":…,"headers":{…}}')
    .option('--id <id>', 'store one event only, if the same id comes again within 5 minutes')
    .option('--key <key>', 'key of the event')
    .option('--header <name=value>', 'add a header; can be repeated', collectHeader)
    .action((topic: string, data: string | undefined, options: PubOptions) => publish(topic, data, options))
  addExamples(
    command,
    ['reprise pub orders \'{"id":1}\'', 'publish one event'],
    ['reprise pub log.web --text < access.log', 'one event for each line of a file'],
    ['reprise sub orders --json | reprise pub copies --drafts', 'copy a topic'],
  )
}

async function publish(name: string, data: string | undefined, options: PubOptions): Promise<void> {
  const fromInput = data === undefined || data === '-'
  if (options.text && options.drafts) throw new UsageError('--text and --drafts contradict: a draft is JSON')
  if (fromInput && options.id !== undefined) {
    throw new UsageError('--id is for one event; lines carry theirs with --drafts')
  }
  if (!fromInput && options.drafts) throw new UsageError('--drafts is for lines of standard input')
  // Read before anything is connected: a typing mistake costs no round trip.
  const single = fromInput ? undefined : readData(data, options.text === true)
  const hub = await connectTo(options)
  try {
    const topic = hub.topic(name)
    if (fromInput) await publishLines(topic, options)
    else {
      const receipt = await topic.publish(single, publishOptions(options, {}))
      await (options.json ? printJson({ topic: name, ...receipt }) : printLine(String(receipt.offset)))
    }
  } finally {
    await hub.close()
  }
}

interface Sent {
  readonly line: number
  readonly bytes: number
  readonly outcome: Promise<Receipt | RefusedLine>
}

interface RefusedLine {
  readonly line: number
  readonly error: unknown
}

async function publishLines(topic: Topic, options: PubOptions): Promise<void> {
  if (process.stdin.isTTY) note('each line is published as one event; Ctrl-D ends')
  const size = inputBytes()
  const bar = startProgress(`publishing to ${topic.name}`, size > 0 ? 'bytes' : 'events', size, !options.json)
  const waiting: Sent[] = []
  const kept = new Tally()
  let outstandingBytes = 0
  let readBytes = 0
  let refused: RefusedLine | undefined
  let wrongLine: unknown
  let interrupted: ExitCode | undefined
  void listenForStop().signalled.then((code) => {
    interrupted = code
    process.stdin.destroy()
  })

  async function settleOldest(): Promise<void> {
    const oldest = waiting.shift()
    if (oldest === undefined) return
    const outcome = await oldest.outcome
    outstandingBytes -= oldest.bytes
    readBytes += oldest.bytes
    if ('error' in outcome) {
      refused ??= outcome
      return
    }
    kept.add(outcome.offset)
    if (options.json) await printJson({ line: oldest.line, topic: topic.name, ...outcome })
    bar.update(size > 0 ? readBytes : kept.count)
  }

  try {
    for await (const { number, text, bytes } of readLines(process.stdin)) {
      const entry = readEntry(text, number, options)
      while (
        waiting.length >= MAX_OUTSTANDING ||
        (waiting.length > 0 && outstandingBytes + bytes > MAX_OUTSTANDING_BYTES)
      ) {
        await settleOldest()
      }
      if (refused !== undefined || interrupted !== undefined) break
      outstandingBytes += bytes
      waiting.push({
        line: number,
        bytes,
        outcome: topic
          .publish(entry.data, publishOptions(options, entry))
          .catch((error: unknown) => ({ line: number, error }) satisfies RefusedLine),
      })
    }
  } catch (error) {
    // Reading fails when the interruption closes the input under it.
    if (interrupted === undefined) wrongLine = error
  }
  while (waiting.length > 0) await settleOldest()
  bar.stop()
  const told = kept.told(topic.name)
  if (refused !== undefined) throw refusedLine(refused, told)
  if (wrongLine instanceof UsageError) throw new UsageError(`${wrongLine.message}; ${told}, nothing from that line on`)
  if (wrongLine !== undefined) throw wrongLine
  if (!options.json) await printLine(told)
  if (interrupted !== undefined) throw new Ended(interrupted)
}

function refusedLine({ line, error }: RefusedLine, told: string): Error {
  const message = `line ${line}: ${error instanceof Error ? error.message : String(error)}; ${told}, no other line`
  return error instanceof RepriseError ? new RepriseError(error.code, message, { cause: error }) : new Error(message)
}

function readEntry(text: string, line: number, options: PubOptions): Entry {
  try {
    if (options.drafts) return readDraft(text)
    return { data: options.text ? text : parseExact(text) }
  } catch (error) {
    const hint = options.drafts || options.text ? '' : ' (give --text for lines of plain text)'
    throw new UsageError(`line ${line} is wrong: ${error instanceof Error ? error.message : String(error)}${hint}`)
  }
}

function publishOptions(options: PubOptions, entry: Omit<Entry, 'data'>): PublishOptions {
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

/** Counts what the hub has kept, and between which offsets. */
class Tally {
  count = 0
  #first = 0
  #last = 0

  add(offset: number): void {
    if (this.count === 0) this.#first = offset
    this.#last = offset
    this.count++
  }

  told(topic: string): string {
    if (this.count === 0) return `published nothing to ${topic}`
    if (this.count === 1) return `published 1 event: offset ${this.#first} of ${topic}`
    return `published ${this.count} events: offsets ${this.#first} to ${this.#last} of ${topic}`
  }
}
