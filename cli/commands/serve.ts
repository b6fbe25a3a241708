/** `reprise serve`: starts a hub, says where it is, drains it on a signal. The only command that loads the server. */

import type { Command } from 'commander'
import type { ResolvedServeOptions } from '../../server/options/hub.ts'
import { messageOf, RepriseError } from '../../shared/errors.ts'
import { startTimer } from '../../shared/timer.ts'
import { addExamples } from '../examples.ts'
import { asUsage, EXIT } from '../exit.ts'
import { note, printJson, printLine } from '../output/output.ts'
import { addServeFlags } from '../serveFlags.ts'
import { stopSignal } from '../signals.ts'

/** Beyond its own drain time a close gets this long to finish before it is given up. */
const CLOSE_GRACE_MS = 10_000

export function addServe(root: Command): void {
  const command = root.command('serve').description('Start a hub.')
  addServeFlags(command)
    .option('--json', 'print the address as JSON')
    .action(async ({ json, ...flags }: Record<string, unknown>) => run(flags, json === true))
  addExamples(
    command,
    ['reprise serve', 'a hub on http://127.0.0.1:3000, its data in ./data'],
    ['reprise serve --port 4000 --data /var/lib/reprise', 'another port and folder'],
    ['reprise serve --store redis://127.0.0.1:6379 --config reprise.yaml', 'the data in Redis, settings from a file'],
  )
}

async function run(flags: Record<string, unknown>, json: boolean): Promise<void> {
  const { parseServeOptions } = await import('../../server/options/file.ts')
  const { options } = asUsage(() => parseServeOptions({ flags, env: process.env }))
  const stopped = stopSignal()
  const { serve } = await import('../../server/serve.ts')
  const { tidyUp } = await import('../../server/idle.ts')
  const server = await serve(options, undefined, tidyUp).catch((error: unknown) => {
    throw startError(error)
  })
  const { url } = server
  if (json) await printJson({ message: `listening on ${url}`, url, store: shownStore(options) })
  else {
    await printLine(`listening on ${url}`)
    const pages = options.console ? `console: ${url}/ · demo: ${url}/demo · ` : ''
    await printLine(`${pages}events are kept in ${shownStore(options)}`)
    await printLine(whoMayConnect(options))
  }
  await stopped
  const stopWaiting = startTimer(options.drainMs + CLOSE_GRACE_MS, () => {
    note('reprise: the hub did not stop in time; what was acknowledged is kept')
    process.exit(EXIT.failed)
  })
  await server.close()
  stopWaiting()
}

/** A hub that cannot start has failed, whichever code the reason has; what can be done about a taken port is said. */
function startError(error: unknown): Error {
  const message = messageOf(error)
  const cause = error instanceof RepriseError ? error.cause : error
  const taken = cause instanceof Error && 'code' in cause && cause.code === 'EADDRINUSE'
  return new Error(taken ? `${message}; choose another with --port (0 takes a free one)` : message, { cause: error })
}

function whoMayConnect({ auth, host, open }: ResolvedServeOptions): string {
  if (auth !== undefined) {
    const anybody = (auth.anonymous ?? []).length > 0 ? 'has the anonymous grants' : 'may do nothing'
    return `authentication: whoever shows no token ${anybody}`
  }
  return open
    ? `open: whoever can reach ${host} may publish and read, nothing asks who is calling`
    : 'no authentication: everyone on this machine may publish and read, other machines cannot connect'
}

function shownStore({ store }: ResolvedServeOptions): string {
  return store.replace(/:\/\/[^/@]*@/, '://')
}
