/** `reprise jobs`: lists the jobs of a queue in one state. */

import { type Command, Option } from 'commander'
import { hasCode } from '../../shared/errors.ts'
import { addExamples } from '../examples.ts'
import { existing } from '../input/existing.ts'
import { printListing } from '../listing.ts'
import { cell, dataText, resultText, timeText } from '../output/cells.ts'
import { note, printLine } from '../output/output.ts'
import { addRemoteOptions, checkedQueue, type Fields, queueRoute, type RemoteOptions, wholeNumber } from '../remote.ts'

interface JobsOptions extends RemoteOptions {
  readonly state: string
  readonly key?: string
  readonly count: number
}

export function addJobs(root: Command): void {
  const command = root
    .command('jobs')
    .description('List the jobs of a queue in one state, in their order.')
    .argument('<queue>', 'name of the queue; <queue>/dead for its dead letters', checkedQueue)
  addRemoteOptions(command)
    .addOption(
      new Option('--state <state>', 'state of the jobs')
        .choices(['ready', 'delayed', 'held', 'waiting', 'dead', 'done', 'removed'])
        .default('ready'),
    )
    .option('--key <key>', 'list those with this key')
    .option('-n, --count <n>', 'list at most so many', wholeNumber(1), 100)
    .action(list)
  addExamples(
    command,
    ['reprise jobs emails', 'the first 100 ready jobs'],
    ['reprise jobs emails --key ann', 'those of one key, in the order of their line'],
    ['reprise jobs emails --state done', 'what was done last, as far as it is kept'],
    ['reprise jobs emails --state dead --json', 'the dead letters, for a program'],
  )
}

async function list(queue: string, options: JobsOptions): Promise<void> {
  await existing(options, 'queue', queue)
  const { state, key, count: most } = options
  const query = key === undefined ? { state } : { state, key }
  const isFinished = state === 'done' || state === 'removed'
  const columns = ['id', 'key', 'attempts', 'priority', 'sent', ...(isFinished ? ['ended', 'result'] : ['due', 'data'])]
  const route = `${queueRoute(queue)}/jobs`
  try {
    const some = await printListing(options, { route, list: 'jobs', query, most, columns, row })
    if (!some && !options.json) await printLine(`no ${state} jobs in ${queue}`)
  } catch (error) {
    // The queue is there: it is the job that the last page ended with.
    if (!hasCode(error, 'not_found')) throw error
    note('reprise: the queue moved on while it was listed; the list ends here')
  }
}

function row(job: Fields): (string | number)[] {
  const { id, key, attempts, priority, sentAt, dueAt, endedAt, state } = job
  const start = [cell(id), cell(key), cell(attempts), cell(priority), timeText(sentAt)]
  if (state === 'done' || state === 'removed') return [...start, timeText(endedAt), resultText(job)]
  return [...start, timeText(dueAt), dataText(job)]
}
