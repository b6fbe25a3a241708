/** A plot of what the whole hub does. */

import type { Series } from '../../../shared/console/protocol.ts'
import { Graph, type Unit } from '../frame/graph.tsx'
import type { Session } from '../hub/session.ts'

const NAMES: Readonly<Partial<Record<Series, string>>> = {
  published: 'published',
  live: 'delivered live',
  replayed: 'replayed',
  delivery50: 'half within',
  delivery99: 'p99',
  publish99: 'publish p99',
  caughtUp: 'caught up',
  oldestReadyMs: 'waits',
  lag: 'behind',
}

interface PlotProps {
  readonly session: Session
  readonly range: 'seconds' | 'minutes'
  readonly title: string
  readonly unit: Unit
  /** Each with its colour: the name of one of the page's. */
  readonly series: Readonly<Partial<Record<Series, string>>>
}

export function Plot({ session: { plots }, range, title, unit, series }: PlotProps) {
  plots.version.value
  const { times, values } = plots.columns(range)
  return (
    <Graph
      title={title}
      unit={unit}
      series={series as Record<string, string>}
      names={NAMES}
      times={times}
      values={values}
    />
  )
}
