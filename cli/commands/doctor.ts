/** `reprise doctor`: says what is wrong with a configuration and its store, and what to do, whether a hub runs or not. */

import type { Command } from 'commander'
import type { Finding } from '../../server/doctor/doctor.ts'
import { printable } from '../../shared/printable.ts'
import { addExamples } from '../examples.ts'
import { Ended, EXIT } from '../exit.ts'
import { colours, printJson, printLine } from '../output/output.ts'
import { addServeFlags } from '../serveFlags.ts'

export function addDoctor(root: Command): void {
  const command = addServeFlags(
    root
      .command('doctor')
      .description('Look at a configuration and its store as serve would, and say what to do. Changes nothing.'),
  )
    .option('--json', 'print a JSON object for each thing looked at')
    .action(async ({ json, ...flags }: Record<string, unknown>) => run(flags, json === true))
  addExamples(
    command,
    ['reprise doctor --config reprise.yaml', 'would a hub run well with it?'],
    ['reprise doctor --store redis://127.0.0.1:6379', 'is this Redis fit for a hub?'],
  )
}

async function run(flags: Record<string, unknown>, json: boolean): Promise<void> {
  const { examine } = await import('../../server/doctor/doctor.ts')
  const findings = await examine({ flags, env: process.env })
  for (const finding of findings) await (json ? printJson(finding) : printLine(lineOf(finding)))
  if (findings.some(({ state }) => state === 'fail')) throw new Ended(EXIT.failed)
}

function lineOf({ what, state, text, todo }: Finding): string {
  const paint = colours()
  const colour = { ok: paint.green, warn: paint.yellow, fail: paint.red }[state]
  const line = `${colour(state.padEnd(4))}  ${what}: ${printable(text)}`
  return todo === undefined ? line : `${line} → ${printable(todo)}`
}
