/** The jobs of a queue in one state, page by page, and the way to some by an id or a key. */

import { useState } from 'preact/hooks'
import { messageOf } from '../../../shared/errors.ts'
import { ask, go, linkHere, route } from '../frame/route.ts'
import { part } from '../hub/http.ts'
import type { Session } from '../hub/session.ts'
import { useLook } from '../hub/useLook.ts'
import { duration, moment, plural } from '../hub/words.ts'
import type { Job } from './jobInfo.ts'
import { useSearch } from './search.ts'

const STATES = ['ready', 'delayed', 'held', 'waiting', 'done', 'removed'] as const
const PAGE = 50

export function Jobs({ session, queue }: { readonly session: Session; readonly queue: string }) {
  const { query } = route.value
  const state = STATES.find((known) => known === query.get('state')) ?? 'ready'
  const key = query.get('key') ?? ''
  const [problem, setProblem] = useState('')
  const find = async (text: string): Promise<void> => {
    setProblem('')
    try {
      const { jobs } = await session.http.get<{ jobs: readonly Job[] }>(`/queues/${part(queue)}/jobs?id=${part(text)}`)
      if (jobs.length > 0) go(linkHere({ job: text }))
      else ask({ key: text })
    } catch (error) {
      setProblem(messageOf(error))
    }
  }
  return (
    <section aria-label="Jobs">
      <div class="tools">
        <fieldset class="choice">
          <legend>Jobs that are</legend>
          {STATES.map((name) => (
            <button
              key={name}
              type="button"
              class="small"
              aria-pressed={name === state}
              onClick={() => ask({ state: name })}
            >
              {name}
            </button>
          ))}
        </fieldset>
        <form
          class="search"
          onSubmit={(event) => {
            event.preventDefault()
            const text = String(new FormData(event.currentTarget as HTMLFormElement).get('job')).trim()
            if (text !== '') void find(text)
          }}
        >
          <input type="search" name="job" aria-label="Id or key of a job" placeholder="an id or a key  ( / )" />
          <button type="submit" class="small">
            Find
          </button>
        </form>
        {problem !== '' && <span role="alert">{problem}</span>}
      </div>
      {key !== '' && (
        <p>
          Jobs with the key <strong>{key}</strong>,{' '}
          {state === 'ready' ? 'in the order of their line' : `that are ${state}`}
          {'. '}
          <button type="button" class="small" onClick={() => ask({ key: undefined })}>
            All jobs
          </button>
        </p>
      )}
      <JobList
        session={session}
        queue={queue}
        state={state}
        filter={{ key }}
        empty={key === '' ? `No job is ${state}.` : `No ${state} job has this id or this key.`}
      />
    </section>
  )
}

interface JobListProps {
  readonly session: Session
  readonly queue: string
  readonly state: Job['state']
  readonly empty: string
  /** Parameters of the query; those that are empty choose nothing. */
  readonly filter: Readonly<Record<string, string | undefined>>
}

/** All that there are, as they are now; or those that a filter fits, as they were found. */
export function JobList({ session, queue, state, empty, filter }: JobListProps) {
  const chosen = Object.entries(filter).flatMap(([name, value]) => (value ? [[name, value]] : []))
  const path = `/queues/${part(queue)}/jobs?${new URLSearchParams([['state', state], ...chosen])}`
  const List = chosen.length === 0 ? All : Fitting
  return <List key={path} session={session} path={path} state={state} empty={empty} />
}

interface ListProps {
  readonly session: Session
  readonly path: string
  readonly state: Job['state']
  readonly empty: string
}

function All({ session, path, state, empty }: ListProps) {
  const [after, setAfter] = useState<string | undefined>(undefined)
  const behind = after === undefined ? '' : `&after=${part(after)}`
  const look = useLook<{ readonly jobs: readonly Job[]; readonly next?: string }>(
    session,
    `${path}&limit=${PAGE}${behind}`,
  )
  const page = look.value
  if (page === undefined) return <p class="soft">{look.problem === '' ? 'Looking …' : look.problem}</p>
  const { jobs, next } = page
  return (
    <>
      {jobs.length === 0 ? <p class="panel soft">{empty}</p> : <Table jobs={jobs} state={state} now={session.now()} />}
      <p class="buttons">
        {after !== undefined && (
          <button type="button" class="small" onClick={() => setAfter(undefined)}>
            From the first one
          </button>
        )}
        {next !== undefined && (
          <button type="button" class="small" onClick={() => setAfter(next)}>
            Further
          </button>
        )}
        {look.problem !== '' && <span class="soft">{look.problem}</span>}
      </p>
    </>
  )
}

function Fitting({ session, path, state, empty }: ListProps) {
  const [tries, setTries] = useState(0)
  return (
    <Search key={tries} session={session} path={path} state={state} empty={empty} again={() => setTries(tries + 1)} />
  )
}

function Search({ session, path, state, empty, again }: ListProps & { readonly again: () => void }) {
  const { jobs, next, isLooking, problem, further } = useSearch(session, path)
  return (
    <>
      {jobs.length > 0 && <Table jobs={jobs} state={state} now={session.now()} />}
      {jobs.length === 0 && <p class="panel soft">{isLooking ? 'Looking …' : empty}</p>}
      <p class="buttons">
        <button type="button" class="small" disabled={isLooking} onClick={again}>
          Look again
        </button>
        {next !== undefined && (
          <button type="button" class="small" disabled={isLooking} onClick={further}>
            Further
          </button>
        )}
        <span class="soft" role="status">
          {isLooking && jobs.length > 0 ? 'looking for more …' : problem}
        </span>
      </p>
    </>
  )
}

interface TableProps {
  readonly jobs: readonly Job[]
  readonly state: Job['state']
  readonly now: number
}

function Table({ jobs, state, now }: TableProps) {
  return (
    <div class="list flat">
      <table>
        <thead>
          <tr>
            <th scope="col">job</th>
            <th scope="col" class="wide">
              key
            </th>
            <th scope="col" class="wide">
              sent
            </th>
            <th scope="col">attempts</th>
            <th scope="col">{state === 'dead' ? 'error' : isOver(state) ? 'ended' : 'what next'}</th>
          </tr>
        </thead>
        <tbody>
          {jobs.map((job) => (
            <tr key={job.id}>
              <td>
                <a href={linkHere({ job: job.id })}>{job.id}</a>
              </td>
              <td class="wide">{job.key ?? ''}</td>
              <td class="wide">{moment(job.sentAt)}</td>
              <td>{job.attempts}</td>
              <td>{nextOf(job, now)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}

export function isOver(state: Job['state']): boolean {
  return state === 'done' || state === 'removed'
}

function nextOf({ state, dueAt = 0, holder, expiresAt, dead, endedAt = 0, children }: Job, now: number): string {
  if (isOver(state)) return moment(endedAt)
  if (state === 'dead') return dead?.error ?? dead?.reason ?? ''
  if (state === 'waiting')
    return children === undefined
      ? 'waits'
      : `waits for ${children.open} of ${plural(children.count, 'child', 'children')}`
  if (state === 'delayed') return `due at ${moment(dueAt)}`
  if (state === 'held') return `${holder?.client ?? 'held'}, until ${moment(expiresAt ?? 0)}`
  return `ready for ${duration(Math.max(0, now - dueAt))}`
}
