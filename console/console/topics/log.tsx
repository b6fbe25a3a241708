/** The log of a topic: live as it comes, or at any place of it, filtered by the hub. */

import { useEffect, useState } from 'preact/hooks'
import { messageOf } from '../../../shared/errors.ts'
import { Fact } from '../frame/fact.tsx'
import { ask, route } from '../frame/route.ts'
import { part } from '../hub/http.ts'
import type { Session } from '../hub/session.ts'
import { count, moment } from '../hub/words.ts'
import { type EventPage, type LogEvent, Tail, type Tailed, type TopicInfo } from './tail.ts'

const PAGE = 50
/** Typing and sliding are waited for. */
const SETTLE_MS = 250

interface LogViewProps {
  readonly session: Session
  readonly topic: string
  readonly info: TopicInfo | undefined
}

/** In the address: `from` is an offset, `at` a time; without both it is live. */
export function LogView({ session, topic, info }: LogViewProps) {
  const { query } = route.value
  const [from, at] = [query.get('from'), query.get('at')]
  const filter = ['key', 'header', 'text']
    .map((name) => [name, query.get(name) ?? ''] as const)
    .filter(([, value]) => value !== '')
    .map(([name, value]) => `&${name}=${encodeURIComponent(value)}`)
    .join('')
  const path = `/topics/${part(topic)}/events`
  const isLive = from === null && at === null
  return (
    <section aria-label="Events">
      <div class="filters">
        <Field name="key" label="key is" />
        <Field name="header" label="header (name:value)" />
        <Field name="text" label="data has" />
      </div>
      <Travel info={info} from={from} isLive={isLive} />
      {isLive ? (
        <Live key={filter} session={session} topic={topic} path={path} filter={filter} />
      ) : (
        <Place
          session={session}
          path={path}
          query={at === null ? `after=${Number(from) - 1}` : `at=${encodeURIComponent(at)}`}
          filter={filter}
        />
      )}
    </section>
  )
}

function Field({ name, label }: { readonly name: string; readonly label: string }) {
  const asked = route.value.query.get(name) ?? ''
  const [text, setText] = useState(asked)
  useEffect(() => {
    if (text === asked) return
    const timer = setTimeout(() => ask({ [name]: text }), SETTLE_MS)
    return () => clearTimeout(timer)
  }, [text, asked, name])
  return (
    <label>
      {label}
      <input type="search" value={text} onInput={({ currentTarget }) => setText(currentTarget.value)} />
    </label>
  )
}

/** The slider over the log: its right end is live. */
function Travel({
  info,
  from,
  isLive,
}: {
  readonly info: TopicInfo | undefined
  readonly from: string | null
  readonly isLive: boolean
}) {
  const [first, last] = [info?.first ?? 1, Math.max(info?.first ?? 1, (info?.last ?? 0) + 1)]
  const at = isLive ? last : Math.min(last, Number(from ?? first))
  const [offset, setOffset] = useState('')
  const [time, setTime] = useState('')
  return (
    <div class="travel">
      <label class="slider">
        <span>{isLive ? 'live' : from === null ? 'at a time' : `at ${count(at)}`}</span>
        <input
          type="range"
          aria-label="Where in the log"
          aria-valuetext={isLive ? 'live' : `offset ${at}`}
          min={first}
          max={last}
          value={at}
          onInput={({ currentTarget }) => {
            const to = Number(currentTarget.value)
            ask(to >= last ? { from: undefined, at: undefined } : { from: String(to), at: undefined })
          }}
        />
      </label>
      <form
        onSubmit={(event) => {
          event.preventDefault()
          if (offset !== '') ask({ from: offset, at: undefined })
        }}
      >
        <input
          type="number"
          min="1"
          aria-label="Offset to jump to"
          placeholder="offset"
          value={offset}
          onInput={({ currentTarget }) => setOffset(currentTarget.value)}
        />
        <button type="submit" class="small">
          Jump
        </button>
      </form>
      <form
        onSubmit={(event) => {
          event.preventDefault()
          if (time !== '') ask({ at: new Date(time).toISOString(), from: undefined })
        }}
      >
        <input
          type="datetime-local"
          step="1"
          aria-label="Time to jump to"
          value={time}
          onInput={({ currentTarget }) => setTime(currentTarget.value)}
        />
        <button type="submit" class="small">
          Jump
        </button>
      </form>
      {!isLive && (
        <button type="button" class="small" onClick={() => ask({ from: undefined, at: undefined })}>
          Back to live
        </button>
      )}
    </div>
  )
}

function Live({
  session,
  topic,
  path,
  filter,
}: {
  readonly session: Session
  readonly topic: string
  readonly path: string
  readonly filter: string
}) {
  const [tailed, setTailed] = useState<Tailed | undefined>(undefined)
  const [isPaused, setPaused] = useState(false)
  const waits = session.may('subscribe', topic)
  useEffect(() => {
    if (isPaused) return
    const tail = new Tail(session, path, filter, waits)
    const undo = tail.state.subscribe((state) => {
      // What was shown stays until the first page of the new one is here.
      if (state.isRead) setTailed(state)
      else if (state.problem !== '') setTailed((before = state) => ({ ...before, problem: state.problem }))
    })
    return () => {
      undo()
      tail.stop()
    }
  }, [session, path, filter, waits, isPaused])
  return (
    <>
      <p class="tools">
        <button type="button" class="small" aria-pressed={isPaused} onClick={() => setPaused(!isPaused)}>
          {isPaused ? 'Go on' : 'Pause'}
        </button>
        <span class="soft" role="status">
          {isPaused ? 'Paused: what you see stays.' : 'The newest first, as they come.'}
          {(tailed?.passed ?? 0) > 0 &&
            ` ${count(tailed?.passed ?? 0)} came too fast to be shown; they are in the log.`}
          {tailed !== undefined && tailed.problem !== '' && ` ${tailed.problem}`}
        </span>
      </p>
      <Events
        events={tailed?.events ?? []}
        empty={!tailed?.isRead ? 'Looking …' : filter === '' ? 'No event is kept.' : 'Nothing fits yet.'}
      />
    </>
  )
}

interface PlaceProps {
  readonly session: Session
  readonly path: string
  readonly query: string
  readonly filter: string
}

function Place({ session, path, query, filter }: PlaceProps) {
  const [page, setPage] = useState<EventPage | undefined>(undefined)
  const [problem, setProblem] = useState('')
  useEffect(() => {
    const leave = new AbortController()
    const timer = setTimeout(async () => {
      try {
        setPage(await session.http.get<EventPage>(`${path}?${query}&limit=${PAGE}${filter}`, leave.signal))
        setProblem('')
      } catch (error) {
        if (!leave.signal.aborted) setProblem(messageOf(error))
      }
    }, SETTLE_MS)
    return () => {
      leave.abort()
      clearTimeout(timer)
    }
  }, [session, path, query, filter])
  const [head] = page?.events ?? []
  const last = page?.next ?? page?.events.at(-1)?.offset
  const isMore = page !== undefined && last !== undefined && last < page.last
  return (
    <>
      <p class="tools soft" role="status">
        {problem}
        {problem === '' && head !== undefined && `From ${moment(head.at)}, the oldest first.`}
        {page?.gaps?.map((gap) => (
          <span key={`${gap.from}`} class="gap">
            {' '}
            Events {gap.from} to {gap.to} are gone ({gap.reason}).
          </span>
        ))}
      </p>
      <Events events={page?.events ?? []} empty={page === undefined ? 'Looking …' : 'Nothing of this page fits.'} />
      {isMore && (
        <button type="button" class="small" onClick={() => ask({ from: String(last + 1), at: undefined })}>
          Further
        </button>
      )}
    </>
  )
}

function Events({ events, empty }: { readonly events: readonly LogEvent[]; readonly empty: string }) {
  if (events.length === 0) return <p class="panel soft">{empty}</p>
  return (
    <ol class="events">
      {events.map((event) => (
        <EventLine key={event.offset} event={event} />
      ))}
    </ol>
  )
}

function EventLine({ event }: { readonly event: LogEvent }) {
  const { offset, at, key, headers, id } = event
  const text = 'base64' in event ? `binary: ${event.base64}` : JSON.stringify(event.data)
  return (
    <li>
      <details>
        <summary>
          <span class="offset">{offset}</span>
          <time dateTime={new Date(at).toISOString()}>{moment(at)}</time>
          {key !== undefined && <span class="key">{key}</span>}
          <span class="text">{text}</span>
        </summary>
        <pre>{'base64' in event ? text : JSON.stringify(event.data, null, 2)}</pre>
        <dl class="line">
          {id !== undefined && <Fact name="id" value={id} />}
          {Object.entries(headers ?? {}).map(([name, value]) => (
            <Fact key={name} name={name} value={value} />
          ))}
        </dl>
      </details>
    </li>
  )
}
