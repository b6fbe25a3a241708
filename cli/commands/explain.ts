/** `reprise explain`: explains why a job is waiting, or what became of it, and what happened to it. */

import type { Command } from 'commander'
import { printable } from '../../shared/printable.ts'
import { addJobCommand } from '../jobCommand.ts'
import { cell, dataText, plural, resultText, timeText } from '../output/cells.ts'
import { colours, printJson, printLine } from '../output/output.ts'
import { type Fields, getJson, isRecord, type RemoteOptions, records } from '../remote.ts'

const MAX_DATA = 2_000
const WIDTH = 10

export function addExplain(root: Command): void {
  addJobCommand(root, 'explain', {
    description: 'Explain why a job is waiting, or what became of it, and show what happened to it.',
    queue: 'name of the queue',
    examples: [
      ['reprise explain emails order-7', 'why is it not done yet?'],
      ['reprise explain emails order-7 --json', 'the same for a program'],
    ],
    action: explain,
  })
}

async function explain(route: string, { id }: { readonly id: string }, options: RemoteOptions): Promise<void> {
  const job = await getJson(options, route)
  if (options.json) return printJson(job)
  const paint = colours()
  await printLine(paint.bold(`job ${printable(id)} in ${cell(job.queue)}: ${cell(job.state)}`))
  for (const why of records(job.why)) {
    const until = typeof why.until === 'number' ? ` (until ${timeText(why.until)})` : ''
    await tell('why', `${cell(why.text)}${until}`)
  }
  await tell('sent', `${timeText(job.sentAt)} by ${cell(job.subject)}`)
  if (job.startedAt !== undefined) await tell('started', timeText(job.startedAt))
  if (job.endedAt !== undefined) await tell('ended', timeText(job.endedAt))
  if (job.state === 'delayed') await tell('due', timeText(job.dueAt))
  const most = job.maxAttempts === undefined ? '' : ` of ${cell(job.maxAttempts)} at most`
  await tell('tried', `${plural(job.attempts, 'failed attempt')}${most}, delivered ${plural(job.deliveries, 'time')}`)
  if (job.key !== undefined) await tell('key', String(job.key))
  if (job.group !== undefined) await tell('group', String(job.group))
  if (job.parent !== undefined) {
    const where = job.parentQueue === undefined ? '' : ` of ${cell(job.parentQueue)}`
    await tell('parent', `job ${cell(job.parent)}${where} waits for it`)
  }
  if (isRecord(job.children)) {
    await tell('children', `${cell(job.children.count)}, ${cell(job.children.open)} of them have not ended`)
  }
  if (isRecord(job.backoff)) await tell('backoff', backoffText(job.backoff))
  if (job.runMs !== undefined) await tell('run', `${cell(job.runMs)} ms at most`)
  if (job.keepDone !== undefined) await tell('kept', keepText(job.keepDone))
  await tell('priority', String(cell(job.priority)))
  if (job.progress !== undefined) await tell('progress', dataText({ data: job.progress }, MAX_DATA))
  if (job.error !== undefined) await tell('error', String(cell(job.error)))
  if (job.state === 'done') await tell('result', resultText(job, MAX_DATA))
  const waits = job.state !== 'held' && job.state !== 'waiting'
  if (job.ttlAt !== undefined && waits) await tell('expires', `${timeText(job.ttlAt)} if it still waits`)
  if (job.replyBy !== undefined) await tell('request', `somebody waits for the reply until ${timeText(job.replyBy)}`)
  if ('data' in job || 'base64' in job || job.damaged === true) await tell('data', dataText(job, MAX_DATA))
  for (const { at, what, holder, why } of records(job.history)) {
    const by = isRecord(holder) ? ` by ${cell(holder.client)}` : ''
    const text = why === undefined ? '' : `: ${cell(why)}`
    await tell('history', `${timeText(at)} ${cell(what)}${by}${text}`)
  }
  for (const { at, text } of records(job.log)) await tell('log', `${timeText(at)} ${cell(text)}`)
}

function backoffText({ kind, ms, maxMs }: Fields): string {
  if (Array.isArray(ms)) return `${ms.map(cell).join(' ms, ')} ms, and so on`
  return kind === 'fixed' ? `${cell(ms)} ms after each` : `${cell(ms)} ms, doubled each time, at most ${cell(maxMs)} ms`
}

function keepText(keepDone: unknown): string {
  return isRecord(keepDone) ? `${cell(keepDone.ageMs)} ms when it has ended` : 'not when it has ended'
}

function tell(name: string, text: string): Promise<void> {
  return printLine(`${name.padEnd(WIDTH)}${printable(text)}`)
}
