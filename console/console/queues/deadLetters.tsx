/** The dead letters of a queue: filter, count, bring back at a rate, purge. */

import { useState } from 'preact/hooks'
import { messageOf } from '../../../shared/errors.ts'
import { Act } from '../frame/confirm.tsx'
import { ask, route } from '../frame/route.ts'
import { part } from '../hub/http.ts'
import type { Session } from '../hub/session.ts'
import { plural } from '../hub/words.ts'
import { JobList } from './jobs.tsx'

interface Redriven {
  readonly matched: number
  readonly moved: number
  readonly more: boolean
  readonly next?: string
  readonly asOf: number
}

interface Filter {
  readonly reason?: string
  readonly error?: string
  readonly key?: string
}

/** Looked at by one call: progress is told between two. */
const STEP = 200
/** With a rate a call is to take a few seconds. */
const STEP_S = 2

interface DeadLettersProps {
  readonly session: Session
  readonly queue: string
  readonly dead: number
  readonly done: () => void
}

export function DeadLetters({ session, queue, dead, done }: DeadLettersProps) {
  const { query } = route.value
  const [rate, setRate] = useState('')
  const [told, setTold] = useState('')
  const [changes, setChanges] = useState(0)
  const changed = () => {
    setChanges((before) => before + 1)
    done()
  }
  const filter: Filter = Object.fromEntries(
    ['reason', 'error', 'key'].flatMap((name) => (query.get(name) ? [[name, query.get(name)]] : [])),
  )
  const isAdmin = session.may('admin', queue)
  const redrive = async (isDry: boolean): Promise<string> => {
    let [matched, moved] = [0, 0]
    let [after, asOf]: [string | undefined, number | undefined] = [undefined, undefined]
    for (;;) {
      const step = isDry || rate === '' ? STEP : Math.max(1, Math.round(Number(rate) * STEP_S))
      const body = {
        filter: asOf === undefined ? filter : { ...filter, before: asOf + 1 },
        limit: step,
        ...(isDry ? { dryRun: true } : {}),
        ...(isDry || rate === '' ? {} : { rate: Number(rate) }),
        ...(after === undefined ? {} : { after }),
      }
      const part: Redriven = await session.http.ask('POST', `/queues/${encodeURIComponent(queue)}/redrive`, body)
      matched += part.matched
      moved += part.moved
      asOf ??= part.asOf
      after = part.next
      const words = isDry ? `${plural(matched, 'dead letter')} would come back` : `${plural(moved, 'job')} brought back`
      setTold(part.more ? `${words} so far …` : words)
      if (!part.more) return words
    }
  }
  const count = async () => {
    try {
      await redrive(true)
    } catch (error) {
      setTold(messageOf(error))
    }
  }
  const bringBack = async () => {
    const words = await redrive(false)
    changed()
    return words
  }
  const purge = async () => {
    const { removed } = await session.http.ask<{ removed: number }>('POST', `/queues/${part(`${queue}/dead`)}/purge`)
    changed()
    return `${plural(removed, 'dead letter')} removed`
  }
  const isAll = Object.keys(filter).length === 0
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
          jobs a second
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
        <button type="button" class="small" disabled={!isAdmin} onClick={count}>
          How many fit?
        </button>
        <Act title="Redrive" verb="Bring them back" isAllowed={isAdmin} act={bringBack}>
          <p>
            Brings {isAll ? `all ${plural(dead, 'dead letter')}` : 'the dead letters that fit'} of{' '}
            <strong>{queue}</strong> back as new jobs at the end of the queue{rate === '' ? '' : `, ${rate} a second`}.
            Those that are dead-lettered meanwhile stay.
          </p>
          {!isAll && <pre>{JSON.stringify(filter)}</pre>}
          <p role="status">{told}</p>
        </Act>
        <Act title="Purge the dead letters" verb="Remove them" isAllowed={isAdmin} isGrave act={purge}>
          <p>
            Removes all {plural(dead, 'dead letter')} of <strong>{queue}</strong>, whatever the filter says. This cannot
            be taken back.
          </p>
        </Act>
        <span role="status">{told}</span>
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
