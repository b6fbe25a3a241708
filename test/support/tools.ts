/** Where the programs are that tests need beside Node. Finds them; installing is run.ts's work. */

import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

/** `REPRISE_TEST_EMBEDDED_ONLY=1`: the run does without Redis, nginx and Chromium, and says so at its end. */
export const embeddedOnly = process.env.REPRISE_TEST_EMBEDDED_ONLY === '1'

/** `npm run soak`: the long forms. */
export const soak = process.env.REPRISE_SOAK === '1'

const MAC = '/Applications'

const PROGRAMS = {
  'redis-server': ['redis-server'],
  'redis-cli': ['redis-cli'],
  chromium: [
    'chromium',
    'chromium-browser',
    'google-chrome',
    'google-chrome-stable',
    `${MAC}/Chromium.app/Contents/MacOS/Chromium`,
    `${MAC}/Google Chrome.app/Contents/MacOS/Google Chrome`,
  ],
  strace: ['strace'],
  // Debian keeps it where only root looks by itself.
  nginx: ['nginx', '/usr/sbin/nginx'],
  prometheus: ['prometheus'],
  promtool: ['promtool'],
} as const

export type Program = keyof typeof PROGRAMS

function executable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** The path of a program, or `undefined` where it is not installed. */
export function findProgram(program: Program): string | undefined {
  const folders = (process.env.PATH ?? '').split(delimiter).filter((folder) => folder !== '')
  const paths = PROGRAMS[program].flatMap((name) =>
    name.includes('/') ? [name] : folders.map((folder) => join(folder, name)),
  )
  return paths.find(executable)
}

/** For `describe.runIf(has('chromium'))`: whether tests that need the program are to run. They count as skipped if not. */
export function has(...programs: Program[]): boolean {
  return programs.every((program) => (program === 'strace' || !embeddedOnly) && findProgram(program) !== undefined)
}

/** The path of a program that the test cannot do without. */
export function pathOf(program: Program): string {
  const path = findProgram(program)
  if (path === undefined) throw new Error(`${program} is not installed; \`npm test\` installs it where it may`)
  return path
}
