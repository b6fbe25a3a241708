/** Numbers, sizes and times as people read them. */

const COUNT = new Intl.NumberFormat('en')
const CLOCK = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' })
const DAY = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short' })

export function count(value: number): string {
  return COUNT.format(value)
}

/** Of a second. */
export function rate(value: number): string {
  if (value === 0) return '0'
  return value < 10 ? value.toFixed(1) : count(Math.round(value))
}

export function plural(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`
}

export function bytes(value: number): string {
  if (value < 1_024) return `${value} B`
  const power = Math.min(4, Math.floor(Math.log2(value) / 10))
  const size = value / 1_024 ** power
  return `${size < 10 ? size.toFixed(1) : Math.round(size)} ${['', 'KiB', 'MiB', 'GiB', 'TiB'][power]}`
}

export function duration(ms: number): string {
  if (ms === 0) return '0'
  if (ms < 1) return `${ms.toFixed(2)} ms`
  if (ms < 1_000) return `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`
  const seconds = Math.round(ms / 1_000)
  if (seconds < 60) return `${(ms / 1_000).toFixed(ms < 10_000 ? 1 : 0)} s`
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`
  if (seconds < 86_400) return `${Math.floor(seconds / 3_600)} h ${Math.floor((seconds % 3_600) / 60)} min`
  return `${Math.floor(seconds / 86_400)} d ${Math.floor((seconds % 86_400) / 3_600)} h`
}

/** The same where there is little room. */
export function shortDuration(ms: number): string {
  if (ms < 60_000) return duration(ms)
  return ms < 3_600_000 ? `${(ms / 60_000).toFixed(1)} min` : `${(ms / 3_600_000).toFixed(1)} h`
}

/** With the day where it is not today. */
export function moment(at: number): string {
  const date = new Date(at)
  const clock = CLOCK.format(date)
  return date.toDateString() === new Date().toDateString() ? clock : `${DAY.format(date)}, ${clock}`
}
