import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { checkConfigFile, parseServeOptions, type Sources } from '../../server/options/file.ts'
import { configurationText } from '../../server/options/fileText.ts'
import {
  type HubOptions,
  readTopicOverrides,
  resolveHubOptions,
  resolveServeOptions,
} from '../../server/options/hub.ts'
import { LIMIT_DEFAULTS } from '../../server/options/limits.ts'
import { tempFolder } from '../support/temp.ts'

const CWD = '/srv/hub'

function refusal(run: () => unknown): string {
  try {
    run()
  } catch (error) {
    const { code, message } = error as { code: string; message: string }
    expect(code).toBe('bad_request')
    expect(message).not.toContain('\n')
    return message
  }
  throw new Error('nothing was refused')
}

function refusalOf(sources: Sources): string {
  return refusal(() => parseServeOptions({ cwd: CWD, ...sources }))
}

async function configFile(content: string): Promise<{ file: string; cwd: string }> {
  const cwd = await tempFolder()
  const file = join(cwd, 'reprise.yaml')
  await writeFile(file, content)
  return { file: 'reprise.yaml', cwd }
}

async function refusedLine(content: string): Promise<string> {
  const { file, cwd } = await configFile(content)
  return refusal(() => parseServeOptions({ cwd, flags: { config: file } }))
}

describe('options of serve', () => {
  it('have defaults', () => {
    expect(parseServeOptions({ cwd: CWD }).options).toEqual({
      store: '/srv/hub/data',
      topics: {},
      queues: {},
      limits: LIMIT_DEFAULTS,
      allowOrigins: undefined,
      trustProxy: [],
      path: '/socket.io',
      logLevel: 'info',
      console: true,
      reserveBytes: undefined,
      port: 3000,
      host: '127.0.0.1',
      open: false,
      config: undefined,
      drainMs: 10_000,
      keepAliveMs: 75_000,
      tls: undefined,
    })
  })

  it('take flags over environment over file over defaults, and know where each is from', async () => {
    const { file, cwd } = await configFile('port: 1\nlogLevel: warn\npath: /rt\ndrainMs: 1s\nlimits: { replays: 8 }\n')
    const { options, sources } = parseServeOptions({
      cwd,
      flags: { port: '3', config: file },
      env: { REPRISE_PORT: '2', REPRISE_LOG_LEVEL: 'debug', REPRISE_LIMITS_STREAMS: '9' },
    })
    expect(options).toMatchObject({ port: 3, logLevel: 'debug', path: '/rt', drainMs: 1_000, host: '127.0.0.1' })
    expect(options.limits).toEqual({ ...LIMIT_DEFAULTS, streams: 9, replays: 8 })
    expect(sources).toMatchObject({
      port: '--port',
      logLevel: 'REPRISE_LOG_LEVEL',
      path: 'reprise.yaml:3',
      drainMs: 'reprise.yaml:4',
      host: 'default',
      config: '--config',
    })
  })

  it('find the file that the environment names', async () => {
    const { file, cwd } = await configFile('port: 7\n')
    expect(parseServeOptions({ cwd, env: { REPRISE_CONFIG: file } }).options).toMatchObject({ port: 7, config: file })
  })

  it('know the data folder as --data and --store, and refuse two that contradict', () => {
    const store = (sources: Sources) => parseServeOptions({ cwd: CWD, ...sources }).options.store
    expect(store({ flags: { data: 'events' } })).toBe('/srv/hub/events')
    expect(store({ flags: { store: './events' } })).toBe('/srv/hub/events')
    for (const url of [
      'redis://127.0.0.1:6379',
      'rediss://user:word@store.example:6380/2?prefix=a:',
      'redis-cluster://a:7000,b:7001,[::1]:7002',
      'redis-sentinel://a:26379,b:26379/main?replicas=1',
    ]) {
      expect(store({ flags: { store: url } })).toBe(url)
    }
    for (const url of ['redis-cluster://', 'redis-ring://a', 'redis-sentinel:// a']) {
      expect(refusalOf({ flags: { store: url } })).toContain('--store')
    }
    expect(store({ flags: { data: 'events', store: '/srv/hub/events' } })).toBe('/srv/hub/events')
    expect(store({ flags: { data: 'mine' }, env: { REPRISE_STORE: 'redis://127.0.0.1' } })).toBe('/srv/hub/mine')
    expect(refusalOf({ flags: { data: 'a', store: 'b' } })).toBe(
      '--data: contradicts --store: events are kept in one place; give one of the two',
    )
    expect(refusalOf({ env: { REPRISE_DATA: 'a', REPRISE_STORE: 'redis://h' } })).toMatch(/^REPRISE_DATA: contradicts/)
    expect(refusalOf({ flags: { data: 'redis://h' } })).toBe('--data: is for a folder; a URL goes to --store')
  })

  it('take a folder in the file as beside the file', async () => {
    const { file, cwd } = await configFile('data: ./events\n')
    expect(parseServeOptions({ cwd: '/', flags: { config: join(cwd, file) } }).options.store).toBe(join(cwd, 'events'))
  })

  it('refuse a host that other machines can reach, unless it is opened', () => {
    for (const host of ['0.0.0.0', '::', '192.168.1.5', 'example.com', '127.example.com']) {
      expect(refusalOf({ flags: { host } }), host).toMatch(/^--host: host .* can be reached .*--open/)
      expect(parseServeOptions({ flags: { host, open: true } }).options.host).toBe(host)
    }
    for (const host of ['localhost', '127.0.0.1', '127.9.9.9', '::1', '[::1]']) {
      expect(parseServeOptions({ flags: { host } }).options.open).toBe(false)
    }
    expect(refusalOf({ env: { REPRISE_HOST: '0.0.0.0', REPRISE_OPEN: 'no' } })).toMatch(/^REPRISE_HOST: /)
    expect(parseServeOptions({ env: { REPRISE_HOST: '0.0.0.0', REPRISE_OPEN: 'yes' } }).options.open).toBe(true)
  })

  it.each<[Sources, string]>([
    [{ flags: { prot: '3' } }, '--prot: unknown option; did you mean --port?'],
    [{ flags: { port: '70000' } }, '--port: "70000" is not a port: 0 (any free one) to 65535'],
    [{ flags: { port: '-1' } }, '--port: "-1" is not a port: 0 (any free one) to 65535'],
    [
      { flags: { drainMs: '10 sec' } },
      '--drain-ms: "10 sec" is not a duration such as 500ms, 30s, 5m, 1h or 7d (a number by itself is milliseconds)',
    ],
    [
      { flags: { reserveBytes: 'much' } },
      '--reserve-bytes: "much" is not a size: a number of bytes, or one with KB, MB, GB, KiB, MiB or GiB',
    ],
    [
      { flags: { allowOrigins: 'a.example' } },
      '--allow-origins: "a.example" is not a list of origins such as https://app.example.com, or *',
    ],
    [{ flags: { config: 'nope.yaml' } }, 'nope.yaml: there is no such file'],
    [{ flags: { config: '.' }, cwd: '/' }, '.: is a folder, not a file'],
    [{ env: { REPRISE_PROT: '3' } }, 'REPRISE_PROT: unknown variable; did you mean REPRISE_PORT?'],
    [
      { env: { REPRISE_LOG_LEVEL: 'loud' } },
      'REPRISE_LOG_LEVEL: "loud" is not one of silent, fatal, error, warn, info, debug, trace',
    ],
    [{ env: { REPRISE_OPEN: 'maybe' } }, 'REPRISE_OPEN: "maybe" is not true or false'],
  ])('refuse %j', (sources, message) => {
    expect(refusalOf(sources)).toBe(message)
  })

  it('never repeat the password of a store', () => {
    expect(refusalOf({ flags: { store: 'postgres://me:secret@host/db' } })).not.toContain('secret')
  })

  it('let variables of other commands, empty ones and those of a service named reprise pass', () => {
    const env = {
      REPRISE_URL: 'http://h',
      REPRISE_TOKEN: 't',
      REPRISE_HOST: '',
      REPRISE_PORT: 'tcp://10.0.0.1:3000',
      REPRISE_PORT_3000_TCP_ADDR: '10.0.0.1',
      REPRISE_SERVICE_HOST: '10.0.0.1',
      REPRISE_SERVICE_PORT_HTTP: '3000',
    }
    expect(parseServeOptions({ env }).options).toMatchObject({ port: 3000, host: '127.0.0.1' })
  })
})

describe('the configuration file', () => {
  it('is read as the manual shows it', async () => {
    const { file, cwd } = await configFile(`
topics:
  "*":        { retain: { events: 1000000, bytes: 1GiB, age: 7d } }
  "orders.*": { retain: { events: 5000 } }
  "keep":     { retain: { events: unlimited, ageMs: 90000 } }
queues:
  "emails":   { from: [orders.eu], leaseMs: 30000, maxAttempts: 10, rate: 100 }
limits: { payload: 512KiB, packet: 4MiB }
allowOrigins: [https://app.example.com/]
`)
    expect(parseServeOptions({ cwd, flags: { config: file } }).options).toMatchObject({
      topics: {
        '*': { retain: { events: 1_000_000, bytes: 2 ** 30, ageMs: 604_800_000 } },
        'orders.*': { retain: { events: 5_000 } },
        keep: { retain: { events: Number.POSITIVE_INFINITY, ageMs: 90_000 } },
      },
      queues: {
        emails: { from: [{ topic: 'orders.eu', from: 'end' }], leaseMs: 30_000, maxAttempts: 10, rate: 100 },
      },
      limits: { payload: 524_288, batch: 1_000, packet: 4_194_304 },
      allowOrigins: ['https://app.example.com'],
    })
  })

  it('may be empty', async () => {
    const { file, cwd } = await configFile('# nothing yet\n')
    expect(parseServeOptions({ cwd, flags: { config: file } }).options.port).toBe(3000)
  })

  it.each([
    ['port: 1\nprot: 3\n', 'reprise.yaml:2: unknown option prot; did you mean port?'],
    ['config: x\n', /^reprise.yaml:1: unknown option config;/],
    [
      'topics:\n  "orders.*":\n    retain: { event: 5 }\n',
      'reprise.yaml:3: topics."orders.*".retain: unknown option event; did you mean events?',
    ],
    [
      'topics:\n  a:\n    retian: { events: 5 }\n',
      'reprise.yaml:3: topics.a: unknown option retian; did you mean retain?',
    ],
    [
      'topics:\n  a:\n    retain:\n      events: 0\n',
      'reprise.yaml:4: topics.a.retain.events: 0 is not a number of events, 1 or more, or unlimited',
    ],
    ['topics:\n  "a b": {}\n', /^reprise.yaml:2: topics."a b": not a name pattern: /],
    ['topics: 4\n', 'reprise.yaml:1: topics: is not a list of name patterns with their options'],
    [
      'topics:\n  a: { retain: { age: 1d, ageMs: 5 } }\n',
      /^reprise.yaml:2: topics.a.retain: age and ageMs say different/,
    ],
    ['queues:\n  q: { from: orders }\n', 'reprise.yaml:2: queues.q.from: is not a list of topics'],
    ['port: 1\nport: 2\n', /^reprise.yaml:2: is not YAML: Map keys must be unique/],
    ['topics: [1\n', /^reprise.yaml:\d: is not YAML: /],
    ['hello\n', 'reprise.yaml:1: "hello" is not a group of options'],
    ['data: ./a\nstore: ./b\n', /^reprise.yaml:1: data contradicts store/],
  ])('%j is refused with its line', async (content, message) => {
    const line = await refusedLine(content)
    if (typeof message === 'string') expect(line).toBe(message)
    else expect(line).toMatch(message)
  })

  it('is named where only its combination with defaults is wrong', async () => {
    const { file, cwd } = await configFile('port: 1\nlimits:\n  payload: 65MiB\n')
    expect(refusalOf({ cwd, flags: { config: file } })).toBe(
      'reprise.yaml:2: limits.payload: 68157440 is over 67108864 (64 MiB), the most that a packet may have',
    )
  })
})

describe('a check of the file', () => {
  it('tells all that is wrong, in the order of the lines, also what only contradicts other options', async () => {
    const { file, cwd } = await configFile(`host: 0.0.0.0
topics:
  "a b": {}
  orders: { retain: { event: 5, age: soon, byte: 1 } }
prot: 3
queues:
  emails: { rate: 0, leaseMs: 30 sec }
limits: { packet: 1KB, batch: 0 }
data: ./a
store: redis://h
`)
    const told = checkConfigFile(file, cwd)
    const beginnings = [
      '1: host 0.0.0.0 can be reached from other',
      '3: topics."a b": not a name pattern',
      '4: topics.orders.retain.age: "soon" is not a duration',
      '4: topics.orders.retain: unknown option event; did you mean events?',
      '4: topics.orders.retain: unknown option byte; did you mean bytes?',
      '5: unknown option prot; did you mean port?',
      '7: queues.emails.leaseMs: "30 sec" is not a time from 100 ms',
      '7: queues.emails.rate: 0 is not a number of jobs a second',
      '8: limits.batch: 0 is not a whole number',
      '8: limits.packet: 1000 is too little for one payload',
      '9: data contradicts store',
    ]
    expect(told).toHaveLength(beginnings.length)
    for (const [n, beginning] of beginnings.entries()) expect(told[n]).toContain(`reprise.yaml:${beginning}`)
    expect(refusalOf({ cwd, flags: { config: file } })).toMatch(
      /^reprise.yaml:3: .* \(and 7 more: see "reprise config check"\)$/,
    )
  })

  it('tells what is wrong with a schema at its line', async () => {
    const { file, cwd } = await configFile(`topics:
  orders:
    schema:
      type: object
      properties:
        amount: { type: numbr }
        note:
          maxLenght: 100
queues:
  work: { schema: [object], rate: fast }
`)
    const faults = checkConfigFile(file, cwd)
    expect(faults.map((fault) => fault.slice(0, 90))).toEqual([
      expect.stringContaining('reprise.yaml:6: topics.orders.schema.properties.amount.type: must be equal to'),
      expect.stringContaining('reprise.yaml:10: queues.work.rate:'),
      expect.stringContaining('reprise.yaml:10: queues.work.schema: is no JSON Schema'),
    ])
  })

  it('tells every fault of the YAML itself', async () => {
    const { file, cwd } = await configFile('port: 1\nport: 2\nhost: a\nhost: b\n')
    expect(checkConfigFile(file, cwd)).toEqual([
      expect.stringMatching(/^reprise.yaml:2: is not YAML/),
      expect.stringMatching(/^reprise.yaml:4: is not YAML/),
    ])
  })
})

describe('options that are shown', () => {
  it('are a file that gives the same options again, without passwords unless they are asked for', async () => {
    const { file, cwd } = await configFile(`port: 7
topics: { "*": { retain: { events: unlimited, age: 7d } }, "a.b": { retain: { bytes: 1GiB } } }
queues: { emails: { from: [orders, { topic: other, from: start }], rate: 0.5, maxJobs: unlimited } }
limits: { payload: 100KB }
allowOrigins: [https://app.example.com, "null"]
logLevel: warn
reserveBytes: 1GB
`)
    for (const flags of [
      { config: file },
      { config: file, store: 'redis://me:secr@et@host/2' },
      { config: file, allowOrigins: '*' },
    ]) {
      const given = parseServeOptions({
        cwd,
        flags,
        env: { REPRISE_PATH: '/rt', REPRISE_DRAIN_MS: '40d' },
      })
      const again = await configFile(configurationText(given, { secrets: true }))
      const { config: _config, ...options } = given.options
      expect(parseServeOptions({ cwd: again.cwd, flags: { config: again.file } }).options).toEqual({
        ...options,
        config: again.file,
      })
      expect(checkConfigFile((await configFile(configurationText(given))).file, again.cwd)).toEqual([])
      expect(configurationText(given)).not.toMatch(/secr|me:/)
    }
  })
})

describe('options of a program', () => {
  it('are what they resolve to, when they are resolved again', () => {
    const allow = () => true
    const once = resolveServeOptions({
      store: 'x',
      topics: { 'a*': { retain: { bytes: '1MB', age: '1h' } } },
      allowOrigins: allow,
      reserveBytes: '5MiB',
    })
    expect(once).toMatchObject({
      topics: { 'a*': { retain: { bytes: 1e6, ageMs: 3_600_000 } } },
      reserveBytes: 5_242_880,
    })
    expect(once.allowOrigins).toBe(allow)
    expect(resolveServeOptions(once)).toEqual(once)
  })

  it('are refused with their place and a suggestion', () => {
    const wrong = (options: unknown) => refusal(() => resolveHubOptions(options as HubOptions))
    expect(wrong({ sotre: 'x' })).toBe('createHub: unknown option sotre; did you mean store?')
    expect(wrong({ topics: { a: { retain: { age: 'soon' } } } })).toBe(
      'createHub: topics.a.retain.age: "soon" is not a duration such as 500ms, 30s, 5m, 1h or 7d (a number by itself is milliseconds), or unlimited',
    )
    expect(wrong({ limits: { packet: 1_000 } })).toMatch(/^limits.packet: 1000 is too little/)
    expect(wrong({ port: 3000 })).toMatch(/^createHub: unknown option port; /)
    expect(wrong('x')).toBe('createHub: "x" is not a group of options')
  })
})

describe('settings that the API is given', () => {
  it('are read as those of the file', () => {
    expect(readTopicOverrides('orders.*', { retain: { bytes: '1MB', age: '1d', events: 'unlimited' } })).toEqual({
      retain: { bytes: 1e6, ageMs: 86_400_000, events: Number.POSITIVE_INFINITY },
    })
    expect(readTopicOverrides('a', {})).toEqual({})
  })

  it('are refused with their place', () => {
    const wrong = (pattern: string, settings: unknown) => refusal(() => readTopicOverrides(pattern, settings))
    expect(wrong('a b', {})).toMatch(/^"a b" is not a name pattern: /)
    expect(wrong('a', { retain: { event: 1 } })).toBe('settings: retain: unknown option event; did you mean events?')
    expect(wrong('a', { retain: { events: '5 or so' } })).toMatch(/^settings: retain.events: "5 or so" is not a number/)
    expect(wrong('a', null)).toBe('settings: null is not a group of options')
  })
})
