/** How people write sizes, durations and switches in options. Each reader answers `undefined` for what it cannot read. */

const BYTES: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
  tib: 2 ** 40,
}

const MS: Readonly<Record<string, number>> = {
  '': 1,
  ms: 1,
  s: 1_000,
  m: 60_000,
  min: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
}

/** `1GiB`, `500MB`, `4096` or a number of bytes. */
export function readBytes(value: unknown): number | undefined {
  return readQuantity(value, BYTES)
}

/** What a duration is, to complete "… is not". */
export const DURATION_RULE = 'a duration such as 500ms, 30s, 5m, 1h or 7d (a number by itself is milliseconds)'

/** `7d`, `30s`, `250ms`, `1000` or a number of milliseconds. */
export function readDurationMs(value: unknown): number | undefined {
  return readQuantity(value, MS)
}

/** A whole number of 0 or more; `1_000_000` and `1000000` alike. */
export function readCount(value: unknown): number | undefined {
  return readQuantity(value, { '': 1 })
}

/** `true`, `yes`, `on`, `1` and their opposites. */
export function readSwitch(value: unknown): boolean | undefined {
  if (typeof value === 'boolean') return value
  const text = typeof value === 'number' ? String(value) : value
  if (typeof text !== 'string') return undefined
  if (/^(true|yes|on|1)$/i.test(text)) return true
  if (/^(false|no|off|0)$/i.test(text)) return false
  return undefined
}

function readQuantity(value: unknown, units: Readonly<Record<string, number>>): number | undefined {
  if (typeof value === 'number') return Number.isSafeInteger(value) && value >= 0 ? value : undefined
  if (typeof value !== 'string') return undefined
  const [, digits, unit] = /^(\d[\d_]*(?:\.\d+)?) ?([a-z]*)$/i.exec(value.trim()) ?? []
  const factor = unit === undefined ? undefined : ownUnit(units, unit.toLowerCase())
  if (digits === undefined || factor === undefined) return undefined
  const total = Math.round(Number(digits.replaceAll('_', '')) * factor)
  return Number.isSafeInteger(total) && (factor > 1 || !digits.includes('.')) ? total : undefined
}

function ownUnit(units: Readonly<Record<string, number>>, unit: string): number | undefined {
  return Object.hasOwn(units, unit) ? units[unit] : undefined
}
