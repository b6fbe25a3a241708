/** `/metrics` of a hub as Prometheus reads it. */

import { until } from '../until.ts'

export interface Scrape {
  readonly text: string
  /** The value of a series: `reprise_jobs{pattern="(none)",state="ready"}`, with its labels in their order. */
  of(series: string): number | undefined
  /** Type of each metric that begins with `reprise_`. */
  readonly types: ReadonlyMap<string, string>
}

export async function scrape(url: string, headers: Readonly<Record<string, string>> = {}): Promise<Scrape> {
  const response = await fetch(`${url}/metrics`, { headers })
  const text = await response.text()
  if (response.status !== 200) throw new Error(`${response.status}: ${text}`)
  const values = new Map(
    text
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'))
      .map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ') + 1))] as const),
  )
  const types = [...text.matchAll(/^# TYPE (reprise_\w+) (\w+)$/gm)].map(
    ([, name = '', type = '']) => [name, type] as const,
  )
  return { text, of: (series) => values.get(series), types: new Map(types) }
}

/** Scrapes until all of these series have these values; the last scrape. Scrapes of one second are the same. */
export async function scrapeUntil(url: string, wanted: Readonly<Record<string, number>>): Promise<Scrape> {
  let last: Scrape | undefined
  const wrong = () => Object.keys(wanted).filter((series) => last?.of(series) !== wanted[series])
  const seen = () => wrong().map((series) => `${series} ${last?.of(series)}, not ${wanted[series]}`)
  await until(
    async () => {
      last = await scrape(url)
      return wrong().length === 0
    },
    { what: 'the metrics to be so', deadlineMs: 10_000, seen },
  )
  return last as Scrape
}
