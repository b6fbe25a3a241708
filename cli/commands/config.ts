/** `reprise config`: checks a configuration file, and shows which options `serve` would run with and where each is from. */

import { relative } from 'node:path'
import type { Command } from 'commander'
import { RepriseError } from '../../shared/errors.ts'
import { UsageError } from '../exit.ts'
import { colours, printJson, printLine } from '../output.ts'
import { addServeFlags } from '../serveFlags.ts'

export function addConfig(root: Command): void {
  const config = root.command('config').description('check a configuration file, show the effective options')
  config
    .command('check')
    .description('check a YAML file; says the line of what is wrong')
    .argument('<file>')
    .option('--json', 'answer as JSON')
    .action(async (file: string, { json }: { json?: true }) => {
      const { readConfigFile } = await import('../../server/configuration.ts')
      refusals(() => readConfigFile(file, process.cwd()))
      await (json ? printJson({ file, ok: true }) : printLine(`${file} is fine`))
    })
  addServeFlags(config.command('show').description('show the options that serve would run with, and their sources'))
    .option('--json', 'one option a line, as JSON')
    .action(async ({ json, ...flags }: Record<string, unknown>) => show(flags, json === true))
}

async function show(flags: Record<string, unknown>, json: boolean): Promise<void> {
  const { parseServeOptions } = await import('../../server/configuration.ts')
  const { options, sources } = refusals(() => parseServeOptions({ flags, env: process.env }))
  const paint = colours()
  for (const [option, value] of Object.entries(options)) {
    const source = sources[option] ?? 'default'
    const shown = option === 'store' ? shownStore(String(value)) : value
    if (json) await printJson({ option, value: shown ?? null, source })
    else await printLine(`${option} = ${JSON.stringify(shown ?? null, unlimited)}  ${paint.dim(`# ${source}`)}`)
  }
}

function shownStore(store: string): string {
  if (store.includes('://')) return store.replace(/:\/\/[^/@]*@/, '://…@')
  const short = relative(process.cwd(), store)
  return short === '' || short.startsWith('..') ? store : `./${short}`
}

function unlimited(_key: string, value: unknown): unknown {
  return value === Number.POSITIVE_INFINITY ? 'unlimited' : value
}

function refusals<T>(run: () => T): T {
  try {
    return run()
  } catch (error) {
    throw error instanceof RepriseError ? new UsageError(error.message, { cause: error }) : error
  }
}
