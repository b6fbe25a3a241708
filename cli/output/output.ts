/** Standard output, line by line: waits for slow readers, ends quietly when nobody reads, colours only for people. */

import pc from 'picocolors'
import { printable } from '../../shared/printable.ts'
import { EXIT } from '../exit.ts'

/** Colours for a stream: none without a terminal, with NO_COLOR or with TERM=dumb; FORCE_COLOR asks for them. */
export function colours(stream: { readonly isTTY?: boolean } = process.stdout): ReturnType<typeof pc.createColors> {
  const { NO_COLOR, FORCE_COLOR, TERM } = process.env
  if (NO_COLOR !== undefined && NO_COLOR !== '') return pc.createColors(false)
  if (FORCE_COLOR !== undefined && FORCE_COLOR !== '' && FORCE_COLOR !== '0') return pc.createColors(true)
  return pc.createColors(stream.isTTY === true && TERM !== 'dumb')
}

/** Resolves when the line was taken by whatever reads it, so a slow pipe slows the caller down. */
export function printLine(line: string): Promise<void> {
  return new Promise((resolve, reject) => {
    process.stdout.write(`${line}\n`, (error) => {
      if (error == null) resolve()
      else if ('code' in error && (error.code === 'EPIPE' || error.code === 'ERR_STREAM_DESTROYED')) endQuietly()
      else reject(error)
    })
  })
}

export function printJson(value: unknown): Promise<void> {
  return printLine(JSON.stringify(value))
}

export function note(line: string): void {
  process.stderr.write(`${line}\n`)
}

/** Whoever read us has gone (`| head`): that is their way to say enough. */
export function endWhenNobodyReads(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') endQuietly()
  })
  process.stderr.on('error', () => {})
}

function endQuietly(): never {
  process.exit(EXIT.ok)
}

/** Leaves after everything written was taken. */
export async function exitWith(code: number): Promise<never> {
  await new Promise<void>((resolve) => process.stdout.write('', () => resolve()))
  await new Promise<void>((resolve) => process.stderr.write('', () => resolve()))
  process.exit(code)
}

/** Rows with their columns in line; numbers to the right. */
export function table(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string[] {
  const all = [head, ...rows.map((row) => row.map((cell) => printable(String(cell))))]
  const widths = head.map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0)))
  const numeric = head.map((_, column) => rows.length > 0 && rows.every((row) => typeof row[column] === 'number'))
  const paint = colours()
  return all.map((row, index) => {
    const cells = row.map((cell, i) => (numeric[i] ? cell.padStart(widths[i] ?? 0) : cell.padEnd(widths[i] ?? 0)))
    const line = cells.join('  ').trimEnd()
    return index === 0 ? paint.bold(line) : line
  })
}
