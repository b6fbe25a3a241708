#!/usr/bin/env node
/** Runs the command line and turns each ending into an exit code. */

import { type Command, CommanderError } from 'commander'
import { RepriseError } from '../shared/errors.ts'
import { suggestion } from '../shared/nearest.ts'
import { Ended, EXIT, errorLine, exitCodeOf, UsageError } from './exit.ts'
import { endWhenNobodyReads, exitWith } from './output/output.ts'
import { program } from './program.ts'

const given = process.argv.slice(2)
// What stands behind `--` is the command of `work`.
const json = given.slice(0, given.includes('--') ? given.indexOf('--') : undefined).includes('--json')

/** Commander's errors in one line: its suggestion stands on a second one. */
function usageMessage(error: CommanderError): string {
  return error.message
    .replace(/^error: /, '')
    .replace(/\n\(Did you mean (.*)\?\)/, '; did you mean $1?')
    .replaceAll('\n', ' ')
}

/** Commander would show the help of all for the help of a command that there is not. */
function checkHelp(root: Command, [help, asked = '-']: readonly string[]): void {
  if (help !== 'help' || asked.startsWith('-')) return
  const known = root.commands.flatMap((command) => [command.name(), ...command.aliases()])
  if (!known.includes(asked)) throw new UsageError(`unknown command '${asked}'${suggestion(asked, known)}`)
}

async function run(): Promise<number> {
  const root = await program(given[0])
  try {
    if (given[0] === 'complete') {
      const { default: complete } = await import('@bomb.sh/tab/commander')
      complete(root)
    }
    checkHelp(root, given)
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
void run().then(exitWith)
