/** The command line as it is: every command, its options and its help. What a command does is in its own file. */

import { Command } from 'commander'
import { version } from '../server/version.ts'
import { addServe } from './commands/serve.ts'
import { addExamples } from './examples.ts'

/** `asked`: of a hub's start nothing is loaded for other commands. */
export async function program(asked?: string): Promise<Command> {
  const root = new Command('reprise')
    .description('A real-time hub and work queue: clients that were away get what they missed.')
    .version(version(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .helpCommand('help [command]', 'print the help of a command')
    .showSuggestionAfterError(true)
    .exitOverride()
    // What commander would print is told once, by main.ts, in the form that was asked for.
    .configureOutput({ outputError: () => {} })
  if (asked === 'serve') addServe(root)
  else (await import('./commands/all.ts')).addAll(root)
  addExamples(
    root,
    ['reprise serve', 'a hub on http://127.0.0.1:3000'],
    ['reprise pub orders \'{"id":1}\'', 'publish an event'],
    ['reprise sub orders --client billing', 'print events, with a cursor that the hub keeps'],
  )
  root.addHelpText('after', '\nExit codes and environment variables: docs/cli.md')
  return root
}
