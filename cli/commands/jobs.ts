/** `reprise jobs`: lists the jobs of a queue in one state. */

import { type Command, Option } from 'commander'
import { RepriseError } from '../../shared/errors.ts'
import { addExamples } from '../examples.ts'
import { existing } from '../input/existing.ts'
import { cell, dataText, timeText } from '../output/cells.ts'
import { note, printJson, printLine, table } from '../output/output.ts'
import {
  addRemoteOptions,
  checkedQueue,
  getJson,
  isRecord,
  queueRoute,
  type RemoteOptions,
  wholeNumber,
} from '../remote.ts'

interface JobsOptions extends RemoteOptions {
  readonly state: string
  readonly count: number
}

const PAGE = 100

export function addJobs(root: Command): void {
  const command = root
    .command('jobs')
    .description('List the jobs of a queue in one state, in their order.')
    .argument('<queue>', 'name of the queue; <queue>/dead for its dead letters', checkedQueue)
  addRemoteOptions(command)
    .addOption(
      new Option('--state <state>', 'state of the jobs').choices(['ready', 'delayed', 'held', 'dead']).default('ready'),
    )
    .option('-n, --count <n>', 'list at most so many', wholeNumber(1), 100)
    .action(list)
  addExamples(
    command,
    ['reprise jobs emails', 'the first 100 ready jobs'],
    ['reprise jobs emails --state dead --json', 'the dead letters, for a program'],
  )
}

async function list(queue: string, options: JobsOptions): Promise<void> {
  await existing(options, 'queue', queue)
  let left = options.count
  let after: string | undefined
  let first = true
  do {
    const query = {
      state: options.state,
      limit: String(Math.min(left, PAGE)),
      ...(after === undefined ? {} : { after }),
    }
    const page = await nextPage(options, queue, query)
    if (page === undefined) {
      note('reprise: the queue moved on while it was listed; the list ends here')
      return
    }
    if (options.json) for (const job of page.jobs) await printJson(job)
    else if (page.jobs.length > 0) {
      const lines = table(['id', 'key', 'attempts', 'priority', 'sent', 'due', 'data'], page.jobs.map(row))
      for (const line of first ? lines : lines.slice(1)) await printLine(line)
    }
    if (page.jobs.length > 0) first = false
    left -= page.jobs.length
    after = page.next
  } while (after !== undefined && left > 0)
  if (first && !options.json) await printLine(`no ${options.state} jobs in ${queue}`)
}

/** `undefined` where the job that the last page ended with is gone. */
async function nextPage(options: RemoteOptions, queue: string, query: Record<string, string>) {
  try {
    const page = await getJson(options, `${queueRoute(queue)}/jobs`, query)
    if (!isRecord(page) || !Array.isArray(page.jobs)) {
      throw new RepriseError('unavailable', `${options.url} answers without jobs: another version?`)
    }
    return { jobs: page.jobs.filter(isRecord), next: typeof page.next === 'string' ? page.next : undefined }
  } catch (error) {
    if (query.after !== undefined && error instanceof RepriseError && error.code === 'not_found') return undefined
    throw error
  }
}

function row(job: Record<string, unknown>): (string | number)[] {
  const { id, key, attempts, priority, sentAt, dueAt } = job
  return [cell(id), cell(key), cell(attempts), cell(priority), timeText(sentAt), timeText(dueAt), dataText(job)]
}
