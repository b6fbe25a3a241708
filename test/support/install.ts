/** Installs the programs that tests need where that can be done without asking: Debian and Homebrew. */

import { spawnSync } from 'node:child_process'
import { findProgram, type Program } from './tools.ts'

interface Source {
  readonly apt: string
  /** `undefined` where Homebrew has none. */
  readonly brew: readonly string[] | undefined
}

/** Prometheus comes with a service that listens on a port of its own: whoever wants it installs it. */
type Installable = Exclude<Program, 'prometheus' | 'promtool'>

const SOURCES: Record<Installable, Source> = {
  'redis-server': { apt: 'redis-server', brew: ['redis'] },
  'redis-cli': { apt: 'redis-tools', brew: ['redis'] },
  chromium: { apt: 'chromium', brew: ['--cask', 'chromium'] },
  strace: { apt: 'strace', brew: undefined },
  nginx: { apt: 'nginx-light', brew: ['nginx'] },
}

/** `undefined` when all are there in the end; otherwise the one line that says what to do. */
export async function installPrograms(wanted: readonly Installable[]): Promise<string | undefined> {
  const missing = (): Installable[] => wanted.filter((program) => findProgram(program) === undefined)
  if (missing().length === 0) return undefined
  console.log(`installing ${missing().join(', ')}`)
  if (process.platform === 'linux') installWithApt(missing())
  if (process.platform === 'darwin') installWithBrew(missing())
  const left = missing()
  if (left.length === 0) return undefined
  return `install ${left.join(', ')} (Debian: apt-get install ${left.map((program) => SOURCES[program].apt).join(' ')}), or set REPRISE_TEST_EMBEDDED_ONLY=1 to test without`
}

function installWithApt(programs: readonly Installable[]): void {
  const sudo = process.getuid?.() === 0 ? [] : ['sudo', '-n']
  if (!runs([...sudo, 'apt-get', '--version'])) return
  const settings = ['DEBIAN_FRONTEND=noninteractive', 'RUNLEVEL=1']
  const apt = [...sudo, 'env', ...settings, 'apt-get', '-qq', '-o', 'Dpkg::Use-Pty=0']
  runs([...apt, 'update'])
  const packages = programs.map((program) => SOURCES[program].apt)
  // One at a time where together fails, so that a package that is not to be had does not stop the others.
  if (runs([...apt, 'install', '-y', '--no-install-recommends', ...packages])) return
  for (const name of packages) runs([...apt, 'install', '-y', '--no-install-recommends', name])
}

function installWithBrew(programs: readonly Installable[]): void {
  if (!runs(['brew', '--version'])) return
  for (const program of programs) {
    const formula = SOURCES[program].brew
    if (formula && findProgram(program) === undefined) runs(['brew', 'install', ...formula])
  }
}

function runs(command: readonly string[]): boolean {
  const [program = '', ...args] = command
  const result = spawnSync(program, args, { stdio: ['ignore', 'ignore', 'pipe'], encoding: 'utf8' })
  return result.status === 0
}
