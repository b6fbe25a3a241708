/** A line of the log as a person reads it: `21:04:17 info  started  url=http://127.0.0.1:3000 store=/srv/data`. */

import { printable } from '../../shared/printable.ts'

/** The line as it is where it is no JSON. */
export function readableLine(line: string): string {
  let fields: Record<string, unknown>
  try {
    fields = JSON.parse(line) as Record<string, unknown>
  } catch {
    return `${printable(line.trimEnd())}\n`
  }
  const { time, level, msg, err, ...details } = fields
  const at = new Date(String(time)).toTimeString().slice(0, 8)
  const told = Object.entries(details).map(([name, value]) => `${name}=${valueText(value)}`)
  const head = [`${at} ${String(level).padEnd(5)} ${printable(String(msg))}`, ...told].join('  ')
  return [head, ...errorLines(err)].join('\n').concat('\n')
}

function valueText(value: unknown): string {
  const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? '')
  return /^[\w.:/@+*~-]+$/.test(text) ? text : printable(JSON.stringify(text))
}

/** A bug: its stack, indented, and those of its causes. */
function errorLines(err: unknown): string[] {
  if (typeof err !== 'object' || err === null) return []
  const { message, stack, cause } = err as Record<string, unknown>
  const lines = String(stack ?? message).split('\n')
  const inner = typeof cause === 'object' && cause !== null ? errorLines((cause as Record<string, unknown>).err) : []
  return [...lines.map((line) => `         ${printable(line.trim())}`), ...inner]
}
