/** How quick a queue is: jobs a second, how long they wait and run, counted by the hub while this is open. */

import { useRef } from 'preact/hooks'
import type { QueueSeen, QueueSeries, QueueTimes } from '../../../shared/console/protocol.ts'
import { Fact } from '../frame/fact.tsx'
import { Graph } from '../frame/graph.tsx'
import type { Session } from '../hub/session.ts'
import { type Look, useAnswers } from '../hub/useLook.ts'
import { count, duration, moment, rate } from '../hub/words.ts'

const LOOK_MS = 1_000
/** As many as the hub keeps. */
const MAX_POINTS = 300
const NAMES = { wait50: 'half wait', wait99: 'wait p99', run50: 'half run', run99: 'run p99' }

export function Rates({ session, queue }: { readonly session: Session; readonly queue: string }) {
  const { value: seen, problem } = useSeen(session, queue)
  if (seen === undefined) return <p class="soft">{problem === '' ? 'Looking …' : problem}</p>
  const { node, since, series, points, minute } = seen
  const column = (name: QueueSeries): number[] => {
    const at = series.indexOf(name)
    return points.map((point) => point[at] ?? 0)
  }
  const values = Object.fromEntries(series.map((name) => [name, column(name)]))
  const plots = { names: NAMES, times: column('at').map((at) => at / 1_000), values }
  return (
    <section aria-label="Rates">
      <p class="soft">
        Counted by {node} since {moment(since)}, when somebody began to look. The figures are of the last minute.
      </p>
      <dl class="line">
        <Fact name="sent a second" value={rate(minute.sent)} />
        <Fact name="done a second" value={rate(minute.done)} />
        <Fact name="failed attempts a second" value={rate(minute.failed)} />
        <Fact name="wait" value={timesOf(minute.wait)} />
        <Fact name="run" value={timesOf(minute.run)} />
      </dl>
      <div class="plots">
        <Graph {...plots} title="Jobs a second" unit="rate" series={{ sent: 'ink', done: 'live', failed: 'lost' }} />
        <Graph {...plots} title="From due to delivered" unit="ms" series={{ wait50: 'ink', wait99: 'replayed' }} />
        <Graph {...plots} title="From delivered to settled" unit="ms" series={{ run50: 'ink', run99: 'replayed' }} />
      </div>
      {problem !== '' && <p class="soft">{problem}</p>}
    </section>
  )
}

function timesOf({ jobs, p50, p99 }: QueueTimes): string {
  return jobs === 0 ? '–' : `half within ${duration(p50)}, p99 ${duration(p99)} (${count(jobs)})`
}

/** The hub is asked for points that are not here yet. */
function useSeen(session: Session, queue: string): Look<QueueSeen> {
  const known = useRef<QueueSeen | undefined>(undefined)
  return useAnswers(session, queue, LOOK_MS, async () => {
    const before = known.current
    const after = before?.points.at(-1)?.[0]
    const seen = await session.call<QueueSeen>('queue', after === undefined ? { queue } : { queue, after })
    // The hub has begun anew: what it said before is of another count.
    const isSame = before?.since === seen.since && before.node === seen.node
    const points = [...(isSame ? before.points : []), ...seen.points].slice(-MAX_POINTS)
    known.current = { ...seen, points }
    return known.current
  })
}
