/** `reprise config`: checks a configuration file, and shows which options `serve` would run with and where each is from. */

import type { Command } from 'commander'
import { messageOf } from '../../shared/errors.ts'
import { CONFIG_FILE } from '../configFile.ts'
import { addExamples } from '../examples.ts'
import { asUsage, UsageError } from '../exit.ts'
import { printJson, printLine } from '../output/output.ts'
import { addServeFlags } from '../serveFlags.ts'

interface ShowFlags extends Record<string, unknown> {
  readonly json?: true
  readonly secrets?: true
}

export function addConfig(root: Command): void {
  const config = root
    .command('config')
    .description('Write or check a configuration file, or show the options in force.')
  addExamples(config, ['reprise config check reprise.yaml', 'is it right?'])
  const check = config
    .command('check')
    .description('Check a configuration file without starting anything. Prints every fault with its line.')
    .argument('<file>', 'the YAML file')
    .option('--json', 'print JSON')
    .action(checkFile)
  addExamples(check, ['reprise config check reprise.yaml', 'is it right?'])
  const init = config
    .command('init')
    .description('Write a configuration file with every option, commented out. Nothing is overwritten.')
    .argument('[file]', 'the YAML file', 'reprise.yaml')
    .option('--json', 'print one JSON object')
    .action(writeFirst)
  addExamples(init, ['reprise config init', 'write reprise.yaml here'])
  const show = addServeFlags(
    config.command('show').description('Print the options that serve would run with as YAML, each with its source.'),
  )
    .option('--secrets', 'print passwords and secrets too; by default they are left out')
    .option('--json', 'print one option a line, as JSON')
    .action(showOptions)
  addExamples(
    show,
    ['reprise config show --config reprise.yaml', 'what a hub would run with, and why'],
    ['reprise config show --port 4000 > reprise.yaml', 'write a file to begin with'],
  )
}

async function writeFirst(file: string, { json }: { readonly json?: true }): Promise<void> {
  const { writeFile } = await import('node:fs/promises')
  try {
    await writeFile(file, CONFIG_FILE, { flag: 'wx' })
  } catch (error) {
    const exists = error instanceof Error && 'code' in error && error.code === 'EEXIST'
    throw new UsageError(exists ? `${file} is there already` : `${file} cannot be written: ${messageOf(error)}`)
  }
  await (json ? printJson({ file }) : printLine(`wrote ${file}: start with "reprise serve --config ${file}"`))
}

async function checkFile(file: string, { json }: { readonly json?: true }): Promise<void> {
  const { checkConfigFile } = await import('../../server/options/file.ts')
  const faults = checkConfigFile(file, process.cwd())
  const [first] = faults
  if (first !== undefined) throw new UsageError(first, { faults })
  await (json ? printJson({ file, ok: true }) : printLine(`${file} is fine`))
}

async function showOptions({ json, secrets, ...flags }: ShowFlags): Promise<void> {
  const { parseServeOptions } = await import('../../server/options/file.ts')
  const { configurationText, withoutSecrets } = await import('../../server/options/fileText.ts')
  const configuration = asUsage(() => parseServeOptions({ flags, env: process.env }))
  if (!json) return await printLine(configurationText(configuration, { secrets: secrets === true }).trimEnd())
  for (const [option, value] of Object.entries(configuration.options)) {
    const shown = secrets ? value : withoutSecrets(option, value)
    await printJson({ option, value: shown ?? null, source: configuration.sources[option] ?? 'default' })
  }
}
