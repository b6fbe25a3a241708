import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Command } from 'commander'
import { describe, expect, it } from 'vitest'
import { parse, stringify } from 'yaml'
import { CONFIG_FILE } from '../../cli/configFile.ts'
import { addServeFlags } from '../../cli/serveFlags.ts'
import { DEFAULT_QUEUE_SETTINGS } from '../../server/core/queues/settings.ts'
import { DEFAULT_TOPIC_SETTINGS } from '../../server/core/topics/settings.ts'
import { checkConfigFile, parseServeOptions, type Sources } from '../../server/options/file.ts'
import { groupedFields, hubFields, serveFields } from '../../server/options/hub.ts'
import { LIMIT_DEFAULTS } from '../../server/options/limits.ts'
import { tempFolder } from '../support/temp.ts'

const KEY_HASH = `sha256:${'0'.repeat(64)}`

describe('the file to begin with', () => {
  const options = CONFIG_FILE.replace(/^# ( *(?:[a-zA-Z]+|"\*"):(?: |$)| *- name:)/gm, '$1').replace(
    /^store:/m,
    '# store:',
  )

  it('is right as it is, and with each option in force', async () => {
    for (const content of [CONFIG_FILE, options]) {
      const cwd = await tempFolder()
      await writeFile(join(cwd, 'reprise.yaml'), content)
      // What it names as an example is not there.
      const faults = checkConfigFile('reprise.yaml', cwd).filter((fault) => !fault.includes('there is no such'))
      expect(faults).toEqual([])
    }
    const named = [...options.matchAll(/^([a-zA-Z]+):/gm)].map(([, option]) => option)
    const known = Object.keys({ ...hubFields, ...serveFields, ...groupedFields, data: true, tls: true })
    expect([...named, 'store'].sort()).toEqual(known.filter((option) => !/^tls./.test(option)).sort())
  })

  it('has each limit and each setting of topics and queues with its default', async () => {
    const cwd = await tempFolder()
    const { limits, topics, queues } = parse(options) as Record<'limits' | 'topics' | 'queues', object>
    await writeFile(join(cwd, 'reprise.yaml'), stringify({ limits, topics, queues }))
    const read = parseServeOptions({ cwd, flags: { config: 'reprise.yaml' } }).options
    expect(read.limits).toEqual(LIMIT_DEFAULTS)
    expect(read.topics?.['*']).toEqual(DEFAULT_TOPIC_SETTINGS)
    const { from: _, ...defaults } = DEFAULT_QUEUE_SETTINGS
    expect(read.queues?.['*']).toEqual(defaults)
    expect(Object.keys(queues)).toEqual(['*', 'emails'])
  })
})

describe('what the environment and the file say', () => {
  it('counts where no flag is given, also of --no-console', async () => {
    const flagsOf = (...args: string[]) => addServeFlags(new Command()).parse(args, { from: 'user' }).opts()
    const cwd = await tempFolder()
    await writeFile(join(cwd, 'reprise.yaml'), 'console: off\n')
    const config = ['--config', 'reprise.yaml']
    const consoleOf = (sources: Sources) => parseServeOptions({ cwd, ...sources }).options.console
    expect(consoleOf({ flags: flagsOf(...config) })).toBe(false)
    expect(consoleOf({ flags: flagsOf(), env: { REPRISE_CONSOLE: 'no' } })).toBe(false)
    expect(consoleOf({ flags: flagsOf('--console', ...config) })).toBe(true)
    expect(consoleOf({ flags: flagsOf('--no-console') })).toBe(false)
    expect(parseServeOptions({ cwd, flags: flagsOf() }).sources.console).toBe('default')
  })

  it.each<[string, string | RegExp]>([
    ['queues:\n  q: { fair: maybe }\n', 'reprise.yaml:2: queues.q.fair: "maybe" is not true or false'],
    ['path: /v1/\n', 'reprise.yaml:1: path: "/v1/" is not a path such as /socket.io, and not in /v1 or /sdk'],
    ['limits: { handshakeBytes: 0 }\n', 'reprise.yaml:1: limits.handshakeBytes: 0 is not a size of 1 byte or more'],
    ['limits: { payload: 0 }\n', 'reprise.yaml:1: limits.payload: 0 is not a size of 1 byte or more'],
    [
      'allowOrigins: [app.example.com, 5]\n',
      'reprise.yaml:1: allowOrigins: ["app.example.com", 5] is not a list of origins such as https://app.example.com, or *',
    ],
    [
      'trustProxy: [10.0.0.0/33]\n',
      'reprise.yaml:1: trustProxy: ["10.0.0.0/33"] is not a list of addresses and networks of proxies, such as 10.0.0.0/8',
    ],
    [
      `auth:\n  keys: [{ name: program, hash: '${KEY_HASH}', grants: [] }]\n`,
      /^reprise.yaml:2: auth.keys.0.name: "program" is not a name of a key: .*anonymous and program are the hub's own$/,
    ],
    [
      'auth:\n  jwt: { secret: a-secret, algorithms: [RS256] }\n',
      /^reprise.yaml:2: auth.jwt.algorithms: none of them goes with the keys/,
    ],
    ['topics:\n  __proto__: { retain: { events: 5 } }\n', /^reprise.yaml:2: topics.__proto__: not a name pattern: /],
    ['queues: { __proto__: { rate: 5 } }\n', /^reprise.yaml:1: queues.__proto__: not a name pattern: /],
    ['path: /sdk/x\n', 'reprise.yaml:1: path: "/sdk/x" is not a path such as /socket.io, and not in /v1 or /sdk'],
  ])('%j is refused with its line', async (content, line) => {
    const cwd = await tempFolder()
    await writeFile(join(cwd, 'reprise.yaml'), content)
    const faults = checkConfigFile('reprise.yaml', cwd)
    expect(faults).toEqual([typeof line === 'string' ? line : expect.stringMatching(line)])
  })
})
