/** The code blocks of a paper: finds them, type-checks them as a user's program, runs them against a hub. */

import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { delimiter, dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import ts from 'typescript'
import { ROOT } from '../../build/build.ts'
import { writeClientPackage } from '../../build/clientBundle.ts'
import { type Child, cliCommand, type Exit, run, startChild } from '../support/hub/process.ts'
import { diskFolder } from '../support/temp.ts'
import { until, within } from '../support/until.ts'

export interface Block {
  /** Of its fence, from 1. */
  readonly line: number
  readonly language: string
  /** The word behind the language. */
  readonly mode: string
  readonly text: string
}

/** What the fences may say; CONTRIBUTING.md tells what it means. */
const MODES: Readonly<Record<string, readonly string[]>> = {
  ts: ['', 'stays', 'types'],
  tsx: ['types'],
  sh: ['', 'stays'],
  text: [''],
  yaml: [''],
  json: [''],
  html: [''],
  nginx: [''],
}

/** Packages that a snippet may use beside Reprise itself. */
const PACKAGES = ['@types/node', 'express', '@types/express', 'socket.io', 'socket.io-client', 'react', '@types/react']

export function readBlocks(paper: string): Block[] {
  const blocks: Block[] = []
  let open: { line: number; language: string; mode: string; indent: number; lines: string[] } | undefined
  for (const [i, line] of paper.split('\n').entries()) {
    const fence = /^(\s*)```+\s*(\S*)\s*(.*?)\s*$/.exec(line)
    if (open && fence && fence[2] === '') {
      const { lines, indent, ...block } = open
      blocks.push({ ...block, text: `${lines.map((one) => one.slice(indent)).join('\n')}\n` })
      open = undefined
    } else if (open) {
      open.lines.push(line)
    } else if (fence) {
      const [, indent = '', language = '', mode = ''] = fence
      open = { line: i + 1, language, mode, indent: indent.length, lines: [] }
    }
  }
  return blocks
}

/** Fences that no check knows. */
export function unknownFences(blocks: readonly Block[]): string[] {
  return blocks
    .filter(({ language, mode }) => MODES[language]?.includes(mode) !== true)
    .map(({ line, language, mode }) => `line ${line}: ${language} ${mode}`.trim())
}

/** Whether a hub is asked for it. */
export function runs({ language, mode }: Block): boolean {
  return ['ts', 'sh'].includes(language) && mode !== 'types'
}

/** A folder in which the blocks' programs lie as a user's would, with Reprise among its packages. */
async function layOut(blocks: readonly Block[], url: string): Promise<{ folder: string; paths: Map<Block, string> }> {
  const folder = await diskFolder()
  const links = PACKAGES.map((name) => [name, join(ROOT, 'node_modules', name)] as const)
  for (const [name, target] of [...links, ['reprise', ROOT]] as const) {
    await mkdir(dirname(join(folder, 'node_modules', name)), { recursive: true })
    await symlink(target, join(folder, 'node_modules', name))
  }
  await writeClientPackage(join(folder, 'node_modules/reprise-client'), join(ROOT, 'dist/sdk'))
  await writeFile(join(folder, 'package.json'), '{ "type": "module" }')
  const paths = new Map<Block, string>()
  for (const block of blocks.filter((block) => runs(block) && block.language === 'ts')) {
    paths.set(block, await writeProgram(folder, `line-${block.line}.ts`, block, url))
  }
  return { folder, paths }
}

async function writeProgram(folder: string, name: string, block: Block, url: string): Promise<string> {
  const path = join(folder, name)
  await writeFile(path, `${pointAt(block.text, url)}\nexport {}\n`)
  return path
}

/** The program without its types: nothing has to be compiled where it runs. */
async function withoutTypes(path: string): Promise<string> {
  const compilerOptions = { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext }
  const { outputText } = ts.transpileModule(await readFile(path, 'utf8'), { compilerOptions })
  const to = path.replace(/\.ts$/, '.mjs')
  await writeFile(to, outputText)
  return to
}

/** The text with the hub's address for the one of the papers, and free ports where it listens itself. */
function pointAt(text: string, url: string): string {
  return text
    .replaceAll(/http:\/\/(127\.0\.0\.1|localhost):3000/g, url)
    .replaceAll(/\blisten\(\d{4}/g, 'listen(0')
    .replaceAll(/\bport: \d{4}/g, 'port: 0')
    .replaceAll(/--port \d{4}/g, '--port 0')
}

/** What tsc has to say about the blocks of the papers, as it would to a user. Empty when they are well. */
export async function checkTypes(papers: Readonly<Record<string, readonly Block[]>>): Promise<string> {
  const { folder } = await layOut([], '')
  let programs = 0
  for (const [paper, blocks] of Object.entries(papers)) {
    for (const block of blocks.filter(({ language }) => language.startsWith('ts'))) {
      programs += 1
      const name = `${paper.replaceAll('/', '-')}-${block.line}.${block.language}`
      await writeProgram(folder, name, block, 'http://127.0.0.1:3000')
    }
  }
  if (programs === 0) return ''
  const compilerOptions = { strict: true, noEmit: true, module: 'NodeNext', target: 'ES2023', skipLibCheck: true }
  const lib = ['ES2023', 'ESNext.Disposable', 'DOM']
  const options = { ...compilerOptions, lib, types: ['node'], jsx: 'react-jsx' }
  const config = { compilerOptions: options, include: ['*.ts', '*.tsx'] }
  await writeFile(join(folder, 'tsconfig.json'), JSON.stringify(config))
  const tsc = join(ROOT, 'node_modules/typescript/bin/tsc')
  const { code, stdout } = await run([process.execPath, tsc, '-p', folder, '--pretty', 'false'], { cwd: folder })
  return code === 0 ? '' : stdout
}

/** Runs the blocks in their order against the hub at `url`. Throws at the first that does not do what it should. */
export async function runBlocks(blocks: readonly Block[], url: string): Promise<void> {
  const { folder, paths } = await layOut(blocks, url)
  const bin = await makeCommands(folder)
  const env = { REPRISE_URL: url, REPRISE_PORT: '0', PATH: `${bin}${delimiter}${process.env.PATH}` }
  const staying: { block: Block; child: Child; expected: string | undefined }[] = []

  for (const [i, block] of blocks.entries()) {
    const next = blocks[i + 1]
    const expected = next?.language === 'text' ? next.text : undefined
    if (block.language === 'json') JSON.parse(block.text)
    if (block.language === 'yaml') await checkConfiguration(folder, block)
    if (!runs(block)) continue
    const path = paths.get(block)
    const command: [string, ...string[]] =
      path === undefined
        ? ['bash', '-euo', 'pipefail', '-c', pointAt(block.text, url)]
        : [process.execPath, await withoutTypes(path)]
    const child = startChild(command, { cwd: folder, env, group: true })
    if (block.mode === 'stays') {
      // It may have nothing to say before a later block gives it something to do.
      await Promise.race([until(() => child.stdout() !== ''), child.exited, sleep(2_000)])
      staying.push({ block, child, expected })
    } else {
      const exit = await within(child.exited, 30_000, `the end of the block at line ${block.line}`).catch((error) => {
        throw new Error(`${(error as Error).message}\n${child.stdout()}${child.stderr()}`)
      })
      await child.kill()
      judge(block, child, exit, expected)
    }
  }

  for (const { block, child, expected } of staying) {
    const said = expected === undefined ? true : until(() => holds(child.stdout(), expected)).catch(() => false)
    await Promise.race([said, child.exited])
    const exit = child.process.exitCode === null ? undefined : await child.exited
    await child.kill()
    judge(block, child, exit ?? { code: 0, signal: null }, expected)
  }
}

function judge(block: Block, child: Child, exit: Exit, expected: string | undefined): void {
  const output = `${child.stdout()}${child.stderr()}`
  if (exit.code !== 0) throw new Error(`the block at line ${block.line} ended with ${exit.code}:\n${output}`)
  if (expected !== undefined && !holds(output, expected)) {
    throw new Error(`the block at line ${block.line} was to say\n${expected}\nbut said\n${output}`)
  }
}

/** Whether the output has all expected lines, in their order. */
export function holds(output: string, expected: string): boolean {
  const lines = output.split('\n')
  let at = 0
  for (const wanted of expected.split('\n').filter((line) => line.trim() !== '')) {
    const parts = wanted.trim().split('…')
    const pattern = new RegExp(`^${parts.map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('.*')}$`)
    while (at < lines.length && !pattern.test(lines[at]?.trim() ?? '')) at++
    if (at++ === lines.length) return false
  }
  return true
}

async function checkConfiguration(folder: string, block: Block): Promise<void> {
  const path = join(folder, 'reprise.yaml')
  await writeFile(path, block.text)
  const { code, stderr } = await run([...cliCommand(), 'config', 'check', path])
  if (code !== 0) throw new Error(`the configuration at line ${block.line}: ${stderr}`)
}

/** Commands that stand before the machine's own: `reprise` is this checkout's, and nothing is installed or committed. */
async function makeCommands(folder: string): Promise<string> {
  const bin = join(folder, 'bin')
  await mkdir(bin)
  const reprise = cliCommand().map(quote).join(' ')
  const scripts = quote(join(ROOT, 'package.json'))
  const commands = {
    reprise: `exec ${reprise} "$@"`,
    npx: `[ "$1" = reprise ] || { echo "npx $1 is not run here" >&2; exit 1; }\nshift\nexec ${reprise} "$@"`,
    npm: `[ "$1" = run ] && shift || case "$1" in start|test) ;; *) exit 0 ;; esac
exec ${quote(process.execPath)} -e 'if (!require(process.argv[1]).scripts[process.argv[2]]) throw new Error("no script " + process.argv[2])' ${scripts} "$1"`,
    docker: 'exit 0',
    git: 'exit 0',
  }
  for (const [name, script] of Object.entries(commands)) {
    await writeFile(join(bin, name), `#!/bin/sh\n${script}\n`, { mode: 0o755 })
  }
  return bin
}

function quote(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`
}
