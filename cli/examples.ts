/** The last lines of a help: what the command looks like when it is used. */

import type { Command } from 'commander'

/** A line to copy into a shell, and what it does. */
export type Example = readonly [line: string, what: string]

export function addExamples(command: Command, ...examples: readonly Example[]): void {
  const width = Math.max(...examples.map(([line]) => line.length))
  const lines = examples.map(([line, what]) => `  ${line.padEnd(width)}  # ${what}`)
  command.addHelpText('after', ['', 'Examples:', ...lines].join('\n'))
}
