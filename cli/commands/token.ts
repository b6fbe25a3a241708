/** `reprise token`: signs a token with the secret of a hub, and says what one may. */

import { type Command, InvalidArgumentError } from 'commander'
import { printable } from '../../shared/printable.ts'
import { addExamples } from '../examples.ts'
import { asUsage, UsageError } from '../exit.ts'
import { printJson, printLine } from '../output/output.ts'
import { checkedName, positiveDuration } from '../remote.ts'

interface HubRules {
  readonly config?: string
  readonly json?: true
}

interface TokenOptions extends HubRules {
  readonly sub?: string
  readonly role?: readonly string[]
  readonly grant?: readonly { readonly actions: readonly string[]; readonly names: readonly string[] }[]
  readonly client?: string
  /** Milliseconds; an hour when there is none. */
  readonly ttl?: number
}

const HOUR_MS = 3_600_000

export function addToken(root: Command): void {
  const token = root
    .command('token')
    .description("Sign a token with the hub's secret (auth.jwt.secret of its configuration).")
    .option('--sub <subject>', 'whom the token names; required')
    .option('--role <name>', 'a role that it has; may be given again', (name, all: string[] = []) => [...all, name])
    .option('--grant <grant>', 'what it may, such as publish,read:orders.*; may be given again', readGrant)
    .option('--client <name>', 'the only client name that it may be used with', checkedName('the client'))
    .option('--ttl <time>', 'how long it lasts, such as 15m or 1h (default: 1h)', positiveDuration)
  addRules(token).action(makeToken)
  addExamples(token, ['reprise token --sub ann --role viewer --ttl 15m --config reprise.yaml', 'a token for "ann"'])
  const check = token
    .command('check')
    .description('Say whom a token names and what it may, or what is wrong with it.')
    .argument('<token>', 'the token, or an API key')
  addRules(check).action((text: string, _own: unknown, { parent }: Command) =>
    checkToken(text, { ...parent?.opts<HubRules>(), ...check.opts<HubRules>() }),
  )
  addExamples(check, ['reprise token check eyJhbGciOi --config reprise.yaml', 'what may it?'])
}

function addRules(command: Command): Command {
  return command
    .option('-c, --config <file>', 'YAML file of the hub')
    .option('--json', 'print one JSON object, errors as well')
}

function readGrant(text: string, all: TokenOptions['grant'] = []): TokenOptions['grant'] {
  const [, actions, names] = /^([a-z*,]+):(.+)$/.exec(text) ?? []
  if (actions === undefined || names === undefined) {
    throw new InvalidArgumentError('It has to be actions and names, such as publish,read:orders.*')
  }
  return [...all, { actions: actions.split(','), names: names.split(',') }]
}

async function makeToken({
  sub,
  role = [],
  grant = [],
  client,
  ttl = HOUR_MS,
  json,
  ...rules
}: TokenOptions): Promise<void> {
  if (sub === undefined) throw new UsageError('give --sub: whom the token names')
  const { jwt, keys } = await authOf(rules)
  if (jwt?.secret === undefined) {
    throw new UsageError('there is no auth.jwt.secret to sign with: give --config with the file of the hub')
  }
  const { tokenSubjectFault } = await import('../../server/auth/identity.ts')
  const wrong = tokenSubjectFault(sub, new Set(keys.map(({ name }) => name)))
  if (wrong !== undefined) throw new UsageError(`--sub ${wrong}`)
  const { grantsFault } = await import('../../server/core/guards/grants.ts')
  const fault = grantsFault(grant)
  if (fault !== undefined) throw new UsageError(`--grant: ${fault}`)
  const { signToken } = await import('../../server/auth/sign.ts')
  const algorithm = jwt.algorithms?.find((name) => name.startsWith('HS')) ?? 'HS256'
  const grants = grant as Parameters<typeof signToken>[2]['grants']
  const { secret, issuer, audience } = jwt
  const token = await signToken(secret, algorithm, { sub, ttlMs: ttl, roles: role, grants, client, issuer, audience })
  await (json ? printJson({ token, expiresAt: Math.floor((Date.now() + ttl) / 1_000) * 1_000 }) : printLine(token))
}

async function checkToken(text: string, { json, ...rules }: HubRules): Promise<void> {
  const { openCredentials } = await import('../../server/auth/credentials.ts')
  const credentials = await openCredentials(await authOf(rules), () => {})
  try {
    const { subject, client, grants, expiresAt, tokenId } = await credentials.read(text)
    if (json) return await printJson({ subject, client, grants, expiresAt, tokenId })
    await printLine(`subject  ${printable(subject)}`)
    if (client !== undefined) await printLine(`client   ${printable(client)}`)
    if (tokenId !== undefined) await printLine(`id       ${printable(tokenId)}`)
    await printLine(`until    ${expiresAt === undefined ? 'it is revoked' : new Date(expiresAt).toISOString()}`)
    for (const { actions, names } of grants) await printLine(`may      ${actions.join(', ')} on ${names.join(', ')}`)
    if (grants.length === 0) await printLine('may      nothing')
  } finally {
    credentials.close()
  }
}

/** The rules of the hub, with their secrets. */
async function authOf({ config }: HubRules) {
  const { parseServeOptions } = await import('../../server/options/file.ts')
  const { readAuth } = await import('../../server/options/auth.ts')
  const flags = config === undefined ? {} : { config }
  return asUsage(() => readAuth(parseServeOptions({ flags, env: process.env }).options.auth ?? {}))
}
