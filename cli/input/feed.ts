/**
 * Standard input, line by line, to whatever stores it: in order, no faster than it is taken, and at the end how far that
 * went. Used by `pub` and `send`, which take the same options for what they are given.
 */

import type { Command } from 'commander'
import { messageOf, RepriseError } from '../../shared/errors.ts'
import { parseExact } from '../../shared/exactNumbers.ts'
import { Ended, type ExitCode, UsageError } from '../exit.ts'
import { note, printJson, printLine } from '../output/output.ts'
import { inputBytes, startProgress } from '../output/progress.ts'
import type { RemoteOptions } from '../remote.ts'
import { stopSignal } from '../signals.ts'
import { collectHeader } from './drafts.ts'
import { type Line, readLines } from './lines.ts'

export interface InputOptions extends RemoteOptions {
  readonly text?: true
  readonly drafts?: true
  readonly id?: string
  readonly key?: string
  readonly header?: Readonly<Record<string, string>>
}

type What = 'event' | 'job'

export function addInputOptions(command: Command, what: What, draft: string, key: string): Command {
  return command
    .option('--text', 'take the data, or every line, as text')
    .option('--drafts', `each line is a whole draft: ${draft}`)
    .option('--id <id>', `store one ${what} only, if the same id comes again within 5 minutes`)
    .option('--key <key>', key)
    .option('--header <name=value>', 'add a header; can be repeated', collectHeader)
}

/** Whether lines are read. Throws where the options say something else. */
export function takesLines(data: string | undefined, { text, drafts, id }: InputOptions, what: What): boolean {
  const fromInput = data === undefined || data === '-'
  if (text && drafts) throw new UsageError('--text and --drafts contradict: a draft is JSON')
  if (fromInput && id !== undefined) throw new UsageError(`--id is for one ${what}; lines carry theirs with --drafts`)
  if (!fromInput && drafts) throw new UsageError('--drafts is for lines of standard input')
  return fromInput
}

/** What a line says: a draft with `--drafts`, else data. Throws a usage error that names the line. */
export function readEntry<Draft>(
  { text, number }: Line,
  options: InputOptions,
  readDraft: (text: string) => Draft,
): Draft | { readonly data: unknown } {
  try {
    if (options.drafts) return readDraft(text)
    return { data: options.text ? text : parseExact(text) }
  } catch (error) {
    const hint = options.drafts || options.text ? '' : ' (give --text for lines of plain text)'
    throw new UsageError(`line ${number} is wrong: ${messageOf(error)}${hint}`)
  }
}

/** The same error in other words. */
function reworded(error: unknown, message: string): Error {
  return error instanceof RepriseError ? new RepriseError(error.code, message, { cause: error }) : new Error(message)
}

export interface Feed<Kept> {
  readonly what: What
  /** As in `publishing to orders`. */
  readonly doing: string
  /** What may be on its way without an answer. */
  readonly most: { readonly lines: number; readonly bytes: number }
  /** Throws for a line that is wrong; the promise rejects where the hub refuses it. */
  send(line: Line): Promise<Kept>
  /** Called in the order of the lines; answers what `--json` prints of it. */
  kept(kept: Kept): object
  /** How far it went. */
  told(): string
}

type Outcome<Kept> = { readonly kept: Kept } | { readonly error: unknown }

export async function feed<Kept>({ most, ...to }: Feed<Kept>, { json }: InputOptions): Promise<void> {
  if (process.stdin.isTTY) note(`each line is one ${to.what}; Ctrl-D ends`)
  const size = inputBytes()
  const bar = startProgress(to.doing, size > 0 ? 'bytes' : `${to.what}s`, size, !json)
  /** Of the lines without an outcome: when each is told. */
  const waiting: Promise<void>[] = []
  let [waitingBytes, bytes, lines] = [0, 0, 0]
  let allTold: Promise<void> = Promise.resolve()
  let isRefused = false
  let refused: { readonly error: unknown } | undefined
  let wrongLine: unknown
  let interrupted: ExitCode | undefined
  void stopSignal().then((code) => {
    interrupted = code
    process.stdin.destroy()
  })

  /** Called in the order of the lines. */
  async function tell(line: Line, sent: Promise<Outcome<Kept>>): Promise<void> {
    const outcome = await sent
    waiting.shift()
    waitingBytes -= line.bytes
    if ('error' in outcome) {
      refused ??= outcome
      return
    }
    bytes += line.bytes
    lines++
    const told = to.kept(outcome.kept)
    if (json) await printJson({ line: line.number, ...told })
    bar.update(size > 0 ? bytes : lines)
  }

  try {
    for await (const line of readLines(process.stdin)) {
      const isFull = () => waiting.length >= most.lines || waitingBytes + line.bytes > most.bytes
      while (waiting.length > 0 && isFull()) await waiting[0]
      if (isRefused || interrupted !== undefined) break
      const outcome = to.send(line).then(
        (kept) => ({ kept }),
        (error: unknown) => {
          isRefused = true
          return { error: reworded(error, `line ${line.number}: ${messageOf(error)}`) }
        },
      )
      allTold = allTold.then(() => tell(line, outcome))
      // It is awaited at the end.
      allTold.catch(() => {})
      waiting.push(allTold)
      waitingBytes += line.bytes
    }
  } catch (error) {
    // Reading fails when the interruption closes the input under it.
    if (interrupted === undefined) wrongLine = error
  }
  await allTold
  bar.stop()
  const told = to.told()
  if (refused !== undefined) throw reworded(refused.error, `${messageOf(refused.error)}; ${told}, no other line`)
  if (wrongLine instanceof UsageError) throw new UsageError(`${wrongLine.message}; ${told}, nothing from that line on`)
  if (wrongLine !== undefined) throw wrongLine
  if (!json) await printLine(told)
  if (interrupted !== undefined) throw new Ended(interrupted)
}
