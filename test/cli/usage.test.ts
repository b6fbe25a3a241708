import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { EXIT } from '../../cli/exit.ts'
import { runCli } from '../support/hub/process.ts'
import { freePort } from '../support/network/ports.ts'
import { tempFolder } from '../support/temp.ts'

/** Where nothing listens. */
const NOWHERE = `http://127.0.0.1:${await freePort()}`

describe('wrong use', () => {
  it.each<[string[], RegExp]>([
    [['sreve'], /^reprise: unknown command 'sreve'; did you mean serve\?\n$/],
    [['help', 'pbu'], /^reprise: unknown command 'pbu'; did you mean pub\?\n$/],
    [['serve', '--prot', '3'], /^reprise: unknown option '--prot'; did you mean --port\?\n$/],
    [['serve', 'here'], /^reprise: too many arguments for 'serve'.*\n$/],
    [['serve', '--port', 'x'], /^reprise: --port: "x" is not a port: 0 \(any free one\) to 65535\n$/],
    [['serve', '--host', '0.0.0.0'], /^reprise: --host: host 0.0.0.0 can be reached.*--open\n$/],
    [['pub'], /^reprise: missing required argument 'topic'\n$/],
    [['pub', 'a b', '1'], /^reprise: the topic "a b" is not a name: .*\n$/],
    [['pub', 't', '{"a'], /^reprise: data is not JSON: .*--text.*\n$/],
    [['pub', 't', '1', '--header', 'x'], /^reprise: --header x is not name=value\n$/],
    [['pub', 't', '--id', 'x'], /^reprise: --id is for one event; .*\n$/],
    [['sub', 't', '--from', '42'], /^reprise: .*It has to be epoch:offset for an offset; .*1970\n$/],
    [['sub', 't', '--on-gap', 'x'], /^reprise: .*continue, end, fail.*\n$/],
    [['sub', 't', '--from', 'cursor'], /^reprise: --from cursor needs --client: whose cursor\?\n$/],
    [['sub', 't', '--count', '0'], /^reprise: .*whole number of 1 or more\n$/],
    [['topics', '--url', 'here'], /^reprise: .*address of a hub, such as .*\n$/],
    [['topics', '--url', 'http://:secret@127.0.0.1'], /^reprise: .*a user or a password.*--token.*\n$/],
    [['topics', '--token', 'a\nb'], /^reprise: .*characters that no token has.*\n$/],
    [['key', 'new', 'program'], /^reprise: program is a name of the hub's own: choose another\n$/],
    [['work', 'no name', '--', 'mail', '--json'], /^reprise: the queue "no name" is not a name: .*\n$/],
  ])('%j ends with 2 and one line', async (args, line) => {
    const { code, stdout, stderr } = await runCli(args)
    expect(stderr).toMatch(line)
    expect({ code, stdout }).toEqual({ code: EXIT.usage, stdout: '' })
  })

  it('is told as JSON with --json', async () => {
    const { code, stderr } = await runCli(['tail', 't', '--lines', 'x', '--json'])
    expect(code).toBe(EXIT.usage)
    expect(JSON.parse(stderr)).toMatchObject({ error: { code: 'bad_request' } })
  })

  it('of the environment is told', async () => {
    const { code, stderr } = await runCli(['config', 'show'], { env: { REPRISE_PROT: '1' } })
    expect(stderr).toBe('reprise: REPRISE_PROT: unknown variable; did you mean REPRISE_PORT?\n')
    expect(code).toBe(EXIT.usage)
  })

  it('without a command shows the help and ends with 2; asking for it ends with 0', async () => {
    const [nothing, help] = await Promise.all([runCli([]), runCli(['--help'])])
    expect(nothing.stderr).toContain('Usage: reprise')
    expect(nothing.code).toBe(EXIT.usage)
    expect(help.stdout).toContain('Usage: reprise')
    expect(help.code).toBe(EXIT.ok)
  })
})

describe('a hub that is not there', () => {
  it.each([['topics'], ['cursors', 't'], ['tail', 't'], ['sub', 't'], ['pub', 't', '1']])(
    'is told by %s, which ends with 1',
    async (...args) => {
      const { code, stdout, stderr } = await runCli([...args.filter(Boolean), '--url', NOWHERE])
      expect(stderr).toMatch(
        /^reprise: no hub at http:\/\/127.0.0.1:\d+ \(ECONNREFUSED\): start one with "reprise serve", or .*\n$/,
      )
      expect({ code, stdout }).toEqual({ code: EXIT.failed, stdout: '' })
    },
  )

  it('is told as JSON with --json', async () => {
    const { stderr } = await runCli(['topics', '--json'], { env: { REPRISE_URL: NOWHERE } })
    expect(JSON.parse(stderr)).toMatchObject({ error: { code: 'unavailable', retryable: true } })
  })
})

describe('config', () => {
  it('check says that a file is fine, or the line of what is wrong', async () => {
    const cwd = await tempFolder()
    await writeFile(join(cwd, 'good.yaml'), 'topics: { "*": { retain: { age: 1d } } }\n')
    await writeFile(join(cwd, 'bad.yaml'), 'port: 3000\ntopics: { "*": { retain: { aeg: 1d } } }\n')
    const [good, bad] = await Promise.all(
      ['good.yaml', 'bad.yaml'].map((file) => runCli(['config', 'check', file], { cwd })),
    )
    expect(good).toMatchObject({ code: EXIT.ok, stdout: 'good.yaml is fine\n', stderr: '' })
    expect(bad).toMatchObject({
      code: EXIT.usage,
      stderr: 'reprise: bad.yaml:2: topics."*".retain: unknown option aeg; did you mean age?\n',
    })
  })

  it('check tells all that is wrong, a line each', async () => {
    const cwd = await tempFolder()
    await writeFile(join(cwd, 'bad.yaml'), 'prot: 3000\ntopics: { a: { retain: { age: soon } } }\nhost: 0.0.0.0\n')
    const [text, json] = await Promise.all([
      runCli(['config', 'check', 'bad.yaml'], { cwd }),
      runCli(['config', 'check', 'bad.yaml', '--json'], { cwd }),
    ])
    const lines = text.stderr.trimEnd().split('\n')
    expect(lines).toEqual([
      expect.stringMatching(/^reprise: bad.yaml:1: unknown option prot; did you mean port\?$/),
      expect.stringMatching(/^reprise: bad.yaml:2: topics.a.retain.age: "soon" is not a duration such as /),
      expect.stringMatching(/^reprise: bad.yaml:3: host 0.0.0.0 can be reached/),
    ])
    expect({ code: text.code, stdout: text.stdout }).toEqual({ code: EXIT.usage, stdout: '' })
    const { error } = JSON.parse(json.stderr) as { error: object }
    expect(error).toMatchObject({ code: 'bad_request', faults: lines.map((line) => line.slice('reprise: '.length)) })
  })

  it('show names each option with its source', async () => {
    const cwd = await tempFolder()
    await writeFile(join(cwd, 'reprise.yaml'), 'topics: { "a": { retain: { events: unlimited } } }\n')
    const args = ['config', 'show', '--config', 'reprise.yaml', '--port', '0']
    const env = { REPRISE_STORE: 'redis://me:secret@host' }
    const [text, json] = await Promise.all([runCli(args, { cwd, env }), runCli([...args, '--json'], { cwd, env })])
    expect(text.stdout).toContain('port: 0 # --port\n')
    expect(text.stdout).toContain('topics: # reprise.yaml:1\n  a:\n    retain:\n      events: unlimited\n')
    expect(text.stdout).toContain('host: 127.0.0.1 # default\n')
    expect(text.stdout + json.stdout).not.toContain('secret')
    const options = json.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { option: string; value: unknown; source: string })
    expect(options).toContainEqual({ option: 'port', value: 0, source: '--port' })
    expect(options).toContainEqual({ option: 'store', value: 'redis://…@host', source: 'REPRISE_STORE' })
  })
})

describe('completion', () => {
  it('knows commands and options, and gives a script for the shell', async () => {
    const [commands, options, script] = await Promise.all([
      runCli(['complete', '--', 'ser']),
      runCli(['complete', '--', 'sub', '--on']),
      runCli(['complete', 'bash']),
    ])
    expect(commands.stdout).toMatch(/^serve\t/m)
    expect(options.stdout).toMatch(/^--on-gap\t/m)
    expect(script.stdout).toContain('bash completion for reprise')
  })
})

describe('the manual', () => {
  const manual = readFileSync(new URL('../../docs/cli.md', import.meta.url), 'utf8')

  it('lists the exit codes as they are', () => {
    const codes = [...manual.matchAll(/^\| `(\d+)` \|/gm)].map(([, code]) => Number(code))
    expect(codes).toEqual(Object.values(EXIT))
  })
})
