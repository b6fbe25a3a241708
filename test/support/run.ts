/**
 * `npm test`: makes sure of the programs that tests need, builds `dist` when it is stale, runs vitest and says at the
 * end what passed, failed and was not run. `--soak` runs the long forms; other arguments go to vitest.
 */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { argv, execPath } from 'node:process'
import { build, isFresh, ROOT } from '../../build/build.ts'
import { type Counts, countTests, type Report } from './count.ts'
import { installPrograms } from './install.ts'
import { embeddedOnly, findProgram } from './tools.ts'

process.exitCode = await main(argv.slice(2))

async function main(args: readonly string[]): Promise<number> {
  if (!embeddedOnly) {
    const missing = await installPrograms(['redis-server', 'redis-cli', 'nginx', 'chromium'])
    if (missing !== undefined) {
      console.error(missing)
      return 1
    }
    // Where there is no strace (not Linux, not allowed), the power-loss test is told as not run.
    if (process.platform === 'linux') await installPrograms(['strace'])
  }
  if (!isFresh()) {
    try {
      await build()
    } catch (error) {
      console.error(`dist was not built: ${error instanceof Error ? error.message : String(error)}`)
      return 1
    }
  }
  const counts = await runVitest(args)
  for (const line of notRun(counts)) console.log(line)
  const { passed, failed, skipped } = counts
  console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`)
  return failed > 0 || passed === 0 ? 1 : 0
}

async function runVitest(args: readonly string[]): Promise<Counts> {
  const folder = mkdtempSync(join(tmpdir(), 'reprise-report-'))
  const report = join(folder, 'report.json')
  const soak = args.includes('--soak')
  try {
    const vitest = join(ROOT, 'node_modules/vitest/vitest.mjs')
    const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`]
    const child = spawn(
      execPath,
      [vitest, 'run', '--root', ROOT, ...reporters, ...args.filter((arg) => arg !== '--soak')],
      {
        cwd: ROOT,
        stdio: ['ignore', 'inherit', 'inherit'],
        env: { ...process.env, REPRISE_BUILT: '1', ...(soak ? { REPRISE_SOAK: '1' } : {}) },
      },
    )
    const [code] = await once(child, 'close')
    return countTests(readReport(report), code === 0)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function readReport(path: string): Report | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as Report
  } catch {
    return undefined
  }
}

function notRun(counts: Counts): string[] {
  const lines = counts.skippedFiles.map(({ file, skipped }) => `not run: ${skipped} of ${file}`)
  if (embeddedOnly) lines.push('not run, as REPRISE_TEST_EMBEDDED_ONLY=1: what needs Redis, nginx or Chromium')
  else if (findProgram('strace') === undefined) lines.push('not run, as there is no strace: the power-loss test')
  if (!embeddedOnly && findProgram('prometheus') === undefined) {
    lines.push('not run, as there is no prometheus: the queries of the dashboard and of the alerts')
  }
  return lines
}
