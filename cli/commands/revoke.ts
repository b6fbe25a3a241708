/** `reprise revoke`: takes tokens back, lists what is revoked, and undoes it. */

import type { Command } from 'commander'
import { addExamples } from '../examples.ts'
import { UsageError } from '../exit.ts'
import { printJson, printLine, table } from '../output/output.ts'
import { addRemoteOptions, deleteAt, getJson, postJson, type RemoteOptions, records, time } from '../remote.ts'

interface RevokeOptions extends RemoteOptions {
  readonly subject?: string
  readonly tokenId?: string
  readonly undo?: string
  /** Milliseconds since 1970. */
  readonly until?: number
}

export function addRevoke(root: Command): void {
  const command = root
    .command('revoke')
    .description('Revoke a token, or all tokens that a subject has now. Without an option, list what is revoked.')
  addRemoteOptions(command)
    .option('--subject <subject>', 'all of its tokens that were issued up to now; the name of an API key')
    .option('--token-id <id>', 'the token with this jti')
    .option('--until <time>', 'when the last of these tokens ends, if you know (default: in ten years)', time)
    .option('--undo <id>', 'take the revocation with this id back')
    .action(revoke)
  addExamples(
    command,
    ['reprise revoke --subject ann', 'ann is out until she gets a new token'],
    ['reprise revoke', 'what is revoked?'],
    ['reprise revoke --undo 3f2a', 'take it back'],
  )
}

async function revoke({ subject, tokenId, undo, until, ...remote }: RevokeOptions): Promise<void> {
  const given = [subject, tokenId, undo].filter((option) => option !== undefined)
  if (given.length > 1) throw new UsageError('give one of --subject, --token-id and --undo')
  if (undo !== undefined) {
    await deleteAt(remote, `/revocations/${encodeURIComponent(undo)}`)
    return await (remote.json ? printJson({ id: undo, undone: true }) : printLine(`took the revocation ${undo} back`))
  }
  if (given.length === 0) return await list(remote)
  const revocation = await postJson(remote, '/revocations', { subject, tokenId, until })
  await (remote.json ? printJson(revocation) : printLine(`revoked ${subject ?? tokenId}, as ${String(revocation.id)}`))
}

async function list(remote: RemoteOptions): Promise<void> {
  const { revocations } = await getJson(remote, '/revocations')
  const all = records(revocations)
  if (remote.json) for (const revocation of all) await printJson(revocation)
  else if (all.length === 0) await printLine('nothing is revoked')
  else {
    const rows = all.map(({ id, subject, tokenId, at, until }) => [
      String(id),
      subject === undefined ? `token ${String(tokenId)}` : String(subject),
      new Date(Number(at)).toISOString(),
      new Date(Number(until)).toISOString(),
    ])
    for (const line of table(['id', 'of', 'at', 'until'], rows)) await printLine(line)
  }
}
