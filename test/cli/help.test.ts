import { readFileSync } from 'node:fs'
import type { Command } from 'commander'
import { describe, expect, it } from 'vitest'
import { program } from '../../cli/program.ts'

interface Known {
  readonly path: string
  readonly command: Command
}

/** Every command with its subcommands; the first is `reprise` itself. */
function commandsOf(command: Command, path = 'reprise'): Known[] {
  return [{ path, command }, ...command.commands.flatMap((inner) => commandsOf(inner, `${path} ${inner.name()}`))]
}

function helpOf(command: Command): string {
  let text = ''
  command.configureOutput({ writeOut: (part) => (text += part), getOutHelpWidth: () => 100 })
  command.outputHelp()
  return text
}

function examplesOf(help: string): string[] {
  const [, examples = ''] = help.split('\nExamples:\n')
  return [...examples.matchAll(/^ {2}(.*?) +# /gm)].map(([, line = '']) => line)
}

/** The words of each `reprise …` in a line of a shell. */
function callsOf(line: string): string[][] {
  const calls: string[][] = []
  for (const part of line.split(' | ')) {
    const [before = ''] = part.split(/ [<>] /)
    const words = [...before.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? '')
    if (words[0] === 'reprise') calls.push(words.slice(1))
  }
  return calls
}

const commands = commandsOf(await program())

describe('the help', () => {
  it.each(commands)(
    'of $path has examples, each of which is a call that the command line takes',
    async ({ command }) => {
      const examples = examplesOf(helpOf(command))
      expect(examples.length).toBeGreaterThan(0)
      for (const call of examples.flatMap(callsOf)) {
        const root = await program()
        const called: string[] = []
        for (const { path, command: each } of commandsOf(root)) each.action(() => void called.push(path))
        await root.parseAsync(call, { from: 'user' })
        expect(called, call.join(' ')).toHaveLength(1)
      }
    },
  )

  it.each(commands)('of $path says what the command, its arguments and its options are', ({ command }) => {
    expect(command.description()).toMatch(/^[A-Z].*\.$/)
    for (const { description } of [...command.registeredArguments, ...command.options]) {
      expect(description).toMatch(/^[\p{L}<"'0-9]/u)
    }
    for (const { description, defaultValue } of command.options) {
      expect(defaultValue !== undefined && description.includes('default'), `a second default: ${description}`).toBe(
        false,
      )
    }
  })

  it('knows the long names of pub and sub', async () => {
    const { commands } = await program()
    const byName = (name: string) => commands.find((command) => command.aliases().includes(name))?.name()
    expect([byName('publish'), byName('subscribe')]).toEqual(['pub', 'sub'])
  })

  it('refuses an unknown name with the near one, also of a subcommand', async () => {
    const refused = async (...call: string[]) =>
      await (await program()).parseAsync(call, { from: 'user' }).then(
        () => '',
        (error: Error) => error.message,
      )
    expect(await refused('setings')).toContain('Did you mean settings?')
    expect(await refused('settings', 'gte', 'topic', 'a')).toContain('Did you mean')
    expect(await refused('drop', 'a', '--yse')).toContain('Did you mean --yes?')
  })
})

describe('the manual', () => {
  const manual = readFileSync(new URL('../../docs/cli.md', import.meta.url), 'utf8')

  it('names every option of every command, and no other', () => {
    const common = ['--json', '--path', '--timeout', '--token', '--url']
    const remotes = [
      ...[
        'pub',
        'sub',
        'topics',
        'tail',
        'drop',
        'cursors',
        'seek',
        'forget',
        'settings get',
        'settings set',
        'revoke',
      ],
      ...['send', 'work', 'queues', 'jobs', 'explain', 'run', 'remove', 'redrive', 'pause', 'resume', 'purge'],
      ...['schedules list', 'schedules put', 'schedules run', 'schedules remove'],
    ]
    const local = ['config init', 'config check', 'config show', 'doctor', 'key new', 'token', 'token check']
    const named = ['serve', ...remotes, ...local]
    for (const { path, command } of commands) {
      const name = path.replace(/^reprise /, '')
      if (command.commands.length > 0 && name !== 'token') continue
      expect(named, path).toContain(name)
      const real = [...helpOf(command).matchAll(/^ {2}(?:-\w, )?(--[a-z-]+)/gm)].map(([, option]) => option).sort()
      const section = manual.split(/^## /m).find((part) => part.startsWith(`\`${path}`)) ?? ''
      const told = [...section.matchAll(/^\| `(?:-\w, )?(--[a-z-]+)/gm)].map(([, option]) => option)
      const remote = remotes.includes(name) ? common : []
      expect([...new Set([...told, ...remote, '--help'])].sort(), path).toEqual(real)
    }
  })
})
