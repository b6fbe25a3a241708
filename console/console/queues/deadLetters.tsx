/** The dead letters of a queue: filter, count, bring back at a rate, purge. */

import { useEffect, useRef, useState } from 'preact/hooks'
import { messageOf } from '../../../shared/errors.ts'
import { Act } from '../frame/confirm.tsx'
import { ask, route } from '../frame/route.ts'
import { part } from '../hub/http.ts'
import type { Session } from '../hub/session.ts'
import { count, plural } from '../hub/words.ts'
import { JobList } from './jobs.tsx'
import { type Filter, redrive } from './redrive.ts'

/** What came of counting or of bringing back, with a filter. */
interface Told {
  readonly of: string
  readonly count: number
  readonly more: boolean
}

interface DeadLettersProps {
  readonly session: Session
  readonly queue: string
  readonly dead: number
  readonly done: () => void
}

export function DeadLetters({ session, queue, dead, done }: DeadLettersProps) {
  const { query } = route.value
  const [rate, setRate] = useState('')
  const [counted, setCounted] = useState<Told | undefined>(undefined)
  const [moved, setMoved] = useState<Told | undefined>(undefined)
  const [problem, setProblem] = useState('')
  const [running, setRunning] = useState<AbortController | undefined>(undefined)
  const counting = useRef<AbortController | undefined>(undefined)
  const [changes, setChanges] = useState(0)
  const changed = () => {
    setChanges((before) => before + 1)
    done()
  }
  const filter: Filter = Object.fromEntries(
    ['reason', 'error', 'key'].flatMap((name) => (query.get(name) ? [[name, query.get(name)]] : [])),
  )
  const of = JSON.stringify(filter)
  const isAll = of === '{}'
  const fits = counted?.of === of ? counted : undefined
  const isAdmin = session.may('admin', queue)
  useEffect(() => {
    setProblem('')
    return () => counting.current?.abort()
  }, [of])
  const countFitting = async () => {
    counting.current?.abort()
    const mine = new AbortController()
    counting.current = mine
    setProblem('')
    setMoved(undefined)
    const told = (fit: number, more: boolean) => !mine.signal.aborted && setCounted({ of, count: fit, more })
    try {
      await redrive({ session, queue, filter, isDry: true, stop: mine.signal, told })
    } catch (error) {
      if (!mine.signal.aborted) setProblem(messageOf(error))
    }
  }
  const bringBack = async () => {
    counting.current?.abort()
    const mine = new AbortController()
    setRunning(mine)
    setMoved(undefined)
    setProblem('')
    const told = (count: number, more: boolean) => setMoved({ of, count, more })
    const speed = rate === '' ? undefined : Number(rate)
    try {
      await redrive({ session, queue, filter, isDry: false, rate: speed, stop: mine.signal, told })
    } finally {
      setRunning(undefined)
      changed()
    }
    // What came of it is told below the buttons.
    return ''
  }
  const purge = async () => {
    const { removed } = await session.http.ask<{ removed: number }>('POST', `/queues/${part(`${queue}/dead`)}/purge`)
    changed()
    return `${plural(removed, 'dead letter')} removed`
  }
  return (
    <section aria-label="Dead letters">
      <div class="filters">
        <label>
          reason
          <select value={filter.reason ?? ''} onChange={({ currentTarget }) => ask({ reason: currentTarget.value })}>
            <option value="">any</option>
            <option value="max_attempts">failed too often</option>
            <option value="rejected">rejected</option>
            <option value="expired">expired</option>
          </select>
        </label>
        <label>
          error has
          <input
            type="search"
            value={filter.error ?? ''}
            onInput={({ currentTarget }) => ask({ error: currentTarget.value })}
          />
        </label>
        <label>
          key is
          <input
            type="text"
            value={filter.key ?? ''}
            onInput={({ currentTarget }) => ask({ key: currentTarget.value })}
          />
        </label>
        <label>
          redrive rate, jobs a second
          <input
            type="number"
            min="1"
            placeholder="as fast as it goes"
            value={rate}
            onInput={({ currentTarget }) => setRate(currentTarget.value)}
          />
        </label>
      </div>
      <p class="buttons">
        <button type="button" class="small" disabled={!isAdmin} onClick={countFitting}>
          How many fit?
        </button>
        <Act
          title="Send again (redrive)"
          verb="Bring them back"
          isAllowed={isAdmin && running === undefined}
          act={bringBack}
        >
          {!isAll && <Count count={countFitting} />}
          <p>
            Brings {isAll ? `all ${plural(dead, 'dead letter')}` : fitting(fits)} of <strong>{queue}</strong> back as
            new jobs at the end of the queue, {rate === '' ? 'at once' : `${rate} a second`}. Those that are
            dead-lettered meanwhile stay.
          </p>
          {!isAll && <p class="soft">{inWords(filter)}</p>}
          {running !== undefined && <Running moved={moved} counted={fits} stop={running} />}
        </Act>
        <Act title="Purge the dead letters" verb="Remove them" isAllowed={isAdmin} isGrave act={purge}>
          <p>
            Removes all {plural(dead, 'dead letter')} of <strong>{queue}</strong>, whatever the filter says. This cannot
            be taken back.
          </p>
        </Act>
        {running === undefined ? (
          <span role="status">
            {moved === undefined && fits !== undefined && `${fitting(fits)} would come back`}
            {moved?.of === of && `${plural(moved.count, 'job')} brought back${moved.more ? ', then stopped' : ''}`}
          </span>
        ) : (
          <Running moved={moved} counted={fits} stop={running} />
        )}
        {problem !== '' && <span role="alert">{problem}</span>}
      </p>
      <JobList
        key={changes}
        session={session}
        queue={queue}
        state="dead"
        filter={{ ...filter }}
        empty={isAll ? 'No dead letters.' : 'No dead letter fits.'}
      />
    </section>
  )
}

/** Counts as soon as it is shown. */
function Count({ count: begin }: { readonly count: () => void }) {
  useEffect(begin, [])
  return null
}

interface RunningProps {
  readonly moved: Told | undefined
  readonly counted: Told | undefined
  readonly stop: AbortController
}

function Running({ moved, counted, stop }: RunningProps) {
  const all = counted === undefined || counted.more ? '' : ` of ${count(counted.count)}`
  const [isStopping, setStopping] = useState(false)
  return (
    <span class="running">
      <span role="status">
        {count(moved?.count ?? 0)}
        {all} jobs brought back so far …
      </span>
      <button
        type="button"
        class="small"
        disabled={isStopping}
        onClick={() => {
          stop.abort()
          setStopping(true)
        }}
      >
        {isStopping ? 'Stopping …' : 'Stop'}
      </button>
    </span>
  )
}

function fitting(counted: Told | undefined): string {
  if (counted === undefined) return 'the dead letters that fit (counting …)'
  return `${plural(counted.count, 'dead letter')}${counted.more ? ' or more (counting …)' : ''}`
}

function inWords({ reason, error, key }: Filter): string {
  const parts = [
    ...(reason === undefined ? [] : [`whose reason is ${reason}`]),
    ...(error === undefined ? [] : [`whose error has “${error}”`]),
    ...(key === undefined ? [] : [`whose key is “${key}”`]),
  ]
  return `Only those ${parts.join(' and ')}.`
}
