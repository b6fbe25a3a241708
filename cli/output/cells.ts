/** Values of the hub as people read them: in the cells of a table, in a line of text. */

import { printable } from '../../shared/printable.ts'
import { printLine } from './output.ts'

const DATA_LENGTH = 60

export function cell(value: unknown): string | number {
  if (typeof value === 'number') return value
  return value === undefined || value === null ? '-' : typeof value === 'string' ? value : JSON.stringify(value)
}

/** `1 event`, `2 events`. */
export function plural(count: unknown, one: string, many = `${one}s`): string {
  return `${cell(count)} ${count === 1 ? one : many}`
}

export function timeText(at: unknown): string {
  return typeof at === 'number' ? new Date(at).toISOString() : '-'
}

/** The largest unit that fits: `5m`, `3d`. */
export function ageText(ms: number): string {
  const units = [
    ['d', 86_400_000],
    ['h', 3_600_000],
    ['m', 60_000],
    ['s', 1_000],
  ] as const
  const [unit, size] = units.find(([, size]) => ms >= size) ?? ['ms', 1]
  return `${Math.floor(ms / size)}${unit}`
}

/** What a job holds, on one line. */
export function dataText({ data, base64, damaged }: Record<string, unknown>, length = DATA_LENGTH): string {
  if (damaged === true) return '(damaged)'
  const text = printable(typeof base64 === 'string' ? `(base64) ${base64}` : (JSON.stringify(data) ?? 'null'))
  return text.length > length ? `${text.slice(0, length)}…` : text
}

/** What became of a finished job, on one line. */
export function resultText({ result, error }: Record<string, unknown>, length = DATA_LENGTH): string {
  const text = error === undefined ? (JSON.stringify(result) ?? '-') : String(cell(error))
  return text.length > length ? `${printable(text.slice(0, length))}…` : printable(text)
}

/** An object as lines: a name and its value each. */
export async function printFields(fields: Readonly<Record<string, unknown>>): Promise<void> {
  const width = Math.max(...Object.keys(fields).map((name) => name.length))
  for (const [name, value] of Object.entries(fields)) {
    const text = typeof value === 'object' ? JSON.stringify(value) : String(value)
    await printLine(`${name.padEnd(width)}  ${printable(text)}`)
  }
}
