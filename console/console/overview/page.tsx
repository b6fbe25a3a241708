/** How the hub is, at one glance: numbers of now, plots of the last 15 minutes, what happened last. */

import { useState } from 'preact/hooks'
import type { Summary } from '../../../shared/console/protocol.ts'
import { Happenings, useHappenings } from '../activity/page.tsx'
import { linkTo } from '../frame/route.ts'
import type { Session } from '../hub/session.ts'
import { count, duration, moment, plural, rate } from '../hub/words.ts'
import { FirstSteps } from './firstSteps.tsx'
import { Plot } from './plot.tsx'

const LATEST = { limit: 6 }

export function OverviewPage({ session }: { readonly session: Session }) {
  const summary = session.summary.value
  const { happenings, problem } = useHappenings(session, LATEST)
  if (summary === undefined) {
    return (
      <>
        <h1>Overview</h1>
        <p class="soft">Waiting for the first numbers …</p>
      </>
    )
  }
  const { whole } = summary
  const isLooking = whole !== undefined && whole.lookedAt === undefined
  const isEmpty = !isLooking && whole?.gauges.topics === 0 && whole.gauges.queues === 0
  return (
    <>
      <h1>Overview</h1>
      {isLooking && (
        <p class="soft" role="status">
          The store is being looked at …
        </p>
      )}
      {isEmpty && <FirstSteps session={session} />}
      {whole === undefined && <PartOnly />}
      {whole !== undefined && !isLooking && !isEmpty && <Whole session={session} summary={summary} whole={whole} />}
      <section class="panel" aria-labelledby="latest">
        <header>
          <h2 id="latest">What happened last</h2>
          <a href={linkTo('activity')}>All of it</a>
        </header>
        <Happenings happenings={happenings} problem={problem} />
      </section>
    </>
  )
}

function PartOnly() {
  return (
    <p class="panel soft">
      The numbers of the whole hub are for who may <code>read</code> every name. Yours are under{' '}
      <a href={linkTo('topics')}>Topics</a> and <a href={linkTo('queues')}>Queues</a>.
    </p>
  )
}

interface WholeProps {
  readonly session: Session
  readonly summary: Summary
  readonly whole: NonNullable<Summary['whole']>
}

function Whole({ session, summary, whole }: WholeProps) {
  const [range, setRange] = useState<'seconds' | 'minutes'>('seconds')
  const { gauges, totals, nodes } = whole
  const now = pointOf(session)
  const plots = { session, range }
  return (
    <>
      <dl class="figures">
        <Figure
          name="published"
          value={`${rate(now('published'))}/s`}
          note={`${count(totals.published)} since the start`}
        />
        <Figure
          name="delivered"
          value={`${rate(now('live') + now('replayed'))}/s`}
          note={`${count(totals.live)} live, ${count(totals.replayed)} replayed`}
        />
        <Figure
          name="delivery, p99"
          value={duration(now('delivery99'))}
          note={`half within ${duration(now('delivery50'))}`}
        />
        <Figure
          name="subscriptions"
          value={count(gauges.subscriptions)}
          note={plural(gauges.connections, 'connection')}
        />
        <Figure
          name="furthest behind"
          value={count(gauges.lag)}
          note="events, of all cursors"
          link={linkTo('topics', undefined, { sort: 'lag', order: 'down' })}
        />
        <Figure
          name="gaps told"
          value={count(totals.gaps)}
          note={plural(totals.caughtUp, 'catch-up')}
          link={linkTo('activity', undefined, { about: 'lost' })}
          isBad={totals.gaps > 0}
        />
        <Figure
          name="jobs ready"
          value={count(gauges.ready)}
          note={`${count(gauges.delayed)} delayed, ${count(gauges.held)} held`}
          link={linkTo('queues', undefined, { sort: 'ready', order: 'down' })}
        />
        <Figure
          name="oldest ready job"
          value={gauges.ready === 0 ? '–' : duration(gauges.oldestReadyMs)}
          note="since it was due"
          link={linkTo('queues', undefined, { sort: 'oldestReadyMs', order: 'down' })}
        />
        <Figure
          name="dead letters"
          value={count(gauges.dead)}
          note={`${plural(totals.lapsed, 'lease')} lapsed`}
          link={linkTo('queues', undefined, { sort: 'dead', order: 'down' })}
          isBad={gauges.dead > 0}
        />
        <Figure
          name="kept"
          value={count(gauges.events)}
          note={`events in ${plural(gauges.topics, 'topic')}`}
          link={linkTo('topics')}
        />
      </dl>
      <fieldset class="choice">
        <legend>Plots of</legend>
        <Choice name="the last 15 minutes" isOn={range === 'seconds'} choose={() => setRange('seconds')} />
        <Choice name="the last day" isOn={range === 'minutes'} choose={() => setRange('minutes')} />
      </fieldset>
      <div class="plots">
        <Plot
          {...plots}
          title="Events a second"
          unit="rate"
          series={{ published: 'ink', live: 'live', replayed: 'replayed' }}
        />
        <Plot
          {...plots}
          title="Delivery"
          unit="ms"
          series={{ delivery50: 'live', delivery99: 'replayed', publish99: 'ink' }}
        />
        <Plot {...plots} title="Jobs a second" unit="rate" series={{ sent: 'ink', settled: 'live', lapsed: 'lost' }} />
        <Plot
          {...plots}
          title="Jobs waiting"
          unit="count"
          series={{ ready: 'live', delayed: 'awaited', held: 'ink', dead: 'lost' }}
        />
        <Plot {...plots} title="Oldest ready job" unit="ms" series={{ oldestReadyMs: 'replayed' }} />
        <Plot {...plots} title="Events behind, furthest cursor" unit="count" series={{ lag: 'replayed' }} />
        <Plot
          {...plots}
          title="Gaps and refusals a second"
          unit="rate"
          series={{ gaps: 'lost', refused: 'replayed', caughtUp: 'live' }}
        />
        <Plot {...plots} title="Connections" unit="count" series={{ connections: 'ink', subscriptions: 'live' }} />
      </div>
      <section class="panel" aria-labelledby="nodes">
        <h2 id="nodes">{nodes.length > 1 ? `${nodes.length} nodes` : 'One node'}</h2>
        <ul class="nodes">
          {nodes.map(({ id, version, at }) => (
            <li key={id}>
              <span class="name">{id}</span> release {version}, seen {moment(at)}
              {id === summary.node && ' · this console’s'}
            </li>
          ))}
        </ul>
        <p class="soft">
          The store is {summary.store.up ? 'working' : `away: ${summary.store.reason ?? ''}`}. A publish is answered
          with <code>{summary.store.durability}</code>. Rates and delivery are those of this console’s node, what is
          kept is the same at each.
        </p>
      </section>
    </>
  )
}

/** The last value of a series. */
function pointOf({ plots }: Session): (name: keyof ReturnType<typeof plots.columns>['values']) => number {
  plots.version.value
  const { values } = plots.columns('seconds')
  return (name) => values[name].at(-1) ?? 0
}

interface FigureProps {
  readonly name: string
  readonly value: string
  readonly note: string
  readonly link?: string
  readonly isBad?: boolean
}

function Figure({ name, value, note, link, isBad = false }: FigureProps) {
  return (
    <div class={isBad ? 'figure bad' : 'figure'}>
      <dt>{link === undefined ? name : <a href={link}>{name}</a>}</dt>
      <dd data-figure={name}>{value}</dd>
      <dd class="note">{note}</dd>
    </div>
  )
}

function Choice({
  name,
  isOn,
  choose,
}: {
  readonly name: string
  readonly isOn: boolean
  readonly choose: () => void
}) {
  return (
    <button type="button" class="small" aria-pressed={isOn} onClick={choose}>
      {name}
    </button>
  )
}
