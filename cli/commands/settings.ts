/** `reprise settings`: shows and changes what the hub stores of the settings of a topic or queue. */

import { Argument, type Command } from 'commander'
import { printable } from '../../shared/printable.ts'
import { addExamples } from '../examples.ts'
import { UsageError } from '../exit.ts'
import { type Kind, missing, routeOf } from '../input/existing.ts'
import { note, printJson, printLine } from '../output/output.ts'
import { addRemoteOptions, type Fields, getJson, isRecord, putJson, type RemoteOptions } from '../remote.ts'

export function addSettings(root: Command): void {
  const settings = root
    .command('settings')
    .description('Show or change the settings of a topic or queue that are stored in the hub.')
  const get = withName(settings.command('get').description('Show the settings in force, and which of them are stored.'))
  addRemoteOptions(get).action(show)
  addExamples(
    get,
    ['reprise settings get topic orders', 'what holds for the topic "orders"'],
    ["reprise settings get queue 'mail.*'", 'what is stored for a name pattern'],
  )
  const set = withName(
    settings.command('set').description('Store settings. They win over the configuration file and outlive restarts.'),
  ).argument('<field=value...>', 'field=value stores a field, field= removes it: back to the file or the default')
  addRemoteOptions(set).action(change)
  addExamples(
    set,
    ['reprise settings set topic orders retain.events=5000 retain.age=7d', 'keep the last 5,000 events, for a week'],
    ['reprise settings set queue emails rate=100 leaseMs=1m', 'deliver 100 jobs a second'],
    ['reprise settings set queue emails rate=', 'no stored rate any more'],
  )
  addExamples(settings, ['reprise settings get topic orders', 'what holds for the topic "orders"'])
}

function withName(command: Command): Command {
  return command
    .addArgument(new Argument('<kind>', 'what it is').choices(['topic', 'queue']))
    .argument('<name>', 'its name, or a name pattern with *')
}

async function show(kind: Kind, name: string, options: RemoteOptions): Promise<void> {
  await print(kind, name, await read(options, kind, name), options)
}

function read(options: RemoteOptions, kind: Kind, name: string): Promise<Fields> {
  return getJson(options, `${routeOf(kind, name)}/settings`)
}

async function change(kind: Kind, name: string, given: readonly string[], options: RemoteOptions): Promise<void> {
  const { stored } = await read(options, kind, name)
  const next: Fields = isRecord(stored) ? structuredClone(stored) : {}
  for (const text of given) setField(next, text)
  await putJson(options, routeOf(kind, name), next)
  if (!name.includes('*')) {
    const why = await missing(options, kind, name)
    if (why !== undefined) note(`reprise: ${why}; the settings are stored and wait for it`)
  }
  await print(kind, name, await read(options, kind, name), options)
}

function setField(fields: Fields, text: string): void {
  const [, path, value] = /^([A-Za-z.]+)=(.*)$/s.exec(text) ?? []
  if (path === undefined || value === undefined) throw new UsageError(`${text} is not field=value, such as rate=100`)
  const groups = path.split('.')
  const field = groups.pop() ?? ''
  let group = fields
  for (const name of groups) {
    const inner = isRecord(group[name]) ? group[name] : {}
    group[name] = inner
    group = inner
  }
  if (value === '') delete group[field]
  else group[field] = readValue(value)
  for (const name of groups) if (isRecord(fields[name]) && Object.keys(fields[name]).length === 0) delete fields[name]
}

/** Numbers, lists and groups are JSON, everything else is text: the hub reads `7d` and `1GiB` itself. */
function readValue(text: string): unknown {
  if (!/^([-\d[{]|true$|false$)/.test(text)) return text
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

async function print(kind: Kind, name: string, answer: Fields, options: RemoteOptions): Promise<void> {
  if (options.json) return await printJson(answer)
  const stored = flat(isRecord(answer.stored) ? answer.stored : {})
  const inForce = flat(isRecord(answer.settings) ? answer.settings : {})
  const shown = Object.keys(inForce).length > 0 ? inForce : stored
  if (Object.keys(shown).length === 0) return await printLine(`nothing is stored for ${kind} ${printable(name)}`)
  const width = Math.max(...Object.keys(shown).map((path) => path.length))
  for (const [path, value] of Object.entries(shown)) {
    const source = Object.hasOwn(stored, path) ? '  (stored)' : ''
    await printLine(
      printable(`${path.padEnd(width)}  ${typeof value === 'string' ? value : JSON.stringify(value)}${source}`),
    )
  }
}

/** `{ retain: { events: 5 } }` as `{ 'retain.events': 5 }`. A schema is one value. */
function flat(fields: Fields, before = ''): Fields {
  const found: Fields = {}
  for (const [name, value] of Object.entries(fields)) {
    if (isRecord(value) && name !== 'schema') Object.assign(found, flat(value, `${before}${name}.`))
    else found[before + name] = value
  }
  return found
}
