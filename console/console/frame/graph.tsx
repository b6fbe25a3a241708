/** A plot over time: drawn anew with each point, in the colours of the page. */

import { useEffect, useRef } from 'preact/hooks'
import uPlot from 'uplot'
import { count, rate, shortDuration } from '../hub/words.ts'

const HEIGHT = 150
/** The shortest time that a plot shows. */
const LEAST_S = 120
const FONT = '11px system-ui, sans-serif'

const UNITS = { rate, count, ms: shortDuration } as const

export type Unit = keyof typeof UNITS

interface GraphProps {
  readonly title: string
  readonly unit: Unit
  /** Each with its colour: the name of one of the page's. */
  readonly series: Readonly<Record<string, string>>
  /** What they are called, where it is not their name. */
  readonly names: Readonly<Partial<Record<string, string>>>
  /** In seconds. */
  readonly times: readonly number[]
  readonly values: Readonly<Record<string, readonly number[]>>
}

export function Graph({ title, unit, series, names: told, times, values }: GraphProps) {
  const place = useRef<HTMLDivElement>(null)
  const plot = useRef<uPlot | undefined>(undefined)
  const names = Object.keys(series)
  const last = names.map((name) => `${told[name] ?? name} ${UNITS[unit](values[name]?.at(-1) ?? 0)}`)

  useEffect(() => {
    const box = place.current
    if (box === null) return
    const make = (): void => {
      plot.current?.destroy()
      plot.current = new uPlot(optionsOf(box, names, series, unit), [[], ...names.map(() => [])], box)
      draw()
    }
    const resized = new ResizeObserver(() => plot.current?.setSize({ width: box.clientWidth, height: HEIGHT }))
    resized.observe(box)
    const scheme = matchMedia('(prefers-color-scheme: dark)')
    scheme.addEventListener('change', make)
    make()
    return () => {
      resized.disconnect()
      scheme.removeEventListener('change', make)
      plot.current?.destroy()
    }
  }, [])

  const draw = (): void => plot.current?.setData([[...times], ...names.map((name) => [...(values[name] ?? [])])])
  useEffect(draw)

  return (
    <figure class="panel plot">
      <figcaption>
        <h2>{title}</h2>
        <ul>
          {names.map((name, i) => (
            <li key={name} class={`of-${series[name]}`}>
              {last[i]}
            </li>
          ))}
        </ul>
      </figcaption>
      <div ref={place} role="img" aria-label={`${title}: ${last.join(', ')}`} />
    </figure>
  )
}

/** What a plot shows of time, in seconds: all points, and no less than two minutes. Without a point it ends now. */
function spanOf(times: ArrayLike<number>): [number, number] {
  const end = times[times.length - 1] ?? Date.now() / 1_000
  return [Math.min(times[0] ?? end, end - LEAST_S), end]
}

function optionsOf(
  box: HTMLElement,
  names: readonly string[],
  colours: GraphProps['series'],
  unit: Unit,
): uPlot.Options {
  const style = getComputedStyle(box)
  const colour = (name: string): string => style.getPropertyValue(`--${name}`).trim()
  const axis = {
    stroke: colour('soft'),
    font: FONT,
    grid: { stroke: colour('line'), width: 1 },
    ticks: { show: false },
  }
  return {
    width: box.clientWidth,
    height: HEIGHT,
    legend: { show: false },
    cursor: { y: false, points: { size: 6 } },
    scales: {
      // Few points do not fill the whole width. Of one point uPlot would make a day.
      x: { range: ({ data }) => spanOf(data[0]) },
      y: { range: (_plot, _min, max) => [0, max <= 0 ? 1 : max * 1.15] },
    },
    axes: [
      {
        ...axis,
        size: 22,
        space: 80,
        values: (_plot, splits, _at, _space, step) => splits.map((at) => clockOf(at, step)),
      },
      { ...axis, size: 58, space: 32, values: (_plot, splits) => splits.map((value) => UNITS[unit](value)) },
    ],
    series: [
      {},
      ...names.map((name) => ({
        label: name,
        stroke: colour(colours[name] ?? 'ink'),
        width: 1.5,
        points: { show: false },
      })),
    ],
  }
}

/** With seconds where the lines stand closer than a minute. */
function clockOf(at: number, step: number): string {
  const clock = new Date(at * 1_000).toTimeString()
  return step < 60 ? clock.slice(0, 8) : clock.slice(0, 5)
}
