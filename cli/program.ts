/** The command line as it is: every command, its options and its help. What a command does is in its own file. */

import { Command } from 'commander'
import { version } from '../server/version.ts'
import { addConfig } from './commands/config.ts'
import { addCursors } from './commands/cursors.ts'
import { addDoctor } from './commands/doctor.ts'
import { addDrop } from './commands/drop.ts'
import { addExplain } from './commands/explain.ts'
import { addForget } from './commands/forget.ts'
import { addJobs } from './commands/jobs.ts'
import { addKey } from './commands/key.ts'
import { addPause, addResume } from './commands/pause.ts'
import { addPub } from './commands/pub.ts'
import { addPurge } from './commands/purge.ts'
import { addQueues } from './commands/queues.ts'
import { addRedrive } from './commands/redrive.ts'
import { addRemove } from './commands/remove.ts'
import { addRevoke } from './commands/revoke.ts'
import { addSeek } from './commands/seek.ts'
import { addSend } from './commands/send.ts'
import { addServe } from './commands/serve.ts'
import { addSettings } from './commands/settings.ts'
import { addSub } from './commands/sub.ts'
import { addTail } from './commands/tail.ts'
import { addToken } from './commands/token.ts'
import { addTopics } from './commands/topics.ts'
import { addWork } from './commands/work.ts'
import { addExamples } from './examples.ts'

/** In the order of the help. */
const GROUPS = [
  ['Hub:', [addServe, addConfig, addDoctor, addSettings]],
  ['Access:', [addKey, addToken, addRevoke]],
  ['Topics:', [addPub, addSub, addTail, addTopics, addDrop, addCursors, addSeek, addForget]],
  ['Queues:', [addSend, addWork, addQueues, addJobs, addExplain, addRemove, addRedrive, addPause, addResume, addPurge]],
] as const

export function program(): Command {
  const root = new Command('reprise')
    .description('A real-time hub and work queue: clients that were away get what they missed.')
    .version(version(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .helpCommand('help [command]', 'print the help of a command')
    .showSuggestionAfterError(true)
    .exitOverride()
    // What commander would print is told once, by main.ts, in the form that was asked for.
    .configureOutput({ outputError: () => {} })
  for (const [heading, commands] of GROUPS) {
    root.commandsGroup(heading)
    for (const add of commands) add(root)
  }
  addExamples(
    root,
    ['reprise serve', 'a hub on http://127.0.0.1:3000'],
    ['reprise pub orders \'{"id":1}\'', 'publish an event'],
    ['reprise sub orders --client billing', 'print events, with a cursor that the hub keeps'],
  )
  root.addHelpText('after', '\nExit codes and environment variables: docs/cli.md')
  return root
}
