/** The jobs of a queue in one state, page by page, and the way to one by its id. */

import { useState } from 'preact/hooks'
import { ask, route } from '../frame/route.ts'
import { part } from '../hub/http.ts'
import type { Session } from '../hub/session.ts'
import { useLook } from '../hub/useLook.ts'
import { duration, moment } from '../hub/words.ts'

export interface Job {
  readonly queue: string
  readonly id: string
  readonly state: 'ready' | 'delayed' | 'held' | 'dead'
  readonly key?: string
  readonly attempts: number
  readonly deliveries: number
  readonly priority: number
  readonly sentAt: number
  readonly dueAt: number
  readonly holder?: { readonly client: string }
  readonly expiresAt?: number
  readonly dead?: { readonly reason: string; readonly error?: string; readonly at: number }
  readonly data?: unknown
  readonly base64?: string
  readonly headers?: Readonly<Record<string, string>>
}

const STATES = ['ready', 'delayed', 'held'] as const
const PAGE = 50

export function Jobs({ session, queue }: { readonly session: Session; readonly queue: string }) {
  const state = STATES.find((known) => known === route.value.query.get('state')) ?? 'ready'
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
            const id = String(new FormData(event.currentTarget as HTMLFormElement).get('id')).trim()
            if (id !== '') ask({ job: id })
          }}
        >
          <input type="search" name="id" aria-label="Id of a job" placeholder="the id of a job  ( / )" />
          <button type="submit" class="small">
            Explain
          </button>
        </form>
      </div>
      <JobList key={state} session={session} queue={queue} state={state} empty={`No job is ${state}.`} />
    </section>
  )
}

interface JobListProps {
  readonly session: Session
  readonly queue: string
  readonly state: Job['state']
  readonly empty: string
  /** Of the page that is looked at. */
  readonly fits?: (job: Job) => boolean
}

export function JobList({ session, queue, state, empty, fits = () => true }: JobListProps) {
  const [after, setAfter] = useState<string | undefined>(undefined)
  const behind = after === undefined ? '' : `&after=${part(after)}`
  const path = `/queues/${part(queue)}/jobs?state=${state}&limit=${PAGE}${behind}`
  const look = useLook<{ readonly jobs: readonly Job[]; readonly next?: string }>(session, path)
  const page = look.value
  if (page === undefined) return <p class="soft">{look.problem === '' ? 'Looking …' : look.problem}</p>
  const { next } = page
  const jobs = page.jobs.filter(fits)
  return (
    <>
      {jobs.length === 0 ? (
        <p class="panel soft">{page.jobs.length === 0 ? empty : 'Nothing of this page fits.'}</p>
      ) : (
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
                <th scope="col">{state === 'dead' ? 'error' : 'what next'}</th>
              </tr>
            </thead>
            <tbody>
              {jobs.map((job) => (
                <tr key={job.id}>
                  <td>
                    <button type="button" class="quiet link" onClick={() => ask({ job: job.id })}>
                      {job.id}
                    </button>
                  </td>
                  <td class="wide">{job.key ?? ''}</td>
                  <td class="wide">{moment(job.sentAt)}</td>
                  <td>{job.attempts}</td>
                  <td>{nextOf(job)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
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

function nextOf({ state, dueAt, holder, expiresAt, dead }: Job): string {
  if (state === 'dead') return dead?.error ?? dead?.reason ?? ''
  if (state === 'delayed') return `due at ${moment(dueAt)}`
  if (state === 'held') return `${holder?.client ?? 'held'}, until ${moment(expiresAt ?? 0)}`
  return `ready for ${duration(Math.max(0, Date.now() - dueAt))}`
}
