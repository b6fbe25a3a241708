#!/usr/bin/env node
/** The command line: knows every command, turns each ending into an exit code. What a command does is in its own file. */

import { readFileSync } from 'node:fs'
import { Command, CommanderError } from 'commander'
import { RepriseError } from '../shared/errors.ts'
import { addConfig } from './commands/config.ts'
import { addCursors } from './commands/cursors.ts'
import { addExplain } from './commands/explain.ts'
import { addJobs } from './commands/jobs.ts'
import { addPub } from './commands/pub.ts'
import { addPause, addPurge, addQueues } from './commands/queues.ts'
import { addRedrive } from './commands/redrive.ts'
import { addSend } from './commands/send.ts'
import { addServe } from './commands/serve.ts'
import { addSub } from './commands/sub.ts'
import { addTail } from './commands/tail.ts'
import { addTopics } from './commands/topics.ts'
import { addWork } from './commands/work.ts'
import { Ended, EXIT, errorLine, exitCodeOf, UsageError } from './exit.ts'
import { endWhenNobodyReads, exitWith } from './output.ts'

const json = process.argv.slice(2).includes('--json')

function version(): string {
  // The sources lie one folder below package.json, what is built of them two.
  for (const place of ['../package.json', '../../package.json']) {
    try {
      const { name, version } = JSON.parse(readFileSync(new URL(place, import.meta.url), 'utf8')) as Record<
        string,
        string
      >
      if (name === 'reprise' && version !== undefined) return version
    } catch {
      // The next place is tried.
    }
  }
  return 'unknown'
}

function program(): Command {
  const root = new Command('reprise')
    .description('A real-time hub whose clients get what they missed.')
    .version(version(), '-V, --version')
    .showSuggestionAfterError(true)
    .exitOverride()
    // What commander would print is told once, below, in the form that was asked for.
    .configureOutput({ outputError: () => {} })
    .addHelpText('after', '\nExit codes, environment and examples: docs/cli.md')
  for (const add of [addServe, addPub, addSub, addTopics, addTail, addCursors]) add(root)
  for (const add of [addSend, addWork, addQueues, addJobs, addExplain, addRedrive, addPause, addPurge]) add(root)
  addConfig(root)
  return root
}

/** Commander's errors in one line: its suggestion stands on a second one. */
function usageMessage(error: CommanderError): string {
  return error.message
    .replace(/^error: /, '')
    .replace(/\n\(Did you mean (.*)\?\)/, '; did you mean $1?')
    .replaceAll('\n', ' ')
}

async function run(): Promise<number> {
  const root = program()
  try {
    if (process.argv[2] === 'complete') {
      const { default: complete } = await import('@bomb.sh/tab/commander')
      complete(root)
    }
    await root.parseAsync(process.argv)
    return EXIT.ok
  } catch (error) {
    if (error instanceof Ended) return error.exitCode
    if (error instanceof CommanderError) {
      if (error.exitCode === 0) return EXIT.ok
      // `reprise` alone: the help was shown on standard error.
      if (error.code !== 'commander.help')
        process.stderr.write(`${errorLine(new UsageError(usageMessage(error)), json)}\n`)
      return EXIT.usage
    }
    process.stderr.write(`${errorLine(error, json)}\n`)
    if (!(error instanceof RepriseError || error instanceof UsageError) && process.env.REPRISE_LOG_LEVEL === 'debug') {
      process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`)
    }
    return exitCodeOf(error)
  }
}

// As for the options of serve: an empty variable is one that is not set.
for (const name of ['REPRISE_URL', 'REPRISE_TOKEN']) if (process.env[name] === '') delete process.env[name]
endWhenNobodyReads()
await exitWith(await run())
