/** `reprise key new`: makes an API key. The hub knows only its hash. */

import type { Command } from 'commander'
import { addExamples } from '../examples.ts'
import { asUsage } from '../exit.ts'
import { printJson, printLine } from '../output/output.ts'
import { checkedName } from '../remote.ts'

export function addKey(root: Command): void {
  const key = root.command('key').description('Make API keys.')
  addExamples(key, ['reprise key new backend', 'a key for the service "backend"'])
  const make = key
    .command('new')
    .description(
      'Make an API key. Prints the key, which is nowhere else, and its hash for the configuration of the hub.',
    )
    .argument('<name>', 'name of the key: the subject of whoever shows it', checkedName('the key'))
    .option('--json', 'print one JSON object')
    .action(makeKey)
  addExamples(make, ['reprise key new backend', 'a key for the service "backend"'])
}

async function makeKey(name: string, { json }: { readonly json?: true }): Promise<void> {
  const { newKey } = await import('../../server/auth/keys.ts')
  const { key, hash } = asUsage(() => newKey(name))
  if (json) return await printJson({ name, key, hash })
  await printLine(key)
  await printLine(hash)
}
